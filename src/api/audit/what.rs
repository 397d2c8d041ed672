//! The kinds of records, each with its fields.
use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::change::{Changed, RecordChange};
use super::containers::Container;
use super::plan::Planned;
use crate::api::token::Role;
use crate::api::wire::Refusal;
use crate::coordinator::outcome::Problem;
use crate::model::id::{HolderId, HookName, HostName, RotationId};
use crate::model::image::{Digest, ImageRef};
use crate::model::release::{Left, Move};

/// What a record tells. What was asked is a command; what was sent is an effect, and what came of
/// it another record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum What {
    // --- what was asked
    /// It was taken. `asked`: its words, as the API has them.
    Command {
        asked: Value,
    },
    /// It was not done.
    Refused {
        asked: Value,
        /// The rule that said no, by the name users know.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rule: Option<String>,
        reasons: Vec<Reason>,
    },
    /// More were refused than are told one by one.
    RefusalsLeftOut {
        count: u64,
    },
    /// A run of a schedule did not begin in its time.
    RunMissed {
        run: RotationId,
        late_seconds: i64,
    },
    /// A run of a schedule fell into a freeze.
    RunFrozen {
        run: RotationId,
        reason: String,
    },

    // --- the process
    /// A process began to own the store. `files`: what it read, by path, with its SHA-256.
    Started {
        command: String,
        version: String,
        holder: HolderId,
        epoch: u64,
        files: BTreeMap<String, String>,
    },
    Stopped {},
    /// The store was made from a backup of another holder's, and has a holder of its own from here
    /// on. `rotation`: what had not ended there.
    StoreMoved {
        backup: String,
        made: Timestamp,
        from: HolderId,
        holder: HolderId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rotation: Option<RotationId>,
    },
    /// Files of the configuration that are others now, by path, with their SHA-256.
    Reloaded {
        files: BTreeMap<String, Changed<Option<String>>>,
    },
    /// The configuration that was read before stays.
    ReloadRefused {
        why: String,
    },
    /// Damage: what follows stands in a new table.
    AuditSetAside {
        why: String,
        table: String,
    },

    // --- who may ask over the network
    /// `by`: who the file of tokens says made it.
    TokenCreated {
        name: String,
        role: Role,
        /// `None`: never.
        expires: Option<Timestamp>,
        by: String,
    },
    TokenRevoked {
        name: String,
        role: Role,
    },
    /// Somebody wrote in their file by hand: these are others than they were, or gone.
    TokensEdited {
        names: Vec<String>,
    },

    // --- a rotation
    RotationPlanned(Box<Planned>),
    RebuildQueued(Box<Planned>),
    /// The process that worked on it had died, or was told to end.
    RotationTakenUp {},
    RotationPaused {
        reason: String,
    },
    RotationResumed {
        reason: Option<String>,
    },
    /// A person tried a rebuilt site by hand: it may go in.
    TrialAccepted {
        reason: Option<String>,
    },
    /// It goes in untried: a person ended the rotation.
    TrialWaived {},
    /// A person tried it, and it is not good.
    TrialRefused {
        reason: String,
    },
    RotationAborting {
        reason: Option<String>,
    },
    RotationHalted {
        why: String,
        cure: String,
    },
    /// `completed`, `halted`, `aborted`, `not_acquired`, `deposed`.
    RotationEnded {
        end: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<String>,
    },
    /// Another holder's marker may be taken from here on.
    TakeOverAllowed {
        holder: Option<HolderId>,
        epoch: u64,
    },
    /// Somebody newer works: nothing more was sent.
    Deposed {
        rule: String,
        why: String,
    },
    /// A digest that was barred may be planned again.
    DigestCleared {
        digest: Digest,
        reason: String,
    },
    TagMoved {
        moved: BTreeMap<ImageRef, Digest>,
    },

    // --- tags
    /// These tags are to move, all or none; each may have moved from here on.
    ReleaseBegun {
        act: u64,
        what: String,
        moves: Vec<Move>,
        reason: Option<String>,
    },
    /// The registry was read back, and the tag names this.
    TagPut {
        act: u64,
        image: ImageRef,
        old: Option<Digest>,
        new: Digest,
    },
    /// What was moved goes back.
    ReleaseTurnedBack {
        act: u64,
        why: String,
    },
    /// `done`, `undone`. `left`: tags that are not where they were before it.
    ReleaseEnded {
        act: u64,
        end: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<String>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        left: Vec<Left>,
    },
    /// Somebody else moved a tag: it was seen there.
    TagFound {
        image: ImageRef,
        old: Option<Digest>,
        new: Digest,
        why: String,
    },

    /// A good digest is kept: the registry was read back, and this tag names it.
    KeepTagPut {
        image: ImageRef,
        digest: Digest,
    },
    /// Later ones are kept instead: the registry has this tag no more.
    KeepTagRemoved {
        image: ImageRef,
        digest: Digest,
    },
    /// Somebody else made a keep-tag name something else: it is theirs.
    KeepTagLeft {
        image: ImageRef,
        digest: Digest,
        found: Digest,
    },

    // --- DNS
    /// A signed UPDATE leaves. The marker as the TXT record holds it; only RRsets that it changes.
    UpdateSent {
        purpose: String,
        epoch: u64,
        seq: u64,
        marker: Changed<Option<String>>,
        records: Vec<RecordChange>,
    },
    /// The primary was read back, and shows it.
    UpdateApplied {
        purpose: String,
        epoch: u64,
        seq: u64,
        nonce: String,
    },
    UpdateNotApplied {
        why: String,
    },
    /// It may have been applied, or may be later, until another record settles it.
    UpdateUnknown {
        why: String,
    },
    /// A rule or the server said no to a change.
    ChangeRefused {
        purpose: String,
        rule: String,
        why: String,
        cure: String,
        /// The server said it, to an UPDATE that was sent.
        was_sent: bool,
    },

    /// The configuration was read anew, and the rotation is as careful as it says from here on.
    Tightened {
        changes: Vec<String>,
    },

    // --- a site
    VisitStarted {},
    /// Where it is `unknown`, the traffic could not be measured.
    Drained {
        seconds: u64,
        because: String,
    },
    /// Somebody put it in while it was emptied or rebuilt.
    PutInByHand {},
    Verified {},
    AttemptFailed {
        attempt: u32,
        why: String,
    },
    /// Its images failed for good: it is made again from those that passed there last. What failed
    /// is `barred`.
    RollbackBegun {
        why: String,
        digests: BTreeMap<ImageRef, Digest>,
        barred: BTreeMap<ImageRef, Digest>,
    },
    /// It was healthy in service; images that nothing uses go next.
    Soaked {},
    SoakBroken {
        why: String,
    },
    /// It goes back as it was.
    PuttingBack {
        why: String,
    },
    /// Another site stopped answering meanwhile.
    StoppedAnswering {
        why: String,
    },
    /// `completed`, `skipped`, `put_back`, `rolled_back`, `quarantined`, `left_in_service`,
    /// `left_out`.
    VisitEnded {
        end: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cure: Option<String>,
    },

    // --- its hosts
    ImagesPulled {
        host: HostName,
    },
    /// Under temporary names. A proof is removed again.
    ContainersCreated {
        host: HostName,
        containers: Vec<Container>,
        is_proof: bool,
    },
    /// It is asked whether the visit may go on.
    HookCalled {
        hook: HookName,
    },
    HookDeferred {
        hook: HookName,
        why: String,
    },
    HookEnded {
        hook: HookName,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        problem: Option<String>,
    },
    /// The playbook's command runs at the coordinator.
    BeforeSent {},
    BeforeEnded {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        problem: Option<String>,
    },
    /// They may be stopped and removed from here on, however late.
    RemovalSent {
        hosts: BTreeMap<HostName, Vec<Container>>,
    },
    ContainersRemoved {
        host: HostName,
        removed: u32,
    },
    RemovalUnknown {
        host: HostName,
        why: String,
    },
    StartSent {
        hosts: BTreeMap<HostName, Vec<Container>>,
    },
    ContainersStarted {
        host: HostName,
    },
    NotStarted {
        host: HostName,
        why: String,
    },
    /// What was created and never started is removed.
    DiscardSent {
        hosts: BTreeMap<HostName, Vec<Container>>,
    },
    Discarded {
        host: HostName,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        problem: Option<String>,
    },
    ImagesPruned {
        host: HostName,
        images: u32,
        bytes: u64,
    },
}

/// Why something was not done, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    pub why: String,
    pub cure: String,
}

/// Under this name the kind stands in JSON; the store has a column for it.
const TAG: &str = "kind";

impl What {
    /// The kind, and the fields as the store keeps them.
    pub fn split(&self) -> (String, Value) {
        let mut value =
            serde_json::to_value(self).expect("texts, numbers and string keys always serialize");
        let kind = value.as_object_mut().and_then(|object| object.remove(TAG));
        let kind = kind.as_ref().and_then(Value::as_str).unwrap_or_default();
        (kind.to_owned(), value)
    }

    /// Reads it back; `None`: a later program wrote it.
    pub fn read(kind: &str, body: &str) -> Option<What> {
        let mut value: Value = serde_json::from_str(body).ok()?;
        let object = value.as_object_mut()?;
        object.insert(TAG.to_owned(), Value::from(kind));
        serde_json::from_value(value).ok()
    }
}

impl From<&Problem> for Reason {
    fn from(problem: &Problem) -> Reason {
        Reason {
            why: problem.what.clone(),
            cure: problem.cure.clone(),
        }
    }
}

impl From<&Refusal> for Reason {
    fn from(refusal: &Refusal) -> Reason {
        Reason {
            why: refusal.what.clone(),
            cure: refusal.cure.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kind_and_fields_are_parted_and_read_back() {
        let what = What::ContainersRemoved {
            host: "fra1".parse().unwrap(),
            removed: 3,
        };
        let (kind, body) = what.split();
        assert_eq!(kind, "containers_removed");
        assert_eq!(body.to_string(), r#"{"host":"fra1","removed":3}"#);
        assert_eq!(What::read(&kind, &body.to_string()), Some(what));
        assert_eq!(What::read("stopped", "{}"), Some(What::Stopped {}));
        assert_eq!(What::read("of_a_later_program", "{}"), None);
    }
}
