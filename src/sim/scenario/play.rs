//! A story is played: line by line, until one is wrong or the last is done.
use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::tz::TimeZone;

use super::script::{Line, Script, Wrong};
use crate::coordinator::event::Event;
use crate::model::fleet::Fleet;
use crate::model::hours::QuietHours;
use crate::model::id::{HostName, SiteName};
use crate::model::rrset::ZoneView;
use crate::model::time::Now;
use crate::sim::crew::Crew;
use crate::sim::trace::Entry;
use crate::sim::world::{World, fleet_of, playbook};

/// All that happened in a story, to its end or to the line that is wrong.
pub(crate) struct Played {
    pub(crate) fleet: Fleet,
    pub(crate) entries: Vec<Entry>,
    /// The first line that cannot be played, or after which something is not as it says.
    pub(crate) wrong: Option<Wrong>,
}

pub(super) struct Scene {
    pub(super) crew: Crew,
    /// The zone as a person kept it, or as it was in the beginning.
    pub(super) zone: Arc<ZoneView>,
    /// How much of each journal has been waited for.
    pub(super) seen: BTreeMap<usize, usize>,
    /// Stores that were copied, by whose they are.
    pub(super) stores: BTreeMap<usize, Vec<(Event, Now)>>,
}

pub(crate) fn play(script: &Script) -> Played {
    let (setting, acts) = setting(&script.lines);
    let mut scene = match Scene::of(setting) {
        Ok(scene) => scene,
        Err(wrong) => {
            return Played {
                fleet: fleet_of(&["fra", "nyc"], 1),
                entries: Vec::new(),
                wrong: Some(wrong),
            };
        }
    };
    let wrong = acts.iter().find_map(|line| scene.goes_wrong(line));
    Played {
        fleet: Fleet::clone(&scene.crew.world.fleet),
        entries: scene.crew.world.trace.take().unwrap_or_default(),
        wrong,
    }
}

/// The lines that say who is on stage come first.
fn setting(lines: &[Line]) -> (&[Line], &[Line]) {
    let is_setting = |line: &Line| {
        let first = line.words.first().map(String::as_str);
        line.subject.is_empty() && matches!(first, Some("fleet" | "playbook" | "quiet"))
    };
    let count = lines.iter().take_while(|line| is_setting(line)).count();
    lines.split_at(count)
}

impl Scene {
    fn of(setting: &[Line]) -> Result<Scene, Wrong> {
        let mut fleet = fleet_of(&["fra", "nyc", "sin"], 1);
        let mut playbook = playbook();
        for line in setting {
            match line.spoken().as_slice() {
                ["fleet", words @ ..] => fleet = fleet_from(line, words)?,
                ["quiet", words @ ..] => quieten(&mut fleet, line, words)?,
                ["playbook", words @ ..] => {
                    for word in words {
                        super::acts::plays_by(&mut playbook, line, word)?;
                    }
                }
                _ => {}
            }
        }
        let mut world = World::of(fleet, playbook);
        world.trace = Some(Vec::new());
        Ok(Scene {
            zone: world.view.clone(),
            crew: Crew::of(world),
            seen: BTreeMap::new(),
            stores: BTreeMap::new(),
        })
    }

    fn goes_wrong(&mut self, line: &Line) -> Option<Wrong> {
        let played = self.plays(line);
        // A story stands still where a rule is broken: that is what is wrong with it.
        let Some(violation) = self.crew.world.hurt.first() else {
            return played.err();
        };
        let what = format!("a rule is broken: {violation}");
        Some(line.wrong(what, "see what led to it, and mend the coordinator"))
    }

    fn plays(&mut self, line: &Line) -> Result<(), Wrong> {
        match line.subject.as_str() {
            "" => match line.spoken().as_slice() {
                ["wait", time] => self.waits(super::acts::ms(line, time)?),
                ["expect", words @ ..] => self.expects(line, words),
                _ => Err(line.wrong(
                    format!("nobody does `{}`", line.words.join(" ")),
                    "write `WHO: WHAT`, `wait TIME` or `expect …`",
                )),
            },
            "a" | "b" | "c" => self.coordinator(line),
            _ => self.outside(line),
        }
    }

    /// Time passes, and whatever is due happens.
    fn waits(&mut self, ms: u64) -> Result<(), Wrong> {
        let until = self.crew.world.now + ms;
        while self.crew.next().is_some_and(|(due, _)| due <= until) {
            self.crew.step();
        }
        while self.crew.world.is_late_before(until) {}
        self.crew.world.pass(until);
        Ok(())
    }

    pub(super) fn site(&self, line: &Line, name: &str) -> Result<SiteName, Wrong> {
        let sites = &self.crew.world.fleet.sites;
        let found = sites.keys().find(|site| site.as_str() == name);
        let names: Vec<&str> = sites.keys().map(SiteName::as_str).collect();
        let cure = format!("use one of: {}", names.join(", "));
        found
            .cloned()
            .ok_or_else(|| line.wrong(format!("no site is called {name}"), cure))
    }

    pub(super) fn host(&self, line: &Line, name: &str) -> Result<HostName, Wrong> {
        let hosts = &self.crew.world.engines;
        let found = hosts.keys().find(|host| host.as_str() == name);
        let names: Vec<&str> = hosts.keys().map(HostName::as_str).collect();
        let cure = format!("use one of: {}", names.join(", "));
        found
            .cloned()
            .ok_or_else(|| line.wrong(format!("no host is called {name}"), cure))
    }
}

/// `sin 18:00-20:00 Asia/Singapore`.
fn quieten(fleet: &mut Fleet, line: &Line, words: &[&str]) -> Result<(), Wrong> {
    let [name, hours, zone] = words else {
        let cure = "write `quiet sin 18:00-20:00 Asia/Singapore`";
        return Err(line.wrong("quiet hours are of a site, in a time zone", cure));
    };
    let zone = TimeZone::get(zone).map_err(|error| line.wrong(error.to_string(), "write UTC"))?;
    let quiet = QuietHours::parse(hours, Some(zone));
    let quiet =
        quiet.map_err(|error| line.wrong(format!("{hours} {error}"), "write 18:00-20:00"))?;
    let mut sites = fleet.sites.values_mut();
    let site = sites.find(|site| site.name.as_str() == *name);
    let site = site.ok_or_else(|| line.wrong(format!("no site is called {name}"), "name one"))?;
    site.quiet = Some(quiet);
    Ok(())
}

/// `fra nyc sin hosts=2 floor=1`.
fn fleet_from(line: &Line, words: &[&str]) -> Result<Fleet, Wrong> {
    let (mut names, mut hosts, mut floor) = (Vec::new(), 1, None);
    for word in words {
        match word.split_once('=') {
            None => names.push(*word),
            Some(("hosts", count)) => hosts = super::acts::number(line, count)?,
            Some(("floor", count)) => floor = Some(super::acts::number(line, count)?),
            Some((key, _)) => {
                return Err(line.wrong(format!("a fleet has no {key}"), "use hosts=N or floor=N"));
            }
        }
    }
    if names.len() < 2 {
        return Err(line.wrong(
            "a fleet has two sites at least",
            "write `fleet fra nyc sin`",
        ));
    }
    let hosts = u8::try_from(hosts).unwrap_or(u8::MAX);
    let mut fleet = fleet_of(&names, hosts);
    for record in fleet.dns.records.values_mut() {
        record.min_in_service = floor;
    }
    Ok(fleet)
}
