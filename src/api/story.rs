//! What a rotation is told as: its lines, and what was pinned. It is kept when the rotation ends,
//! because the configuration that it is told with goes then, and may change.
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::narrate::Narrator;
use super::public::Line;
use crate::coordinator::event::Event;
use crate::coordinator::plan::Plan;
use crate::coordinator::state::State;
use crate::model::fleet::Fleet;
use crate::model::id::SiteName;
use crate::model::image::{Digest, Pins};

/// One rotation, as far as it was told.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Story {
    pub lines: Vec<Line>,
    /// The digests of each `PROJECT/SERVICE` of a site; several where its hosts differ.
    pub pinned: BTreeMap<SiteName, BTreeMap<String, BTreeSet<Digest>>>,
}

/// Tells a rotation fact by fact, and remembers what it told of it.
#[derive(Clone, Debug, Default)]
pub struct Storyteller {
    narrator: Narrator,
    story: Story,
}

impl Storyteller {
    /// The line that `event` makes, as [`Narrator::tell`] has it.
    pub fn tell(
        &mut self,
        fleet: &Fleet,
        event: &Event,
        before: &State,
        after: &State,
        at: Timestamp,
    ) -> Option<&Line> {
        if let Event::Planned { plan } = event {
            self.story = Story::default();
            self.pin(fleet, plan);
        } else if let Event::RebuildQueued { plan } = event {
            self.pin(fleet, plan);
        } else if let Event::RollbackBegun { site, pins, .. } = event {
            // What it runs in the end is what is told.
            self.story.pinned.remove(site);
            self.pin_site(fleet, site, pins);
        }
        let line = self.narrator.tell(fleet, event, before, after, at)?;
        self.story.lines.push(line);
        self.story.lines.last()
    }

    /// Whoever goes on telling.
    pub fn narrator(&self) -> &Narrator {
        &self.narrator
    }

    /// Of the rotation in hand.
    pub fn story(&self) -> &Story {
        &self.story
    }

    fn pin(&mut self, fleet: &Fleet, plan: &Plan) {
        for site in plan.sites() {
            self.pin_site(fleet, site, plan.pins_for(site));
        }
    }

    fn pin_site(&mut self, fleet: &Fleet, site: &SiteName, pins: &Pins) {
        let Some(site) = fleet.sites.get(site) else {
            return;
        };
        let pinned = self.story.pinned.entry(site.name.clone()).or_default();
        for project in site.hosts.iter().flat_map(|host| &host.projects) {
            for service in &project.services {
                if let Some(digest) = pins.get(&service.image) {
                    let name = format!("{}/{}", project.name, service.name);
                    pinned.entry(name).or_default().insert(digest.clone());
                }
            }
        }
    }
}

/// The plan, where this is the fact that there is one.
pub fn planned(event: &Event) -> Option<&Plan> {
    if let Event::Planned { plan } = event {
        return Some(plan);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coordinator::plan::{Mode, Options};
    use crate::coordinator::tests::world::{World, digest, fleet, night, playbook, site};
    use crate::model::pin::SitePin;
    use crate::model::playbook::FailureThen;
    use crate::sim::world::BadImage;

    #[test]
    fn what_a_site_was_rolled_back_to_is_what_it_is_told_to_run() {
        let mut playbook = playbook();
        playbook.failure.then = FailureThen::LastGood;
        let mut world = World::of(fleet(), playbook);
        let mut machine = night(&mut world);
        world.run(&mut machine);
        world.tag = 3;
        world.faults.bad_images.insert(digest(3), BadImage::Dies);
        let plan = world.plan(Mode::Rotate, None, Options::default());
        world.begin(&mut machine, plan);
        world.run(&mut machine);
        let mut teller = Storyteller::default();
        let mut machine = world.coordinator();
        for (event, at) in world.journal.clone() {
            let before = machine.state().clone();
            machine.replay([(event.clone(), at)]);
            teller.tell(&world.fleet, &event, &before, machine.state(), at.wall);
        }
        let pinned = |name| &teller.story().pinned[&site(name)]["edge/web"];
        assert_eq!(*pinned("fra"), BTreeSet::from([digest(2)]));
        assert_eq!(*pinned("nyc"), BTreeSet::from([digest(3)]));
        let lines = teller.story().lines.iter();
        let events = lines.filter_map(|line| {
            let value = serde_json::to_value(line).ok()?;
            Some(value["event"].as_str()?.to_owned())
        });
        let told: Vec<String> = events.collect();
        let at = told.iter().position(|name| name == "rolling_back");
        insta::assert_snapshot!(told[at.unwrap()..].join(" "), @"rolling_back recreated verified restored soaked rolled_back rotation_halted");
    }

    #[test]
    fn a_pinned_site_is_told_on_its_own_digest() {
        let mut apart = fleet();
        apart.sites.get_mut(&site("fra")).unwrap().pin = Some(SitePin {
            services: [("web".parse().unwrap(), digest(9))].into(),
            until: "2027-12-31".parse().unwrap(),
        });
        let mut world = World::of(apart, playbook());
        let mut machine = night(&mut world);
        world.run(&mut machine);
        // The next night changes nothing, neither here nor there.
        let plan = world.plan(Mode::Rotate, None, Options::default());
        world.begin(&mut machine, plan);
        world.run(&mut machine);
        let mut teller = Storyteller::default();
        let mut machine = world.coordinator();
        for (event, at) in world.journal.clone() {
            let before = machine.state().clone();
            machine.replay([(event.clone(), at)]);
            teller.tell(&world.fleet, &event, &before, machine.state(), at.wall);
        }
        let pinned = |name| &teller.story().pinned[&site(name)]["edge/web"];
        assert_eq!(*pinned("fra"), BTreeSet::from([digest(9)]));
        assert_eq!(*pinned("nyc"), BTreeSet::from([digest(2)]));
        let planned = serde_json::to_value(&teller.story().lines[0]).unwrap();
        let image = "registry.test:5000/web:master";
        assert_eq!(planned["digests"]["master"][image], digest(2).as_str());
        assert_eq!(planned["pinned"]["fra"][image], digest(9).as_str());
        assert_eq!(planned["changed"], serde_json::json!([]));
    }

    #[test]
    fn a_story_is_of_the_last_rotation_and_is_read_back_whole() {
        let mut world = World::new();
        let mut machine = world.coordinator();
        for name in ["fra", "nyc"] {
            let plan = world.plan(Mode::Rotate, Some(vec![site(name)]), Options::default());
            world.begin(&mut machine, plan);
            world.run(&mut machine);
        }
        let mut teller = Storyteller::default();
        let mut machine = world.coordinator();
        for (event, at) in world.journal.clone() {
            let before = machine.state().clone();
            machine.replay([(event.clone(), at)]);
            teller.tell(&world.fleet, &event, &before, machine.state(), at.wall);
        }
        let story = teller.story();
        assert_eq!(story.lines.first().unwrap().n, 1);
        assert!(story.lines.last().unwrap().public.is_end());
        let pinned = BTreeMap::from([("edge/web".to_owned(), BTreeSet::from([digest(2)]))]);
        assert_eq!(story.pinned, BTreeMap::from([(site("nyc"), pinned)]));
        let json = serde_json::to_string(story).unwrap();
        assert_eq!(serde_json::from_str::<Story>(&json).unwrap(), *story);
    }
}
