//! A hook that is posted to.
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::call::{filled, title};
use crate::coordinator::outcome::{HookAnswer, Problem};
use crate::model::hook::Telling;
use crate::model::text::Secret;
use crate::webhook;

/// A reason is a line.
const REASON_BYTES: usize = 300;

/// Whoever could not be reached is tried again after this, while there is time.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Posts the occasion as JSON, with `{site}` and `{peer}` filled into the URL, and signed where
/// there is a key. No redirect is followed. Whoever cannot be reached is tried until `within` is
/// over; whoever was reached is not posted to again.
pub(super) async fn post(
    url: &str,
    key: Option<&Secret>,
    telling: &Telling<'_>,
    within: Duration,
) -> HookAnswer {
    let url = filled(url, telling);
    let mut unreached = None;
    let posted = timeout(within, async {
        loop {
            match try_once(&url, key, telling).await {
                Ok(answer) => return answer,
                Err(why) => unreached = Some(why),
            }
            sleep(AGAIN_AFTER).await;
        }
    });
    let title = title(telling);
    match posted.await {
        Ok(Said::Yes) => HookAnswer::Agreed,
        Ok(Said::NotYet { why, after }) => HookAnswer::NotYet { why, after },
        Ok(Said::No(what)) => failed(telling, format!("{title}: {what}"), false),
        Err(_) => {
            let what = match unreached {
                Some(why) => format!("cannot be reached: {why}"),
                None => "has not answered".to_owned(),
            };
            failed(telling, format!("{title}: {what}, within {within:?}"), true)
        }
    }
}

enum Said {
    Yes,
    NotYet {
        why: String,
        after: Option<Duration>,
    },
    No(String),
}

/// # Errors
/// Nobody was reached, so nothing was said.
async fn try_once(url: &str, key: Option<&Secret>, telling: &Telling<'_>) -> Result<Said, String> {
    let client = match webhook::client(url.starts_with("http://")) {
        Ok(client) => client,
        Err(error) => {
            let why = webhook::innermost(error);
            return Ok(Said::No(format!("TLS cannot be set up: {why}")));
        }
    };
    let body = serde_json::to_string(telling).expect("texts and string keys always serialize");
    let mut request = client.post(url).header("content-type", "application/json");
    if let Some(key) = key {
        let signed = webhook::signature(key.reveal(), telling.at, &body);
        request = request.header(webhook::SIGNATURE, signed);
    }
    let answer = match request.body(body).send().await {
        Ok(answer) => answer,
        Err(error) if error.is_connect() => return Err(webhook::innermost(error)),
        Err(error) => {
            let why = webhook::innermost(error);
            return Ok(Said::No(format!("no answer: {why}")));
        }
    };
    let status = answer.status();
    if status.is_success() {
        return Ok(Said::Yes);
    }
    let after = answer
        .headers()
        .get(reqwest::header::RETRY_AFTER)
        .and_then(|after| after.to_str().ok()?.trim().parse().ok())
        .map(Duration::from_secs);
    let why = first_line(answer).await;
    Ok(if status == reqwest::StatusCode::SERVICE_UNAVAILABLE {
        let why = why.unwrap_or_else(|| "no reason is given".to_owned());
        Said::NotYet { why, after }
    } else {
        let why = why.map_or(String::new(), |why| format!(" ({why})"));
        Said::No(format!("HTTP {status}{why}"))
    })
}

/// The first line of an answer, without what a terminal would obey.
async fn first_line(mut answer: reqwest::Response) -> Option<String> {
    let mut bytes = Vec::new();
    while bytes.len() < REASON_BYTES {
        match answer.chunk().await {
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) | Err(_) => break,
        }
    }
    bytes.truncate(REASON_BYTES);
    let text = String::from_utf8_lossy(&bytes);
    super::process::line(text.lines().find(|line| !line.trim().is_empty())?)
}

fn failed(telling: &Telling<'_>, what: String, is_transient: bool) -> HookAnswer {
    HookAnswer::Failed(Problem {
        what,
        cure: format!(
            "see [[hook]] {} in site.toml, and whoever answers there",
            telling.hook
        ),
        is_transient,
    })
}
