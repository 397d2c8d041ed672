//! A record in one line, for people.
use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::change::{Changed, RecordChange};
use super::containers::Container;
use super::plan::Planned;
use super::what::{Reason, What};
use crate::api::release::left_behind;
use crate::api::when::span;
use crate::api::words::counted;
use crate::model::id::HostName;
use crate::model::image::Digest;

/// What a record tells. One of a later program is shown as it stands.
pub(crate) fn words(kind: &str, body: &str) -> String {
    let text = match What::read(kind, body) {
        Some(what) => told(&what),
        None => format!("{}: {body}", kind.replace('_', " ")),
    };
    printable(&text)
}

/// Reasons and names are other people's: they must not steer the terminal.
fn printable(text: &str) -> String {
    let shown = |c: char| if c.is_control() { '\u{b7}' } else { c };
    text.chars().map(shown).collect()
}

fn told(what: &What) -> String {
    match what {
        What::Command { asked } => format!("asked: {}", command(asked)),
        What::Refused {
            asked,
            rule,
            reasons,
        } => {
            let rule = rule
                .as_ref()
                .map_or(String::new(), |rule| format!("{rule}: "));
            format!("refused: {}: {rule}{}", command(asked), reasons_of(reasons))
        }
        What::RefusalsLeftOut { count } => format!("{count} more were refused before this"),
        What::RunMissed { run, late_seconds } => {
            let late = span(Duration::from_secs(late_seconds.unsigned_abs()));
            format!("{run} did not begin in time: {late} late")
        }
        What::RunFrozen { run, reason } => format!("{run} is frozen: {reason}"),
        What::Started {
            command,
            version,
            holder,
            epoch,
            files,
        } => {
            let files = counted(files.len() as u64, "file");
            format!("started: {command} ({version}, holder {holder}, epoch {epoch}, {files} read)")
        }
        What::Stopped {} => "stopped".to_owned(),
        What::StoreMoved {
            made,
            from,
            holder,
            rotation,
            ..
        } => {
            let ran = rotation.as_ref();
            let ran = ran.map_or(String::new(), |id| format!("; {id} had not ended there"));
            format!(
                "moved here: holder {holder}, from a backup of holder {from} made {made:.0}{ran}"
            )
        }
        What::Reloaded { files } => reloaded(files),
        What::ReloadRefused { why } => format!("the configuration stays as it was: {why}"),
        What::AuditSetAside { why, table } => {
            format!("the audit was damaged ({why}) and is kept as {table}")
        }
        What::TokenCreated {
            name,
            role,
            expires,
            by,
        } => {
            let until = expires.map_or("for ever".to_owned(), |at| format!("until {at:.0}"));
            format!("a token of role {role} was made for {name} by {by}, {until}")
        }
        What::TokenRevoked { name, role } => {
            format!("the token of {name} (role {role}) was revoked")
        }
        What::TokensEdited { names } => {
            format!("the file of tokens was edited: {}", names.join(", "))
        }
        What::RotationPlanned(plan) => format!("planned: {}", planned(plan)),
        What::RebuildQueued(plan) => format!("follows the visits in hand: {}", planned(plan)),
        What::RotationTakenUp {} => "taken up where an earlier process left it".to_owned(),
        What::RotationPaused { reason } => format!("paused: {reason}"),
        What::RotationResumed { reason } => format!("resumed{}", because(reason.as_deref())),
        What::TrialAccepted { reason } => {
            format!("tried by hand, and accepted{}", because(reason.as_deref()))
        }
        What::TrialWaived {} => "goes in untried: the rotation was ended".to_owned(),
        What::TrialRefused { reason } => format!("tried by hand, and refused: {reason}"),
        What::RotationAborting { reason } => {
            format!(
                "ends, and is brought to safety{}",
                because(reason.as_deref())
            )
        }
        What::RotationHalted { why, .. } => format!("halted: {why}"),
        What::RotationEnded { end, why } => {
            format!("ended: {}{}", plain(end), because(why.as_deref()))
        }
        What::TakeOverAllowed { holder, epoch } => {
            let holder = holder.as_ref().map_or("nobody", |holder| holder.as_str());
            format!("the marker of {holder} (epoch {epoch}) may be taken over")
        }
        What::Deposed { rule, why } => format!("nothing more is sent: {rule}: {why}"),
        What::TagMoved { moved } => {
            let images: Vec<String> = moved.keys().map(ToString::to_string).collect();
            format!("moved since it was pinned: {}", images.join(", "))
        }
        What::ReleaseBegun {
            act,
            what,
            moves,
            reason,
        } => {
            let tags = counted(moves.len() as u64, "tag");
            format!(
                "act {act}, {what}: {tags} to move{}",
                because(reason.as_deref())
            )
        }
        What::TagPut {
            act,
            image,
            old,
            new,
        } => format!("act {act}: {image} {}", from_to(old.as_ref(), new)),
        What::ReleaseTurnedBack { act, why } => format!("act {act} is taken back: {why}"),
        What::ReleaseEnded {
            act,
            end,
            why,
            left,
        } => {
            let left = match left_behind(left) {
                none if none.is_empty() => none,
                left => format!("; left: {left}"),
            };
            format!(
                "act {act} ended: {}{}{left}",
                plain(end),
                because(why.as_deref())
            )
        }
        What::TagFound {
            image,
            old,
            new,
            why,
        } => format!(
            "{image} was moved by others: {} ({why})",
            from_to(old.as_ref(), new)
        ),
        What::KeepTagPut { image, digest } => format!("{} is kept as {image}", digest.short()),
        What::KeepTagRemoved { image, digest } => {
            format!("{} is kept no more: {image} is removed", digest.short())
        }
        What::KeepTagLeft {
            image,
            digest,
            found,
        } => {
            let names = from_to(Some(digest), found);
            format!("{image} was moved by others and is left to them: {names}")
        }
        What::UpdateSent {
            purpose,
            epoch,
            seq,
            marker,
            records,
        } => {
            let changes = changes(marker, records);
            format!(
                "UPDATE sent, {} (epoch {epoch}, seq {seq}): {changes}",
                plain(purpose)
            )
        }
        What::UpdateApplied {
            purpose,
            epoch,
            seq,
            ..
        } => format!(
            "UPDATE applied, {} (epoch {epoch}, seq {seq})",
            plain(purpose)
        ),
        What::UpdateNotApplied { why } => format!("UPDATE not applied: {why}"),
        What::UpdateUnknown { why } => format!("UPDATE unknown, it is settled next: {why}"),
        What::ChangeRefused {
            purpose, rule, why, ..
        } => format!("no: {}: {rule}: {why}", plain(purpose)),
        What::VisitStarted {} => "visit started".to_owned(),
        What::Drained { seconds, because } => {
            let lasted = span(Duration::from_secs(*seconds));
            format!("drained in {lasted}: {}", plain(because))
        }
        What::PutInByHand {} => "somebody put it into DNS by hand".to_owned(),
        What::Verified {} => "verified".to_owned(),
        What::AttemptFailed { attempt, why } => format!("attempt {attempt} failed: {why}"),
        What::RollbackBegun { why, barred, .. } => {
            let barred: Vec<&str> = barred.values().map(|digest| digest.short()).collect();
            let barred = match barred.as_slice() {
                [] => String::new(),
                barred => format!("; barred: {}", barred.join(", ")),
            };
            format!("rolled back to the images that passed here last: {why}{barred}")
        }
        What::DigestCleared { digest, reason } => {
            format!("{} is barred no more: {reason}", digest.short())
        }
        What::Soaked {} => "soaked: healthy in service".to_owned(),
        What::SoakBroken { why } => format!("fails in service: {why}"),
        What::PuttingBack { why } => format!("goes back as it was: {why}"),
        What::StoppedAnswering { why } => format!("stopped answering: {why}"),
        What::VisitEnded { end, why, .. } => {
            format!("visit ended: {}{}", plain(end), because(why.as_deref()))
        }
        What::ImagesPulled { host } => format!("{host}: images pulled"),
        What::ContainersCreated {
            host,
            containers,
            is_proof,
        } => {
            let proof = if *is_proof { ", as a proof" } else { "" };
            format!("{host}: created{proof}: {}", listed(containers))
        }
        What::BeforeSent {} => "the playbook's command runs".to_owned(),
        What::Tightened { changes } => format!("counts at once: {}", changes.join(", ")),
        What::HookCalled { hook } => format!("hook {hook} is called"),
        What::HookDeferred { hook, why } => format!("hook {hook} says not yet: {why}"),
        What::HookEnded {
            hook,
            problem: None,
        } => format!("hook {hook} agreed"),
        What::HookEnded {
            hook,
            problem: Some(why),
        } => format!("hook {hook} failed: {why}"),
        What::BeforeEnded { problem: None } => "the playbook's command ended well".to_owned(),
        What::BeforeEnded {
            problem: Some(problem),
        } => format!("the playbook's command failed: {problem}"),
        What::RemovalSent { hosts } => format!("to be stopped and removed: {}", by_host(hosts)),
        What::ContainersRemoved { host, removed } => {
            format!(
                "{host}: removed {}",
                counted(u64::from(*removed), "container")
            )
        }
        What::RemovalUnknown { host, why } => format!("{host}: removal unknown: {why}"),
        What::StartSent { hosts } => format!("to be started: {}", by_host(hosts)),
        What::ContainersStarted { host } => format!("{host}: started"),
        What::NotStarted { host, why } => format!("{host}: not started: {why}"),
        What::DiscardSent { hosts } => format!("never started, to be removed: {}", by_host(hosts)),
        What::Discarded {
            host,
            problem: None,
        } => format!("{host}: removed what was never started"),
        What::Discarded {
            host,
            problem: Some(problem),
        } => format!("{host}: not removed: {problem}"),
        What::ImagesPruned {
            host,
            images,
            bytes,
        } => {
            let images = counted(u64::from(*images), "image");
            format!("{host}: {images} pruned, {} MiB", bytes >> 20)
        }
    }
}

/// `rebuild nyc: kernel oops (below_floor)`.
fn command(asked: &Value) -> String {
    let text = |key: &str| asked.get(key).and_then(Value::as_str);
    let mut line = plain(text("command").unwrap_or("?"));
    for key in ["playbook", "site", "from", "to", "tag"] {
        if let Some(text) = text(key) {
            line = format!("{line} {text}");
        }
    }
    if let Some(reason) = text("reason").filter(|reason| !reason.is_empty()) {
        line = format!("{line}: {reason}");
    }
    let is_told = |key: &str| {
        [
            "command", "playbook", "site", "from", "to", "tag", "reason", "wait", "seen",
        ]
        .contains(&key)
    };
    let fields = asked.as_object().into_iter().flatten();
    let rest = fields.filter(|(key, _)| !is_told(key));
    let rest: Vec<String> = rest
        .map(|(key, value)| match value {
            Value::Bool(true) => key.clone(),
            Value::String(text) => format!("{key} {text}"),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::Array(_)
            | Value::Object(_) => format!("{key} {value}"),
        })
        .collect();
    if rest.is_empty() {
        return line;
    }
    format!("{line} ({})", rest.join(", "))
}

fn reasons_of(reasons: &[Reason]) -> String {
    let reasons: Vec<&str> = reasons.iter().map(|reason| reason.why.as_str()).collect();
    reasons.join("; ")
}

fn planned(plan: &Planned) -> String {
    let waves = plan.waves.iter().map(|wave| {
        let sites: Vec<&str> = wave.iter().map(|site| site.as_str()).collect();
        sites.join("+")
    });
    let waves = match waves.collect::<Vec<_>>().join(", ") {
        sites if sites.is_empty() => "no site".to_owned(),
        sites => sites,
    };
    let overrides = match plan.overrides.join(", ") {
        none if none.is_empty() => none,
        said => format!("; overrides: {said}"),
    };
    let images = counted(plan.digests.len() as u64, "image");
    let pinned = plan.pinned.iter().map(|(site, own)| {
        let own: Vec<&str> = own.values().map(Digest::short).collect();
        format!("; {site} pinned to {}", own.join(", "))
    });
    let pinned: String = pinned.collect();
    let (mode, playbook) = (plain(&plan.mode), &plan.playbook);
    let reason = because(plan.reason.as_deref());
    format!("{mode} by {playbook}: {waves}; {images} pinned{pinned}{overrides}{reason}")
}

fn reloaded(files: &BTreeMap<String, Changed<Option<String>>>) -> String {
    let file = |(path, sums): (&String, &Changed<Option<String>>)| {
        let sum = |sum: &Option<String>| {
            sum.as_ref()
                .map_or("-".to_owned(), |sum| sum.chars().take(12).collect())
        };
        format!("{path} {} → {}", sum(&sums.before), sum(&sums.after))
    };
    match files.iter().map(file).collect::<Vec<_>>().join(", ") {
        none if none.is_empty() => "the configuration was read anew: no file changed".to_owned(),
        changed => format!("the configuration was read anew: {changed}"),
    }
}

fn changes(marker: &Changed<Option<String>>, records: &[RecordChange]) -> String {
    let of_record = |change: &RecordChange| {
        let added = change.after.difference(&change.before);
        let removed = change.before.difference(&change.after);
        let added = added.map(|address| format!("+{address}"));
        let removed = removed.map(|address| format!("-{address}"));
        let moved: Vec<String> = removed.chain(added).collect();
        format!("{} {} {}", change.record, change.family, moved.join(" "))
    };
    let of_records = records.iter().map(of_record);
    let of_marker = marker_changes(marker);
    of_records.chain(of_marker).collect::<Vec<_>>().join("; ")
}

/// What the marker says otherwise after it, of what is for people.
fn marker_changes(marker: &Changed<Option<String>>) -> Option<String> {
    const TOLD: [&str; 6] = ["holder", "rotation", "out", "dirty", "held", "cordon"];
    let (before, after) = (strings(&marker.before), strings(&marker.after));
    let said = |strings: &BTreeMap<String, String>, key: &str| {
        let said = strings.get(key).filter(|said| !said.is_empty());
        said.cloned().unwrap_or_else(|| "-".to_owned())
    };
    let change = |key: &str| {
        let (before, after) = (said(&before, key), said(&after, key));
        (before != after).then(|| format!("{key}={before} → {after}"))
    };
    let changed: Vec<String> = TOLD.into_iter().filter_map(change).collect();
    (!changed.is_empty()).then(|| changed.join(", "))
}

/// The marker's strings by their keys; a list that goes on in a second string of the same key is
/// one.
fn strings(text: &Option<String>) -> BTreeMap<String, String> {
    let mut strings: BTreeMap<String, String> = BTreeMap::new();
    let pairs = text.iter().flat_map(|text| text.split(' '));
    for (key, value) in pairs.filter_map(|string| string.split_once('=')) {
        let said = strings.entry(key.to_owned()).or_default();
        if !said.is_empty() {
            said.push(',');
        }
        said.push_str(value);
    }
    strings
}

fn by_host(hosts: &BTreeMap<HostName, Vec<Container>>) -> String {
    let hosts = hosts.iter();
    let hosts = hosts.map(|(host, containers)| format!("{host} {}", listed(containers)));
    hosts.collect::<Vec<_>>().join("; ")
}

/// `edge-web-1 0123456789ab (sha256:fedcba987654)`.
fn listed(containers: &[Container]) -> String {
    let short = |text: &str, length| text.chars().take(length).collect::<String>();
    let container = |container: &Container| {
        let name = container
            .name
            .as_ref()
            .map_or(String::new(), |name| format!("{name} "));
        let digest = container.digests.first();
        let digest = digest.map_or(String::new(), |digest| {
            format!(" ({})", short(digest.as_str(), "sha256:".len() + 12))
        });
        format!("{name}{}{digest}", short(container.id.as_str(), 12))
    };
    containers
        .iter()
        .map(container)
        .collect::<Vec<_>>()
        .join(", ")
}

fn from_to(old: Option<&Digest>, new: &Digest) -> String {
    format!("{} → {}", old.map_or("-", Digest::short), new.short())
}

fn because(why: Option<&str>) -> String {
    why.map_or(String::new(), |why| format!(": {why}"))
}

fn plain(word: &str) -> String {
    word.replace('_', " ")
}
