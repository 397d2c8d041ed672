//! What is told to the audit: what was asked, what was refused, and what became true.
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use data_encoding::HEXLOWER;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::journal::JournalError;
use super::request::Request;
use crate::api::actor::Actor;
use crate::api::asked::Answer;
use crate::api::audit::{Changed, Reason, What, fact};
use crate::api::wire::{Command, Refusal, Reply};
use crate::config::sources::Snapshot;
use crate::coordinator::context::Context;
use crate::coordinator::event::Event;
use crate::coordinator::outcome::Problem;
use crate::coordinator::state::State;
use crate::model::id::PlaybookName;
use crate::model::time::{Mono, Now};
use crate::model::way::Way;
use crate::store::{By, Entry, Store};

/// What was asked, by whom, and by what way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asking {
    pub by: By,
    pub command: Command,
}

impl Asking {
    /// A run of a playbook, by its schedule.
    pub(super) fn of_schedule(playbook: &PlaybookName, wait: u64) -> Asking {
        Asking {
            by: schedule(),
            command: Command::Rotate {
                playbook: playbook.clone(),
                sites: Vec::new(),
                reason: None,
                wait,
                now: false,
                in_freeze: false,
            },
        }
    }

    /// The sites of a channel, of which an image was pushed.
    pub(super) fn of_push(request: &Request) -> Asking {
        Asking {
            by: push(),
            command: Command::Rotate {
                playbook: request.playbook.clone(),
                sites: request.sites.clone().unwrap_or_default(),
                reason: request.reason.clone(),
                wait: request.options.wait_s,
                now: false,
                in_freeze: false,
            },
        }
    }

    /// It was taken.
    pub(super) fn taken(&self, at: Timestamp) -> Entry {
        let asked = self.words();
        self.entry(at, &What::Command { asked })
    }

    /// It was not done, by the rule of that name.
    pub(super) fn refused(&self, at: Timestamp, refusal: &Refusal) -> Entry {
        self.not_done(at, Some(refusal.rule.clone()), vec![refusal.into()])
    }

    /// It was not done, for all of these.
    pub(super) fn failed(&self, at: Timestamp, why: &[Problem]) -> Entry {
        self.not_done(at, None, why.iter().map(Reason::from).collect())
    }

    fn not_done(&self, at: Timestamp, rule: Option<String>, reasons: Vec<Reason>) -> Entry {
        let what = What::Refused {
            asked: self.words(),
            rule,
            reasons,
        };
        self.entry(at, &what)
    }

    fn entry(&self, at: Timestamp, what: &What) -> Entry {
        entry(self.by.clone(), at, what).about(None, self.command.site())
    }

    fn words(&self) -> serde_json::Value {
        serde_json::to_value(&self.command)
            .expect("texts, numbers and string keys always serialize")
    }
}

impl From<&Actor> for By {
    fn from(actor: &Actor) -> By {
        By {
            who: actor.user.clone(),
            way: actor.way,
            pid: actor.pid,
        }
    }
}

/// So many refusals a second are told one by one. Each is a write to the disk that a rotation waits
/// for: whoever asks what is refused, again and again, must not hold it up.
const TOLD_A_SECOND: u32 = 10;

/// What is refused to those who ask a running coordinator.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    second: u64,
    told: u32,
    left_out: u64,
}

impl Refusals {
    /// Writes down that this was said no to, where it was.
    pub(super) fn note(
        &mut self,
        store: &mut Store,
        (asking, said): (&Asking, &Answer),
        now: Now,
    ) -> Result<(), JournalError> {
        let Answer::Reply(Reply::Refused(refusal)) = said else {
            return Ok(());
        };
        let Some(left_out) = self.admit(now.mono) else {
            return Ok(());
        };
        let refused = asking.refused(now.wall, refusal);
        let more = What::RefusalsLeftOut { count: left_out };
        let more = (left_out > 0).then(|| entry(By::itself(), now.wall, &more));
        let told: Vec<Entry> = more.into_iter().chain([refused]).collect();
        Ok(store.audit(&told)?)
    }

    /// How many were left out before this one; `None`: it is left out itself.
    fn admit(&mut self, now: Mono) -> Option<u64> {
        let second = now.0 / 1000;
        if second != self.second {
            (self.second, self.told) = (second, 0);
        }
        if self.told >= TOLD_A_SECOND {
            self.left_out += 1;
            return None;
        }
        self.told += 1;
        Some(std::mem::take(&mut self.left_out))
    }
}

/// A registry, or a CI.
pub(super) fn push() -> By {
    By {
        who: super::serve::PUSH.to_owned(),
        way: Way::Push,
        pid: None,
    }
}

/// The schedule of a playbook.
pub(super) fn schedule() -> By {
    By {
        who: super::serve::SCHEDULE.to_owned(),
        way: Way::Schedule,
        pid: None,
    }
}

/// A record about no rotation and no site.
pub(super) fn entry(by: By, at: Timestamp, what: &What) -> Entry {
    let (kind, body) = what.split();
    Entry::of(by, at, &kind, &body)
}

/// The SHA-256 of every file that a configuration was read from, by its path beside `site.toml`
/// where it lies there.
pub(super) fn sums(snapshot: &Snapshot) -> BTreeMap<String, String> {
    let folder = snapshot.root.parent();
    let name = |path: &Path| {
        let beside = folder.and_then(|folder| path.strip_prefix(folder).ok());
        beside.unwrap_or(path).display().to_string()
    };
    let files = snapshot.files.iter();
    let files = files.map(|(path, bytes)| (name(path), HEXLOWER.encode(&Sha256::digest(bytes))));
    files.collect()
}

/// The files whose sums differ.
pub(super) fn changed(
    old: &BTreeMap<String, String>,
    new: &BTreeMap<String, String>,
) -> BTreeMap<String, Changed<Option<String>>> {
    let paths: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let change = |path: &&String| {
        let (before, after) = (old.get(*path).cloned(), new.get(*path).cloned());
        (before != after).then(|| ((*path).clone(), Changed { before, after }))
    };
    paths.iter().filter_map(change).collect()
}

/// A fact, and the states around it.
pub(super) struct Step<'a> {
    pub(super) event: &'a Event,
    pub(super) before: Arc<State>,
    pub(super) after: Arc<State>,
}

/// The facts that follow from one decision, one by one.
pub(super) fn steps<'a>(
    ctx: &Context<'_>,
    before: Arc<State>,
    events: &'a [Event],
    now: Now,
) -> Vec<Step<'a>> {
    let mut before = before;
    let step = |event| {
        let mut after = (*before).clone();
        after.apply(ctx, event, now);
        let after = Arc::new(after);
        let before = std::mem::replace(&mut before, Arc::clone(&after));
        Step {
            event,
            before,
            after,
        }
    };
    events.iter().map(step).collect()
}

/// What was asked, and the facts that follow from it. Whoever began the rotation answers for them.
pub(super) fn told(
    ctx: &Context<'_>,
    asking: Option<&Asking>,
    steps: &[Step<'_>],
    now: Now,
) -> Vec<Entry> {
    let asked = asking.map(|asking| {
        let rotation = steps.last().and_then(|step| step.after.rotation.as_deref());
        let id = rotation.map(|rotation| &rotation.plan.id);
        let taken = asking.taken(now.wall);
        let site = taken.site.clone();
        taken.about(id, site.as_ref())
    });
    let facts = steps.iter().filter_map(|step| of_step(ctx, step, now));
    asked.into_iter().chain(facts).collect()
}

fn of_step(ctx: &Context<'_>, step: &Step<'_>, now: Now) -> Option<Entry> {
    let told = fact(ctx.fleet, step.event, &step.before, &step.after)?;
    let rotation = step.after.rotation.as_deref();
    let plan = rotation.map(|rotation| match &told.site {
        Some(site) => rotation.plan_of(site),
        None => &*rotation.plan,
    });
    let by = plan.map_or_else(By::itself, |plan| By::rotation_of(&plan.actor));
    let id = rotation.map(|rotation| &rotation.plan.id);
    let entry = entry(by, now.wall, &told.what);
    Some(entry.about(id, told.site.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_refused_too_often_is_counted_and_told_later() {
        let mut refusals = Refusals::default();
        let at = |millis| Mono(millis);
        let told = (0..1000).filter_map(|n| refusals.admit(at(5000 + n / 2)));
        assert_eq!(told.collect::<Vec<_>>(), [0; 10]);
        assert_eq!(refusals.admit(at(6000)), Some(990));
        assert_eq!(refusals.admit(at(6001)), Some(0));
    }

    #[test]
    fn files_that_changed_came_or_went_are_told_with_both_sums() {
        let root = "/etc/cleanslate/site.toml";
        let snapshot = |files: &[(&str, &str)]| Snapshot {
            root: root.into(),
            files: files
                .iter()
                .map(|(path, text)| ((*path).into(), Arc::from(text.as_bytes())))
                .collect(),
        };
        let old = sums(&snapshot(&[
            (root, "a"),
            ("/srv/compose.yaml", "b"),
            ("/srv/gone", "c"),
        ]));
        let new = sums(&snapshot(&[(root, "A"), ("/srv/compose.yaml", "b")]));
        let sum_of_a = "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb";
        assert_eq!(old["site.toml"], sum_of_a, "as sha256sum prints it");
        let changed = changed(&old, &new);
        let told: Vec<_> = changed
            .iter()
            .map(|(path, sums)| (path.as_str(), sums))
            .collect();
        assert_eq!(told.len(), 2);
        assert_eq!((told[0].0, &told[0].1.after), ("/srv/gone", &None));
        assert_eq!(
            (told[1].0, &told[1].1.before),
            ("site.toml", &Some(sum_of_a.to_owned()))
        );
    }
}
