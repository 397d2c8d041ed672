//! Words of a line that stand for a value.
use std::time::Duration;

use super::script::{Line, Wrong};
use crate::model::playbook::{FailureThen, Playbook, Preflight, StillBusy};
use crate::model::time::millis;

/// `90s`, `10m`, `2h`, in milliseconds.
pub(super) fn ms(line: &Line, word: &str) -> Result<u64, Wrong> {
    duration(line, word).map(millis)
}

fn duration(line: &Line, word: &str) -> Result<Duration, Wrong> {
    let parsed: Result<jiff::SignedDuration, _> = word.parse();
    let parsed = parsed.ok().and_then(|time| Duration::try_from(time).ok());
    parsed.ok_or_else(|| line.wrong(format!("{word:?} is no time"), "write 90s, 10m or 2h"))
}

pub(super) fn number(line: &Line, word: &str) -> Result<u32, Wrong> {
    let parsed = word.parse();
    parsed.map_err(|_| line.wrong(format!("{word:?} is no number"), "write 1, 2, …"))
}

/// `then=put_back`.
pub(super) fn plays_by(playbook: &mut Playbook, line: &Line, word: &str) -> Result<(), Wrong> {
    match word.split_once('=') {
        Some(("at_least", time)) => playbook.drain.at_least = duration(line, time)?,
        Some(("at_most", time)) => playbook.drain.at_most = duration(line, time)?,
        Some(("then", "put_back")) => playbook.drain.then = StillBusy::PutBack,
        Some(("then", "proceed")) => playbook.drain.then = StillBusy::Proceed,
        Some(("soak", time)) => playbook.soak.for_at_least = duration(line, time)?,
        Some(("preflight", "skip")) => playbook.failure.preflight = Preflight::Skip,
        Some(("preflight", "halt")) => playbook.failure.preflight = Preflight::Halt,
        Some(("failure", "last_good")) => playbook.failure.then = FailureThen::LastGood,
        Some(("max_unavailable", count)) => playbook.max_unavailable = number(line, count)?,
        Some(("hold", "true")) => playbook.verify.hold = true,
        Some(("containers", "keep")) => playbook.recreate.containers = false,
        Some(_) | None => {
            return Err(line.wrong(
                format!("a playbook has no {word}"),
                "use at_least=, at_most=, then=put_back|proceed, soak=, preflight=skip|halt, \
                 failure=last_good, max_unavailable=, containers=keep, hold=true",
            ));
        }
    }
    Ok(())
}
