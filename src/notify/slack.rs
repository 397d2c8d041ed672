//! Slack's own notation, and what its API answers.
use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::{Value, json};

use super::message::Message;
use crate::coordinator::outcome::Problem;
use crate::model::notice::Severity;
use crate::model::template::Template;

/// As a person reads it: nothing in a name or an error may become a link or call somebody. What a
/// template says of itself is the operator's.
pub(super) fn text(message: &Message, template: Option<&Template>) -> String {
    match template {
        Some(template) => message.worded(template, plain),
        None => usual(message),
    }
}

/// What `chat.postMessage` is asked. Within a thread, what people are needed for is shown to the
/// whole channel too.
pub(super) fn post(text: &str, message: &Message, channel: &str, thread: Option<&str>) -> Value {
    let mut post = json!({
        "channel": channel,
        "text": text,
        "unfurl_links": false,
        "unfurl_media": false,
    });
    if let Some(thread) = thread {
        post["thread_ts"] = json!(thread);
        post["reply_broadcast"] = json!(message.severity == Severity::Critical);
    }
    post
}

/// The API's answer: it comes with HTTP 200 whether or not it was done.
#[derive(Debug, Deserialize)]
pub(super) struct Answer {
    ok: bool,
    /// The message's own name: others may stand under it.
    ts: Option<String>,
    error: Option<String>,
}

/// What became of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Posted {
    /// Under this name, where it was told.
    Done(Option<String>),
    /// Its thread is there no more.
    ThreadGone,
    Refused(Problem),
}

impl Answer {
    pub(super) fn posted(self, name: &str) -> Posted {
        if self.ok {
            return Posted::Done(self.ts);
        }
        let error = self.error.unwrap_or_default();
        match error.as_str() {
            "thread_not_found" | "message_not_found" => Posted::ThreadGone,
            code => Posted::Refused(Problem {
                what: format!("notify {name}: Slack says {code:?}"),
                cure: cure(code, name),
                is_transient: is_transient(code),
            }),
        }
    }
}

/// <https://docs.slack.dev/reference/methods/chat.postMessage>
fn cure(code: &str, name: &str) -> String {
    match code {
        "channel_not_found" | "not_in_channel" => {
            format!("invite the bot to the channel of [[notify]] {name} (/invite), or name another")
        }
        "invalid_auth" | "not_authed" | "account_inactive" | "token_revoked" | "token_expired" => {
            format!("put a bot token that holds into the token file of [[notify]] {name}")
        }
        "missing_scope" | "no_permission" => {
            "give the app the scope chat:write and install it again".to_owned()
        }
        _ => "see Slack's documentation of chat.postMessage".to_owned(),
    }
}

fn is_transient(code: &str) -> bool {
    let codes = [
        "ratelimited",
        "rate_limited",
        "internal_error",
        "fatal_error",
        "service_unavailable",
        "request_timeout",
    ];
    codes.contains(&code)
}

fn usual(message: &Message) -> String {
    let sign = match message.severity {
        Severity::Info => "",
        Severity::Warning => ":warning: ",
        Severity::Critical => ":rotating_light: ",
    };
    let site = message.site.as_ref();
    let site = site.map_or(String::new(), |site| format!(" {site}:"));
    let mut text = format!("{sign}*{}*{site} {}", message.fleet, plain(&message.text));
    if let Some(next) = &message.next {
        let next = plain(next);
        let next = match next.starts_with("cleanslate ") {
            true => format!("`{}`", next.replace('`', "'")),
            false => next,
        };
        write!(text, "\nnext: {next}").expect("a text takes text");
    }
    if let Some(rotation) = &message.rotation {
        write!(text, "\n_{rotation}_").expect("a text takes text");
    }
    text
}

fn plain(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
