//! Whom others are: hooks and places that messages go to. Nobody is called and nothing is posted: they
//! would be taken at their word.
use futures_util::future::join_all;

use super::Check;
use crate::model::fleet::Fleet;
use crate::model::hook::{Call, Hook};
use crate::webhook::reach;

pub(super) async fn checks(fleet: &Fleet) -> Vec<Check> {
    let hooks = fleet.hooks.iter().map(of_hook);
    let mut checks = join_all(hooks).await;
    let places = fleet.notifies.iter().map(|notify| {
        let asked = format!("notify {}", notify.name);
        let cure = format!(
            "check the url of [[notify]] {}, and who is to answer there",
            notify.name
        );
        let url = notify.url.reveal_text();
        async move { reached(asked, &url, cure).await }
    });
    checks.extend(join_all(places).await);
    if let Some(traces) = &fleet.traces {
        let cure = "check otlp of [traces], and the collector: traces are lost until it answers";
        checks.push(reached("traces".to_owned(), &traces.otlp, cure.to_owned()).await);
    }
    checks
}

async fn of_hook(hook: &Hook) -> Check {
    let asked = format!("hook {}", hook.name);
    match &hook.call {
        Call::Command(words) => {
            let program = words.first().map(String::as_str).unwrap_or_default();
            match crate::hook::find(program) {
                Some(path) => Check::well(asked, format!("{} can be run", path.display())),
                None => Check::wrong(
                    asked,
                    format!("there is no program {program:?} that can be run"),
                    format!(
                        "put it there with its x bits, or correct command of [[hook]] {}",
                        hook.name
                    ),
                ),
            }
        }
        Call::Http { url, .. } => {
            let cure = format!(
                "check http of [[hook]] {}, and who is to answer there",
                hook.name
            );
            reached(asked, url, cure).await
        }
    }
}

async fn reached(asked: String, url: &str, cure: String) -> Check {
    match Box::pin(reach(url)).await {
        Ok(()) => Check::well(asked, "somebody answers there; nothing was posted"),
        Err(why) => Check::unasked(asked, why, cure),
    }
}
