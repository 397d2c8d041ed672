//! A configuration that is read while a rotation runs: what of it makes the rotation more careful
//! counts at once, the rest for the next one.
use std::sync::Arc;

use super::super::night::{Ask, Notice};
use super::super::session::Paths;
use super::Note;
use crate::config;
use crate::coordinator::event::Event;
use crate::coordinator::input::Command;
use crate::model::id::PlaybookName;
use crate::model::notice::Severity;

/// What the rotation is told. `None`: the configuration is wrong, which is told when it is read for
/// the next one, or has the playbook no more.
pub(super) fn reread(paths: &Paths, playbook: &PlaybookName) -> Option<Ask> {
    let loaded = config::load(&paths.config, &paths.options).ok()?;
    let playbook = loaded.playbooks.get(playbook)?.clone();
    Some(Ask {
        command: Command::Reread {
            fleet: Arc::new(loaded.fleet),
            playbook: Arc::new(playbook),
        },
        asking: None,
        reply: None,
    })
}

/// What people are told of it.
pub(super) fn tightened(notice: &Notice) -> Option<Note> {
    let Event::Tightened { caution } = &notice.event else {
        return None;
    };
    let changes = caution.words().join(", ");
    Some(Note {
        severity: Severity::Info,
        what: format!("of the configuration as it is now, this counts at once: {changes}"),
        cure: None,
        channels: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::test_folder::Folder;
    use crate::store::By;

    #[test]
    fn a_configuration_that_is_wrong_or_has_the_playbook_no_more_says_nothing() {
        let folder = Folder::new();
        let paths = Paths {
            config: folder.site(),
            state: "/nonexistent".into(),
            options: folder.options(),
            docker_config: None,
            command: "cleanslate serve".to_owned(),
            by: By::itself(),
        };
        let floor = |ask: Option<Ask>| {
            let Command::Reread { fleet, .. } = ask?.command else {
                return None;
            };
            fleet.rrsets().map(|key| fleet.floor(&key)).max()
        };
        let nightly: PlaybookName = "nightly".parse().unwrap();
        let before = floor(reread(&paths, &nightly)).unwrap();
        folder.change(&[("[fleet]", "[fleet]\nmin_in_service = 0")]);
        assert_eq!(floor(reread(&paths, &nightly)), Some(0));
        assert!(before > 0);
        assert!(reread(&paths, &"no-such".parse().unwrap()).is_none());
        folder.change(&[("[fleet]", "[feet]")]);
        assert!(reread(&paths, &nightly).is_none());
    }
}
