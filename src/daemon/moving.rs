//! Moving in: a fleet's store made from a backup of another coordinator's.
//!
//! Who moves in is any other holder: what ran there is ended here before anything else, and nothing
//! is sent for it. The former coordinator may live.
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;

use super::audit;
use super::clock::Clock;
use super::journal::{self, JournalError};
use super::past::Past;
use super::release;
use super::session::{OpenError, Paths};
use crate::api::audit::What;
use crate::config::{self, Loaded};
use crate::coordinator::input::Input;
use crate::coordinator::machine::Coordinator;
use crate::model::id::{HolderId, RotationId};
use crate::model::time::Now;
use crate::store::{About, Backup, Moved, Occupant, Reader, Store, StoreError};

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// The store was made from the backup.
    MovedIn {
        made: Timestamp,
        from: HolderId,
        holder: HolderId,
        /// What had not ended there: it is not gone on with.
        unfinished: Option<RotationId>,
    },
    /// The store that is there was made from this very backup.
    Settled { at: Timestamp },
    /// The store that is there was made from a backup, and this one is gone.
    Gone { at: Timestamp },
}

/// Makes the fleet's store from the backup `file`, where there is none. One that was made from it
/// before is left alone. Contacts nothing.
///
/// # Errors
/// [`StoreError::Occupied`] where another store stands there; damage to the backup, and every way in
/// which a file can be unwritable. No store was made then.
pub fn move_in(paths: &Paths, file: &Path) -> Result<Arrival, OpenError> {
    let loaded = config::load(&paths.config, &paths.options).map_err(OpenError::Config)?;
    match Store::open_read_only(&paths.state, &loaded.fleet.name) {
        Ok(reader) => settled(&reader, file).map_err(OpenError::Store),
        Err(StoreError::Missing { .. }) => arrive(paths, &loaded, file),
        Err(error) => Err(OpenError::Store(error)),
    }
}

/// Whether the store that is there is the one that is wanted.
fn settled(reader: &Reader, file: &Path) -> Result<Arrival, StoreError> {
    let is_gone = matches!(file.try_exists(), Ok(false));
    match reader.moved()? {
        // Kept no longer than needed, as a secret should be: there is nothing to be put in place.
        Some(Moved { at, .. }) if is_gone => Ok(Arrival::Gone { at }),
        Some(Moved { backup, at, .. }) if Backup::about(file)?.id == backup => {
            Ok(Arrival::Settled { at })
        }
        Some(_) | None => Err(StoreError::Occupied {
            path: reader.path().to_owned(),
            from: file.to_owned(),
        }),
    }
}

fn arrive(paths: &Paths, loaded: &Loaded, file: &Path) -> Result<Arrival, OpenError> {
    let fleet = &loaded.fleet.name;
    let backup = Backup::open(file, fleet).map_err(OpenError::Store)?;
    let now = Clock::start().now();
    let by = Occupant {
        pid: std::process::id(),
        user: paths.by.who.clone(),
        command: paths.command.clone(),
        since: now.wall,
    };
    let arriving = backup.unpack(&paths.state, fleet, &by, now.wall);
    let mut arriving = arriving.map_err(OpenError::Store)?;
    let arrival = end_what_ran(arriving.store(), paths, loaded, backup.is(), now);
    let arrival = arrival.map_err(OpenError::Journal)?;
    arriving.settle_down().map_err(OpenError::Store)?;
    Ok(arrival)
}

/// Tells the audit, and ends what had not ended, before anybody else sees the store.
fn end_what_ran(
    store: &mut Store,
    paths: &Paths,
    loaded: &Loaded,
    about: &About,
    now: Now,
) -> Result<Arrival, JournalError> {
    let unreadable = |why: String| JournalError::Unreadable { seq: 0, why };
    let nothing = || unreadable("there is not one playbook to read it with".to_owned());
    let mut machine = past(store, paths, loaded)?.machine().ok_or_else(nothing)?;
    let unfinished = machine.state().running().map(|it| it.plan.id.clone());
    let from = store.moved()?.map(|moved| moved.holder);
    let holder = store.holder()?;
    let from = from.unwrap_or_else(|| holder.clone());
    let what = What::StoreMoved {
        backup: about.id.clone(),
        made: about.made,
        from: from.clone(),
        holder: holder.clone(),
        rotation: unfinished.clone(),
    };
    let moved = audit::entry(paths.by.clone(), now.wall, &what);
    let why = format!(
        "this store was made from a backup of {:.0}, of holder {from}: whatever it knew of has gone \
         on since",
        about.made
    );
    let input = Input::Moved { why: why.clone() };
    tell(store, &mut machine, &input, moved, now)?;
    release::let_go(store, &paths.by, now.wall, &why)?;
    if let Some(rotation) = &unfinished {
        let story = past(store, paths, loaded)?.storyteller();
        let story = serde_json::to_string(story.story());
        let story = story.map_err(|error| unreadable(error.to_string()))?;
        store.keep_story(rotation, &story)?;
        journal::snapshot(store, machine.state())?;
        store.drop_config(rotation)?;
    }
    Ok(Arrival::MovedIn {
        made: about.made,
        from,
        holder,
        unfinished,
    })
}

/// Makes true and writes down what follows. There is nothing among it that would be sent.
fn tell(
    store: &mut Store,
    machine: &mut Coordinator,
    input: &Input,
    first: crate::store::Entry,
    now: Now,
) -> Result<(), JournalError> {
    let decision = machine.decide(input, now);
    let decision = decision.map_err(|rejection| JournalError::Unreadable {
        seq: 0,
        why: rejection.problem.what,
    })?;
    let before = Arc::new(machine.state().clone());
    let rotation = before.rotation.as_ref().map(|it| it.plan.id.clone());
    let events = decision.events.clone();
    let ctx = machine.context();
    let steps = audit::steps(&ctx, before, &events, now);
    let facts = audit::told(&ctx, None, &steps, now);
    let told: Vec<_> = std::iter::once(first).chain(facts).collect();
    if events.is_empty() {
        return Ok(store.audit(&told)?);
    }
    let effects = machine.commit(decision, now, |events| {
        journal::append(store, rotation.as_ref(), (events, &told), now).map(drop)
    })?;
    debug_assert!(effects.is_empty(), "nothing is sent for what has ended");
    Ok(())
}

fn past(store: &Store, paths: &Paths, loaded: &Loaded) -> Result<Past, JournalError> {
    Past::recent(store, loaded, &paths.options)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::config::test_folder::Folder;
    use crate::coordinator::event::Event;
    use crate::coordinator::tests::world::{World, night};
    use crate::model::release::{Act, Move, Verb};
    use crate::store::{Audited, By};

    const TOKENS: &[u8] = br#"{"v":1,"tokens":[]}"#;

    #[test]
    fn who_moves_in_goes_on_with_nothing_and_the_audit_says_where_it_comes_from() {
        let (folder, file) = (Folder::new(), backup_of_a_night_in_the_middle());
        let paths = paths(&folder);
        let arrival = move_in(&paths, &file.1).unwrap();
        let Arrival::MovedIn {
            from,
            holder,
            unfinished: Some(rotation),
            ..
        } = &arrival
        else {
            panic!("{arrival:?}");
        };
        assert_ne!(from, holder);
        let fleet = "edge".parse().unwrap();
        let store = Store::open(&paths.state, &fleet, &occupant()).unwrap();
        assert_eq!(store.holder().unwrap(), *holder);
        let loaded = config::load(&paths.config, &paths.options).unwrap();
        let past = Past::recent(&store, &loaded, &paths.options).unwrap();
        assert_eq!(past.state().running(), None);
        assert_eq!(past.state().marker.as_ref().unwrap().dirty.len(), 1);
        assert!(store.story_of(rotation).unwrap().unwrap().contains("moved"));
        assert!(store.rotations_with_config().unwrap().is_empty());

        let mut told = Vec::new();
        let tell = |told_of: Audited| told.push((told_of.entry.kind, told_of.entry.by.who));
        assert_eq!(store.audited(tell).unwrap().broken, None);
        let kinds: Vec<&str> = told.iter().map(|(kind, _)| kind.as_str()).collect();
        let expected = [
            "store_moved",
            "deposed",
            "visit_ended",
            "rotation_ended",
            "release_ended",
        ];
        assert_eq!(kinds, expected);
        assert_eq!(store.open_act().unwrap(), None, "tags have moved since");
        assert_eq!(told[0].1, "ana");
    }

    #[test]
    fn moving_in_again_is_nothing_and_any_other_store_is_left_alone() {
        let (folder, file) = (Folder::new(), backup_of_a_night_in_the_middle());
        let paths = paths(&folder);
        move_in(&paths, &file.1).unwrap();
        let journal = paths.state.join("edge/journal.db");
        let before = std::fs::read(&journal).unwrap();
        let again = move_in(&paths, &file.1).unwrap();
        assert!(matches!(again, Arrival::Settled { .. }), "{again:?}");
        let other = backup_of_a_night_in_the_middle();
        let refused = move_in(&paths, &other.1).unwrap_err();
        let OpenError::Store(StoreError::Occupied { path, .. }) = &refused else {
            panic!("{refused}");
        };
        assert_eq!(*path, journal);
        std::fs::remove_file(&file.1).unwrap();
        let gone = move_in(&paths, &file.1).unwrap();
        assert!(matches!(gone, Arrival::Gone { .. }), "{gone:?}");
        assert_eq!(std::fs::read(&journal).unwrap(), before);
    }

    #[test]
    fn a_store_that_was_made_from_no_backup_is_left_alone() {
        let (folder, file) = (Folder::new(), backup_of_a_night_in_the_middle());
        let paths = paths(&folder);
        let fleet = "edge".parse().unwrap();
        drop(Store::open(&paths.state, &fleet, &occupant()).unwrap());
        for file in [&file.1, &folder.path().join("gone")] {
            let refused = move_in(&paths, file).unwrap_err();
            let OpenError::Store(StoreError::Occupied { .. }) = &refused else {
                panic!("{refused}");
            };
        }
    }

    #[test]
    fn where_nothing_can_be_put_in_place_nothing_is_made() {
        let (folder, file) = (Folder::new(), backup_of_a_night_in_the_middle());
        let paths = paths(&folder);
        let bytes = std::fs::read(&file.1).unwrap();
        std::fs::write(&file.1, &bytes[..bytes.len() / 2]).unwrap();
        let refused = move_in(&paths, &file.1).unwrap_err();
        let OpenError::Store(StoreError::BadBackup { .. }) = &refused else {
            panic!("{refused}");
        };
        assert!(!paths.state.exists());
    }

    /// Made when a site was dirty, of a store whose journal says so.
    fn backup_of_a_night_in_the_middle() -> (tempfile::TempDir, PathBuf) {
        let mut world = World::new();
        let mut machine = night(&mut world);
        world.until(&mut machine, |event| {
            matches!(event, Event::HostCleared { .. })
        });
        let dir = tempfile::tempdir().unwrap();
        let fleet = "edge".parse().unwrap();
        let mut store = Store::open(dir.path(), &fleet, &occupant()).unwrap();
        let rotation = machine.state().running().unwrap().plan.id.clone();
        for (event, at) in &world.journal {
            let events = std::slice::from_ref(event);
            journal::append(&mut store, Some(&rotation), (events, &[]), *at).unwrap();
        }
        let files = [("compose.yaml".into(), b"services: {}".to_vec())];
        store.keep_config(&rotation, &files).unwrap();
        let moves = vec![Move {
            image: "registry.example.com/web:master".parse().unwrap(),
            old: None,
            new: format!("sha256:{}", "ab".repeat(32)).parse().unwrap(),
        }];
        let act = Act::new(Verb::Rollback, "master".parse().unwrap(), moves, None);
        let act = serde_json::to_string(&act).unwrap();
        let now = world.time().wall;
        store
            .begin_act(now, &By::itself(), &act, |_| Vec::new())
            .unwrap();
        let file = dir.path().join("edge.backup");
        let about = About::new(world.time().wall, "ana").unwrap();
        let carried = [("tokens.json", TOKENS.to_vec())];
        store.back_up(&file, &about, &carried, false).unwrap();
        (dir, file)
    }

    fn paths(folder: &Folder) -> Paths {
        Paths {
            config: folder.site(),
            state: folder.path().join("state"),
            options: folder.options(),
            docker_config: None,
            command: "cleanslate serve --from edge.backup".to_owned(),
            by: By {
                who: "ana".to_owned(),
                ..By::itself()
            },
        }
    }

    fn occupant() -> Occupant {
        Occupant {
            pid: 1,
            user: "ops".to_owned(),
            command: "cleanslate test".to_owned(),
            since: World::new().time().wall,
        }
    }
}
