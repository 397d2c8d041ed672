//! The journal told again: nothing is run, nothing is changed.
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;

use super::journal::{self, JournalError, event_of};
use super::night::RunError;
use crate::api::metrics::{Remembered, RotationResult, rolled_back};
use crate::api::public::Public;
use crate::api::status::LastEnd;
use crate::api::story::{Story, Storyteller, planned};
use crate::config::sources::Snapshot;
use crate::config::{self, Loaded};
use crate::coordinator::event::{Event, VisitEnd};
use crate::coordinator::machine::Coordinator;
use crate::coordinator::outcome::Problem;
use crate::coordinator::plan::{Plan, Timing};
use crate::coordinator::state::State;
use crate::model::evidence::Remains;
use crate::model::fleet::Fleet;
use crate::model::id::{HolderId, HostName, RotationId, SiteName};
use crate::model::playbook::Playbook;
use crate::model::time::{Now, Ttl};
use crate::store::Reader;

/// Under this name the path of `site.toml` itself is kept with a rotation's files.
pub(super) const ROOT: &str = "root";

/// How many rotations are looked through for the last visit of each site: what stays out longer
/// has had its share of nights.
pub(super) const LOOKED_BACK: usize = 20;

/// And so many for the last success of each playbook: two months of nights, or a busy week.
const LOOKED_BACK_FOR_SUCCESS: usize = 60;

/// A part of the journal, with the configuration it was written under as far as that is known.
pub struct Past {
    fleet: Fleet,
    /// `None`: there is not one playbook.
    playbook: Option<Playbook>,
    holder: HolderId,
    base: State,
    events: Vec<(Event, Now)>,
}

impl Past {
    /// What lasts, and the rotation in hand, under the configuration that it began with.
    ///
    /// # Errors
    /// Where the journal cannot be read.
    pub fn recent(
        reader: &Reader,
        loaded: &Loaded,
        options: &config::Options,
    ) -> Result<Past, JournalError> {
        let (base, events) = journal::read(reader)?;
        Past::under(reader, loaded, options, base, events)
    }

    /// One rotation. What lasted before it is known no more.
    ///
    /// # Errors
    /// Where the journal cannot be read.
    pub fn of(
        reader: &Reader,
        rotation: &RotationId,
        loaded: &Loaded,
        options: &config::Options,
    ) -> Result<Past, JournalError> {
        let events = events_of(reader, rotation)?;
        Past::under(reader, loaded, options, State::default(), events)
    }

    fn under(
        reader: &Reader,
        loaded: &Loaded,
        options: &config::Options,
        base: State,
        events: Vec<(Event, Now)>,
    ) -> Result<Past, JournalError> {
        let plan = last_plan(&events);
        let kept = plan.and_then(|plan| kept(reader, plan, options).ok());
        let (fleet, playbook) = match kept {
            Some((fleet, playbook)) => (fleet, Some(playbook)),
            None => {
                let named = plan.and_then(|plan| loaded.playbooks.get(&plan.playbook));
                let any = || loaded.playbooks.values().next();
                let fleet = loaded.fleet.clone();
                let fleet = match plan {
                    Some(plan) => plan.treat(fleet),
                    None => fleet,
                };
                (fleet, named.or_else(any).cloned())
            }
        };
        Ok(Past {
            fleet,
            playbook,
            holder: reader.holder()?,
            base,
            events,
        })
    }

    /// Tells every fact with the states around it; the state after the last.
    pub fn retell(&self, mut tell: impl FnMut(&Fleet, &Event, &State, &State, Timestamp)) -> State {
        let Some(mut machine) = self.machine_before() else {
            return self.base.clone();
        };
        for (event, at) in &self.events {
            let before = machine.state().clone();
            machine.replay([(event.clone(), *at)]);
            tell(&self.fleet, event, &before, machine.state(), at.wall);
        }
        machine.state().clone()
    }

    /// The machine as it was before the first of the facts.
    fn machine_before(&self) -> Option<Coordinator> {
        let (fleet, holder) = (self.fleet.clone(), self.holder.clone());
        let mut machine = Coordinator::new(fleet, self.playbook.clone()?, holder, Ttl(0));
        machine.remember(self.base.clone());
        Some(machine)
    }

    /// The machine as the last fact left it; `None`: there is not one playbook.
    pub(super) fn machine(&self) -> Option<Coordinator> {
        let mut machine = self.machine_before()?;
        machine.replay(self.events.iter().cloned());
        Some(machine)
    }

    /// The state after the last fact.
    pub fn state(&self) -> State {
        self.retell(|_, _, _, _, _| ())
    }

    /// Whoever told it all, ready to go on.
    pub fn storyteller(&self) -> Storyteller {
        let mut teller = Storyteller::default();
        self.retell(|fleet, event, before, after, at| {
            teller.tell(fleet, event, before, after, at);
        });
        teller
    }

    fn is_of(&self, rotation: &RotationId) -> bool {
        last_plan(&self.events).is_some_and(|plan| plan.id == *rotation)
    }
}

/// What a rotation was told as. One that has not ended is told under the configuration that is
/// kept with it; an ended one was told when it ended. Where a store has no story of it, the
/// configuration as it is now has to do.
///
/// # Errors
/// Where the journal or the story cannot be read.
pub fn story(
    reader: &Reader,
    rotation: &RotationId,
    loaded: &Loaded,
    options: &config::Options,
) -> Result<Story, JournalError> {
    if let Some(body) = reader.story_of(rotation)? {
        return parsed(rotation, &body);
    }
    let recent = Past::recent(reader, loaded, options)?;
    let past = if recent.is_of(rotation) {
        recent
    } else {
        Past::of(reader, rotation, loaded, options)?
    };
    Ok(past.storyteller().story().clone())
}

/// What a rotation was told as when it ended; nothing where it has not.
///
/// # Errors
/// Where the story cannot be read.
pub(super) fn told(reader: &Reader, rotation: &RotationId) -> Result<Story, JournalError> {
    match reader.story_of(rotation)? {
        Some(body) => parsed(rotation, &body),
        None => Ok(Story::default()),
    }
}

fn parsed(rotation: &RotationId, body: &str) -> Result<Story, JournalError> {
    serde_json::from_str(body).map_err(|error| JournalError::Unreadable {
        seq: 0,
        why: format!("the story of {rotation}: {error}"),
    })
}

/// The facts of one rotation.
///
/// # Errors
/// Where the journal cannot be read.
pub fn events_of(
    reader: &Reader,
    rotation: &RotationId,
) -> Result<Vec<(Event, Now)>, JournalError> {
    let rows = reader.records_of(rotation)?;
    rows.iter().map(event_of).collect()
}

/// What was kept of the hosts that a rotation visited, in that order.
///
/// # Errors
/// Where it cannot be read.
pub fn remains(
    reader: &Reader,
    rotation: &RotationId,
) -> Result<BTreeMap<SiteName, Vec<(HostName, Remains)>>, JournalError> {
    let mut by_site: BTreeMap<SiteName, Vec<(HostName, Remains)>> = BTreeMap::new();
    for stored in reader.evidence_of(rotation)? {
        let remains = Remains::read(&stored.body).map_err(|error| JournalError::Unreadable {
            seq: 0,
            why: format!("the evidence of {}: {error}", stored.host),
        })?;
        let of_site = by_site.entry(stored.site).or_default();
        of_site.push((stored.host, remains));
    }
    Ok(by_site)
}

/// How the last visit of each site ended, within the last rotations.
///
/// # Errors
/// Where the journal cannot be read.
pub fn last_ends(reader: &Reader) -> Result<BTreeMap<SiteName, LastEnd>, JournalError> {
    let mut ends = BTreeMap::new();
    for span in reader.rotations()?.iter().rev().take(LOOKED_BACK) {
        let events = events_of(reader, &span.rotation)?;
        for (event, at) in events.into_iter().rev() {
            if let Event::VisitEnded { site, end, problem } = event {
                ends.entry(site).or_insert(LastEnd {
                    at: at.wall,
                    end,
                    problem,
                });
            }
        }
    }
    Ok(ends)
}

/// What the last rotations came to, as they were told.
///
/// # Errors
/// Where the journal cannot be read.
pub(super) fn remembered(reader: &Reader) -> Result<Remembered, JournalError> {
    let mut past = Remembered::default();
    for span in reader
        .rotations()?
        .iter()
        .rev()
        .take(LOOKED_BACK_FOR_SUCCESS)
    {
        let Some(body) = reader.story_of(&span.rotation)? else {
            continue;
        };
        let story = parsed(&span.rotation, &body)?;
        let (Some(first), Some(last)) = (story.lines.first(), story.lines.last()) else {
            continue;
        };
        let Some(result) = RotationResult::of(&last.public) else {
            continue;
        };
        past.last_result.get_or_insert(result);
        if let Public::RotationPlanned { playbook, .. } = &first.public
            && result == RotationResult::Completed
        {
            let known = past.last_success.entry(playbook.clone());
            known.or_insert(last.at);
        }
    }
    for (site, last) in last_ends(reader)? {
        past.out_since.insert(site, last.at);
    }
    past.rolled_back = sites_rolled_back(reader)?;
    Ok(past)
}

/// Sites whose last rebuild, within the last rotations, ended on their last good images.
fn sites_rolled_back(reader: &Reader) -> Result<BTreeSet<SiteName>, JournalError> {
    let mut known: BTreeMap<SiteName, bool> = BTreeMap::new();
    for span in reader.rotations()?.iter().rev().take(LOOKED_BACK) {
        let events = events_of(reader, &span.rotation)?;
        let Some(plan) = last_plan(&events) else {
            continue;
        };
        for (event, _) in events.iter().rev() {
            if let Event::VisitEnded { site, end, .. } = event
                && let Some(is_back) = rolled_back(*end, &plan.mode)
            {
                known.entry(site.clone()).or_insert(is_back);
            }
        }
    }
    let back = known.into_iter().filter(|(_, is_back)| *is_back);
    Ok(back.map(|(site, _)| site).collect())
}

/// The configuration a rotation began with, as its plan treats it.
pub(super) fn kept(
    reader: &Reader,
    plan: &Plan,
    options: &config::Options,
) -> Result<(Fleet, Playbook), RunError> {
    let (rotation, playbook) = (&plan.id, &plan.playbook);
    let mut files: BTreeMap<PathBuf, Arc<[u8]>> = reader
        .config_of(rotation)
        .map_err(JournalError::Store)?
        .into_iter()
        .map(|(path, content)| (path, Arc::from(content)))
        .collect();
    let root = files
        .remove(&PathBuf::from(ROOT))
        .unwrap_or_else(|| Arc::from([]));
    let root = PathBuf::from(String::from_utf8_lossy(&root).into_owned());
    let snapshot = Snapshot { root, files };
    let refused = |what: String| {
        RunError::Refused(Problem {
            what,
            cure: "see that the secret files it names are where they were, then start again"
                .to_owned(),
            is_transient: false,
        })
    };
    let loaded = config::load_from(&snapshot, options).map_err(|report| {
        refused(format!(
            "the configuration of rotation {rotation} cannot be read: {report}"
        ))
    })?;
    let playbook = loaded.playbooks.get(playbook).cloned().ok_or_else(|| {
        refused(format!(
            "rotation {rotation} has no playbook {playbook} any more"
        ))
    })?;
    Ok((plan.treat(loaded.fleet), playbook))
}

fn last_plan(events: &[(Event, Now)]) -> Option<&Plan> {
    events.iter().rev().find_map(|(event, _)| planned(event))
}

/// The sites that a rotation left for want of time, in its order.
pub(super) fn carried_over(events: &[(Event, Now)]) -> Vec<SiteName> {
    let Some(plan) = events.iter().find_map(|(event, _)| planned(event)) else {
        return Vec::new();
    };
    let carried = events.iter().filter_map(|(event, at)| {
        let Event::VisitEnded {
            site,
            end: VisitEnd::Skipped,
            ..
        } = event
        else {
            return None;
        };
        matches!(plan.timing(site, at.wall), Timing::Over(_)).then(|| site.clone())
    });
    carried.collect()
}

/// The sites that the rotation was to visit, by its plan or as it was asked meanwhile, and whose
/// last visit did not complete.
pub(super) fn left(events: &[(Event, Now)]) -> Vec<SiteName> {
    let mut left: Vec<SiteName> = Vec::new();
    for (event, _) in events {
        if let Event::Planned { plan } | Event::RebuildQueued { plan } = event {
            for site in plan.sites() {
                if !left.contains(site) {
                    left.push(site.clone());
                }
            }
        } else if let Event::VisitEnded {
            site,
            end: VisitEnd::Completed,
            ..
        } = event
        {
            left.retain(|other| other != site);
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coordinator::plan::{Mode, Options};
    use crate::coordinator::tests::world::{World, site};
    use crate::store::Store;

    #[test]
    fn what_was_skipped_and_what_was_not_reached_is_left() {
        let mut world = World::new();
        world.faults.unready.insert(site("nyc"));
        let mut machine = world.coordinator();
        let plan = world.plan(Mode::Rotate, None, Options::default());
        world.begin(&mut machine, plan);
        world.until(&mut machine, |event| {
            matches!(event, Event::WaveEnded { wave: 0 })
        });
        assert_eq!(left(&world.journal), [site("nyc"), site("sin")]);
        world.run(&mut machine);
        assert_eq!(left(&world.journal), [site("nyc")]);
    }

    /// A store of a night of each of these worlds, one after another.
    fn store_of(worlds: &mut [World]) -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let by = crate::store::Occupant {
            pid: 1,
            user: "ops".to_owned(),
            command: "cleanslate test".to_owned(),
            since: worlds[0].time().wall,
        };
        let mut store = Store::open(dir.path(), &"edge".parse().unwrap(), &by).unwrap();
        for (number, world) in worlds.iter_mut().enumerate() {
            let mut machine = world.coordinator();
            let mut plan = world.plan(Mode::Rotate, None, Options::default());
            plan.id = format!("night-{number}").parse().unwrap();
            let rotation = plan.id.clone();
            world.begin(&mut machine, plan);
            world.run(&mut machine);
            let mut machine = world.coordinator();
            let mut teller = Storyteller::default();
            for (event, at) in &world.journal {
                let events = std::slice::from_ref(event);
                journal::append(&mut store, Some(&rotation), (events, &[]), *at).unwrap();
                let before = machine.state().clone();
                machine.replay([(event.clone(), *at)]);
                teller.tell(&world.fleet, event, &before, machine.state(), at.wall);
            }
            let story = serde_json::to_string(teller.story()).unwrap();
            store.keep_story(&rotation, &story).unwrap();
        }
        (dir, store)
    }

    #[test]
    fn the_last_success_is_found_behind_later_failures_and_the_last_result_is_of_the_last() {
        let mut failing = World::new();
        failing.faults.unhealthy.insert(site("nyc"));
        failing.now = 86_400_000;
        let mut worlds = [World::new(), failing];
        let (_dir, store) = store_of(&mut worlds);
        let past = remembered(&store).unwrap();
        assert_eq!(past.last_result, Some(RotationResult::Halted));
        let success = past.last_success[&"nightly".parse().unwrap()];
        assert_eq!(success, worlds[0].journal.last().unwrap().1.wall);
        let out = past.out_since[&site("nyc")];
        assert!(out > success, "of the last visit: {out}");
        let (_dir, store) = store_of(&mut [World::new()][..]);
        let past = remembered(&store).unwrap();
        assert_eq!(past.last_result, Some(RotationResult::Completed));
    }
}
