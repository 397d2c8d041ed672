//! What the journal remembers, for commands that only read: they take no lock and change nothing.
use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::desk::Desk;
use super::failure::Failure;
use crate::api::status::{LastEnd, ReleaseStatus};
use crate::api::story::Story;
use crate::config::{self, Loaded};
use crate::coordinator::event::Event;
use crate::coordinator::state::State;
use crate::daemon::past::{self, Past};
use crate::daemon::release::{self, Ledger, Remembered};
use crate::daemon::ttl_high;
use crate::model::evidence::Remains;
use crate::model::fleet::Fleet;
use crate::model::id::{HolderId, HostName, RotationId, SiteName};
use crate::model::time::{Now, Ttl};
use crate::store::{Reader, RotationSpan, Store, StoreError};

/// A store that is only read.
pub(crate) struct Memory {
    reader: Reader,
    options: config::Options,
    pub(crate) holder: HolderId,
}

impl Memory {
    /// `None`: no rotation was ever begun here.
    pub(crate) fn open(desk: &Desk, loaded: &Loaded) -> Result<Option<Memory>, Failure> {
        match Store::open_read_only(&desk.state_dir(), &loaded.fleet.name) {
            Ok(reader) => {
                let holder = reader.holder()?;
                let options = desk.options();
                Ok(Some(Memory {
                    reader,
                    options,
                    holder,
                }))
            }
            Err(StoreError::Missing { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Every rotation, the earliest first.
    pub(crate) fn rotations(&self) -> Result<Vec<RotationSpan>, Failure> {
        Ok(self.reader.rotations()?)
    }

    /// The facts of one rotation.
    pub(crate) fn events(&self, rotation: &RotationId) -> Result<Vec<(Event, Now)>, Failure> {
        Ok(past::events_of(&self.reader, rotation)?)
    }

    /// What was kept of the hosts that a rotation visited.
    pub(crate) fn remains(
        &self,
        rotation: &RotationId,
    ) -> Result<BTreeMap<SiteName, Vec<(HostName, Remains)>>, Failure> {
        Ok(past::remains(&self.reader, rotation)?)
    }

    /// How long a step typically takes at a site, where that was measured.
    pub(crate) fn typical(&self, site: &SiteName, step: &str) -> Option<Duration> {
        typical(&self.reader, site, step)
    }

    /// The largest TTL that a resolver may still remember.
    pub(crate) fn ttl_high(&self, fleet: &Fleet, at: Timestamp) -> Result<Ttl, Failure> {
        Ok(ttl_high(&self.reader, fleet, at)?)
    }

    /// How the last visit of each site ended, within the last rotations.
    pub(crate) fn ends(&self) -> Result<BTreeMap<SiteName, LastEnd>, Failure> {
        Ok(past::last_ends(&self.reader)?)
    }

    /// Everything that lasts, and the rotation in hand as far as it came.
    pub(crate) fn state(&self, loaded: &Loaded) -> Result<State, Failure> {
        Ok(Past::recent(&self.reader, loaded, &self.options)?.state())
    }

    /// Every move of a tag, what passed at which site, and the keep-tags.
    pub(crate) fn ledger(&self) -> Result<Ledger, Failure> {
        Ok(Ledger::read(&self.reader)?)
    }

    /// What is remembered of releases.
    pub(crate) fn release(&self) -> Result<Remembered, Failure> {
        Ok(Remembered::of(&self.reader)?)
    }

    /// Tags that are on their way, and those that will be.
    pub(crate) fn release_status(&self) -> Result<ReleaseStatus, Failure> {
        Ok(release::release_status(&self.reader)?)
    }

    /// What a rotation was told as.
    pub(crate) fn story(&self, rotation: &RotationId, loaded: &Loaded) -> Result<Story, Failure> {
        Ok(past::story(&self.reader, rotation, loaded, &self.options)?)
    }
}

/// How long a step typically takes at a site. What cannot be read was not measured: it only says
/// what to expect.
pub(crate) fn typical(reader: &Reader, site: &SiteName, step: &str) -> Option<Duration> {
    let millis = reader.typical(site, step).ok().flatten()?;
    Some(Duration::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Occupant;

    #[test]
    fn what_was_measured_is_expected_to_last_as_long_again() {
        let folder = tempfile::tempdir().unwrap();
        let by = Occupant {
            pid: 1,
            user: "ana".to_owned(),
            command: "rotate".to_owned(),
            since: "2026-07-01T01:00:00Z".parse().unwrap(),
        };
        let mut store = Store::open(folder.path(), &"edge".parse().unwrap(), &by).unwrap();
        let fra = "fra".parse().unwrap();
        store.keep_duration(&fra, "drain", 41_500).unwrap();
        let expected = Some(Duration::from_millis(41_500));
        assert_eq!(typical(&store, &fra, "drain"), expected);
        assert_eq!(typical(&store, &fra, "recreate"), None);
    }
}
