//! One hook at one occasion: called once, or once for each peer, all side by side.
use futures_util::future::join_all;
use jiff::Timestamp;

use super::{command, http};
use crate::coordinator::outcome::HookAnswer;
use crate::model::hook::{Call, Hook, Occasion, Telling};
use crate::model::id::SiteName;

/// Calls the hook, and says what it said. Of many peers all must agree; one that failed counts
/// before one that says *not yet*. Where there are none, nobody objects.
pub async fn call(hook: &Hook, occasion: &Occasion, at: Timestamp) -> HookAnswer {
    let peers: Vec<Option<&SiteName>> = if hook.peers {
        occasion.peers.iter().map(Some).collect()
    } else {
        vec![None]
    };
    let calls = peers.into_iter().map(|peer| {
        let telling = Telling {
            v: 1,
            hook: &hook.name,
            at,
            occasion,
            peer,
        };
        one(hook, telling)
    });
    let mut answers = join_all(calls).await;
    // The gravest first; the earliest of the peers where they are alike.
    answers.sort_by_key(|answer| match answer {
        HookAnswer::Failed(_) => 0,
        HookAnswer::NotYet { .. } => 1,
        HookAnswer::Agreed => 2,
    });
    answers.into_iter().next().unwrap_or(HookAnswer::Agreed)
}

async fn one(hook: &Hook, telling: Telling<'_>) -> HookAnswer {
    match &hook.call {
        Call::Command(words) => command::run(words, &telling, hook.within).await,
        Call::Http { url, key } => http::post(url, key.as_ref(), &telling, hook.within).await,
    }
}

/// `{site}` and `{peer}` as this telling has them; empty where it has none.
pub(super) fn filled(text: &str, telling: &Telling<'_>) -> String {
    let site = telling.occasion.site.as_ref();
    text.replace("{site}", site.map_or("", SiteName::as_str))
        .replace("{peer}", telling.peer.map_or("", SiteName::as_str))
}

/// `hook make-room`, and of whom: it is one of many in what is said of it.
pub(super) fn title(telling: &Telling<'_>) -> String {
    let mut title = format!("hook {}", telling.hook);
    if let Some(site) = &telling.occasion.site {
        title = format!("{title} of {site}");
    }
    if let Some(peer) = telling.peer {
        title = format!("{title} at {peer}");
    }
    title
}
