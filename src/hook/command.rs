//! A hook that is a command.
use std::time::Duration;

use super::call::{filled, title};
use super::process::{End, Ran, run as run_process};
use crate::coordinator::outcome::{HookAnswer, Problem};
use crate::model::hook::Telling;
use crate::model::id::SiteName;

/// `EX_TEMPFAIL` of sysexits.h: *not yet*.
const NOT_YET: i32 = 75;

/// Runs the command, without a shell, with `{site}` and `{peer}` filled into its words, and the
/// occasion in `CLEANSLATE_…`.
pub(super) async fn run(words: &[String], telling: &Telling<'_>, within: Duration) -> HookAnswer {
    let words: Vec<String> = words.iter().map(|word| filled(word, telling)).collect();
    let shown = words.join(" ");
    let failed = |what: String, is_transient| {
        let (title, hook) = (title(telling), telling.hook);
        HookAnswer::Failed(Problem {
            what: format!("{title}: {shown:?} {what}"),
            cure: format!(
                "run it by hand at the coordinator and look at why it fails, or see [[hook]] {hook} in site.toml"
            ),
            is_transient,
        })
    };
    let ran = run_process(&words, &environment(telling), within).await;
    let Ran { end, output } = match ran {
        Ok(ran) => ran,
        Err(why) => return failed(format!("cannot be run: {why}"), false),
    };
    match end {
        End::With(status) if status.success() => HookAnswer::Agreed,
        End::With(status) if status.code() == Some(NOT_YET) => HookAnswer::NotYet {
            why: output
                .last_line()
                .unwrap_or_else(|| "no reason is given".to_owned()),
            after: None,
        },
        End::With(status) => failed(format!("ended with {status}{}", output.quoted()), false),
        End::OutOfTime => failed(
            format!(
                "was not done within {within:?} and was killed{}",
                output.quoted()
            ),
            true,
        ),
    }
}

/// What the command is told; empty where there is nothing to tell, so that none is inherited.
fn environment(telling: &Telling<'_>) -> [(&'static str, String); 12] {
    let occasion = telling.occasion;
    let name = |site: Option<&SiteName>| site.map(ToString::to_string).unwrap_or_default();
    let peers: Vec<&str> = occasion.peers.iter().map(SiteName::as_str).collect();
    let digests = occasion.digests.iter();
    let digests: Vec<String> = digests
        .map(|(image, digest)| format!("{image}@{digest}"))
        .collect();
    [
        ("CLEANSLATE_HOOK", telling.hook.to_string()),
        ("CLEANSLATE_FLEET", occasion.fleet.to_string()),
        ("CLEANSLATE_ROTATION", occasion.rotation.to_string()),
        ("CLEANSLATE_SITE", name(occasion.site.as_ref())),
        ("CLEANSLATE_STEP", occasion.step.to_owned()),
        ("CLEANSLATE_DIGEST", digests.join(" ")),
        ("CLEANSLATE_ACTOR", occasion.actor.clone()),
        (
            "CLEANSLATE_REASON",
            occasion.reason.clone().unwrap_or_default(),
        ),
        ("CLEANSLATE_NEXT_SITE", name(occasion.next_site.as_ref())),
        ("CLEANSLATE_PEERS", peers.join(" ")),
        ("CLEANSLATE_PEER", name(telling.peer)),
        ("CLEANSLATE_END", occasion.end.clone().unwrap_or_default()),
    ]
}
