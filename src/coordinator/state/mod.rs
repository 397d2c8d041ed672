//! What the machine remembers. A waiting state names the effects it awaits, by token.
mod barred;
mod host;
mod lane;
mod rotation;
mod stage;
mod visit;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use barred::Barred;
pub use host::HostWork;
pub use lane::{Flight, Lane};
pub use rotation::{Ending, Pause, Rotation, WindowWait};
pub use stage::{LastInventory, Look, Quietness, Stage, TrafficWait, Trial};
pub use visit::{AskedHook, EvidenceWork, HookTurn, Rollback, Visit};

use super::guards::Guard;
use super::safety::{self, Presence};
use crate::model::fleet::Fleet;
use crate::model::id::{Epoch, Nonce, SiteName, Token};
use crate::model::image::{Digest, Pins};
use crate::model::marker::Marker;
use crate::model::rrset::{RecordName, ZoneView};
use crate::model::time::Mono;

/// Everything that follows from the journal.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// Tokens minted so far.
    pub tokens: u64,
    /// The highest epoch that this store has asked for, whether or not it came to hold it.
    pub epoch: Epoch,
    /// The last marker that was proven to stand on the primary, and what stood with it.
    pub marker: Option<Marker>,
    pub view: Option<Arc<ZoneView>>,
    pub hold: Hold,
    pub lane: Lane,
    pub rotation: Option<Arc<Rotation>>,
    /// The digests that last passed at each site.
    pub last_good: Arc<BTreeMap<SiteName, Pins>>,
    /// Digests that failed somewhere: nothing is planned with them until a person clears them.
    pub barred: Arc<BTreeMap<Digest, Barred>>,
    /// Addresses that stay out because their host was left out by name.
    pub left_out: BTreeMap<SiteName, BTreeSet<(RecordName, IpAddr)>>,
    /// Sites out of DNS whose drain this store has seen to its end: they have no users.
    pub drained: BTreeSet<SiteName>,
}

/// Whether the marker is ours.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Hold {
    #[default]
    None,
    /// `nonce` is that of the marker that began it.
    Held {
        epoch: Epoch,
        nonce: Nonce,
        /// When the change that renewed it last was decided.
        refreshed: Mono,
        refresh: Wait,
    },
}

/// A time that is waited for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wait {
    pub token: Token,
    pub until: Mono,
    pub is_over: bool,
}

impl State {
    /// The rotation that has not ended.
    pub fn running(&self) -> Option<&Rotation> {
        self.rotation
            .as_deref()
            .filter(|rotation| rotation.end.is_none())
    }

    /// The rotation, to be changed: whoever keeps the state as it was keeps its own.
    pub(crate) fn rotation_mut(&mut self) -> Option<&mut Rotation> {
        self.rotation.as_mut().map(Arc::make_mut)
    }

    /// The epoch and nonce of the hold, where the marker is ours.
    pub fn held(&self) -> Option<(Epoch, &Nonce)> {
        match &self.hold {
            Hold::Held { epoch, nonce, .. } => Some((*epoch, nonce)),
            Hold::None => None,
        }
    }

    /// The sites that stood in DNS when it was last seen, but for `site`.
    pub(crate) fn peers(&self, fleet: &Fleet, site: Option<&SiteName>) -> BTreeSet<SiteName> {
        let view = self.view.as_ref();
        let is_in = |other: &&SiteName| {
            let presence = view.map(|view| safety::presence(fleet, view, other));
            Some(*other) != site && presence.is_some_and(|presence| presence != Presence::None)
        };
        fleet.sites.keys().filter(is_in).cloned().collect()
    }

    /// Whether the last marker calls `site` dirty.
    pub(crate) fn is_dirty(&self, site: &SiteName) -> bool {
        self.marker
            .as_ref()
            .is_some_and(|marker| marker.dirty.contains(site))
    }

    /// Whether the last marker says that a person took `site` out: it is left out.
    pub(crate) fn is_held(&self, site: &SiteName) -> bool {
        let holds = |marker: &Marker| marker.held.contains(site);
        self.marker.as_ref().is_some_and(holds) && Guard::HeldStaysOut.stands()
    }

    /// Whether the last marker says that a visit took `site` out.
    pub(crate) fn is_out(&self, site: &SiteName) -> bool {
        let is_out = |marker: &Marker| marker.out.contains(site);
        self.marker.as_ref().is_some_and(is_out)
    }

    /// Whether the last marker says that a visit owes `site`: it is out or dirty.
    pub(crate) fn is_owed(&self, site: &SiteName) -> bool {
        let owes = |marker: &Marker| marker.out.contains(site) || marker.dirty.contains(site);
        self.marker.as_ref().is_some_and(owes)
    }

    /// A token nobody else has.
    pub(crate) fn mint(&mut self) -> Token {
        self.tokens += 1;
        Token(self.tokens)
    }

    /// A wait that ends at `until`.
    pub(crate) fn wait(&mut self, until: Mono) -> Wait {
        Wait {
            token: self.mint(),
            until,
            is_over: false,
        }
    }
}

/// What lasts from one rotation to the next.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Carried {
    tokens: u64,
    epoch: Epoch,
    marker: Option<Marker>,
    last_good: Arc<BTreeMap<SiteName, Pins>>,
    #[serde(default)]
    barred: Arc<BTreeMap<Digest, Barred>>,
    left_out: BTreeMap<SiteName, BTreeSet<(RecordName, IpAddr)>>,
    #[serde(default)]
    drained: BTreeSet<SiteName>,
}

impl From<&State> for Carried {
    fn from(state: &State) -> Carried {
        Carried {
            tokens: state.tokens,
            epoch: state.epoch,
            marker: state.marker.clone(),
            last_good: Arc::clone(&state.last_good),
            barred: Arc::clone(&state.barred),
            left_out: state.left_out.clone(),
            drained: state.drained.clone(),
        }
    }
}

impl From<Carried> for State {
    fn from(carried: Carried) -> State {
        State {
            tokens: carried.tokens,
            epoch: carried.epoch,
            marker: carried.marker,
            last_good: carried.last_good,
            barred: carried.barred,
            left_out: carried.left_out,
            drained: carried.drained,
            ..State::default()
        }
    }
}
