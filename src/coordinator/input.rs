//! What the machine learns.
use std::sync::Arc;

use super::event::PauseEnd;
use super::intent::Intent;
use super::outcome::Outcome;
use super::plan::Plan;
use crate::model::fleet::Fleet;
use crate::model::id::{SiteName, Token};
use crate::model::image::{Digest, ImageRef};
use crate::model::playbook::Playbook;

/// Anything that may change a decision.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// A process owns the store and has replayed the journal.
    Started,
    /// The store was made from a backup of another one: whatever ran there has gone on since, under
    /// another holder, or was ended.
    Moved {
        /// Where it comes from, for people.
        why: String,
    },
    Command(Command),
    /// The answer to an effect. One whose token is not awaited is late, and is dropped.
    Outcome {
        token: Token,
        outcome: Outcome,
    },
    /// A tag moved after its digest was pinned.
    TagsMoved {
        moved: std::collections::BTreeMap<ImageRef, Digest>,
    },
}

/// What a person or the schedule asks.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Begins a rotation, planned before.
    Begin { plan: Box<Plan> },
    Abort {
        actor: String,
        reason: Option<String>,
    },
    /// Nothing further begins until the pause ends.
    Pause {
        actor: String,
        reason: String,
        ends: PauseEnd,
    },
    /// It goes on: the rotation after a pause, or the site that waits to be tried by hand. With a
    /// `site`, that one is meant.
    Resume {
        actor: String,
        reason: Option<String>,
        site: Option<SiteName>,
    },
    /// A site that waits to be tried by hand is not good: it stays out, and is held.
    Refuse {
        site: SiteName,
        actor: String,
        reason: String,
    },
    /// While a rotation runs: this site is rebuilt after the visits in hand.
    QueueRebuild { plan: Box<Plan> },
    /// While a rotation runs: a change of the marker's lists, or a withdrawal.
    Write { intent: Intent },
    /// The configuration was read anew: what of it makes the rotation more careful counts at once.
    Reread {
        fleet: Arc<Fleet>,
        playbook: Arc<Playbook>,
    },
    /// A digest that was barred may be used again.
    Clear {
        digest: Digest,
        actor: String,
        reason: String,
    },
    /// Whatever was interrupted is brought to safety and not continued.
    Supersede,
}

impl Command {
    /// The site it is about.
    pub fn site(&self) -> Option<&SiteName> {
        match self {
            Command::Write { intent } => intent.site(),
            Command::QueueRebuild { plan } => plan.sites().next(),
            Command::Resume { site, .. } => site.as_ref(),
            Command::Refuse { site, .. } => Some(site),
            Command::Begin { .. }
            | Command::Abort { .. }
            | Command::Pause { .. }
            | Command::Reread { .. }
            | Command::Clear { .. }
            | Command::Supersede => None,
        }
    }
}
