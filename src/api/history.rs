//! The rotations there were, one entry each.
use serde::{Deserialize, Serialize};

use super::story::planned;
use super::when::between;
use crate::coordinator::event::{Event, VisitEnd};
use crate::model::time::Now;

/// One rotation of the past.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub v: u8,
    pub rotation: String,
    pub playbook: String,
    pub began: jiff::Timestamp,
    pub seconds: u64,
    /// `completed`, `halted`, `aborted`, `not_acquired`, `deposed`, `unfinished`.
    pub end: String,
    pub visited: Vec<String>,
    pub skipped: Vec<String>,
    pub actor: String,
    pub reason: Option<String>,
}

/// What its facts say of a rotation; `None`: it was never planned.
pub fn entry(events: &[(Event, Now)]) -> Option<Entry> {
    let plan = events.iter().find_map(|(event, _)| planned(event))?;
    let (began, last) = (events.first()?.1.wall, events.last()?.1.wall);
    let (mut visited, mut skipped) = (Vec::new(), Vec::new());
    let mut end = "unfinished".to_owned();
    for (event, _) in events {
        if let Event::VisitEnded { site, end, .. } = event {
            let list = match end {
                VisitEnd::Completed => &mut visited,
                VisitEnd::Skipped
                | VisitEnd::PutBack
                | VisitEnd::RolledBack
                | VisitEnd::Quarantined
                | VisitEnd::LeftInService
                | VisitEnd::LeftOut => &mut skipped,
            };
            list.push(site.to_string());
        }
        if let Event::Ended { end: ended } = event {
            end = ended.as_str().to_owned();
        }
    }
    Some(Entry {
        v: 1,
        rotation: plan.id.to_string(),
        playbook: plan.playbook.to_string(),
        began,
        seconds: between(began, last).as_secs(),
        end,
        visited,
        skipped,
        actor: plan.actor.clone(),
        reason: plan.reason.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coordinator::plan::{Mode, Options};
    use crate::coordinator::tests::world::{World, site};

    #[test]
    fn a_rotation_is_one_entry_with_its_end_and_its_length() {
        let mut world = World::new();
        world.faults.unready.insert(site("nyc"));
        let mut machine = world.coordinator();
        let plan = world.plan(Mode::Rotate, None, Options::default());
        world.begin(&mut machine, plan);
        let half = world.journal.clone();
        world.run(&mut machine);
        let whole = entry(&world.journal).unwrap();
        assert_eq!(
            (whole.end.as_str(), whole.visited.as_slice()),
            ("completed", &["fra".to_owned(), "sin".to_owned()][..])
        );
        assert_eq!(whole.skipped, ["nyc"]);
        assert_eq!(whole.seconds, world.now / 1000);
        assert_eq!(entry(&half).unwrap().end, "unfinished");
        assert!(entry(&[]).is_none());
    }
}
