//! Messages to people's chats and programs: one POST each, to where a `[[notify]]` says.
#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::time::Duration;

use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use serde::Serialize;
use sha2::Sha256;

use crate::coordinator::outcome::Problem;
use crate::model::fleet::{Notify, NotifyFormat};
use crate::model::id::{FleetName, RotationId, SiteName};
use crate::model::notice::Severity;

/// Nobody's chat takes longer; a night waits for none of them.
const WITHIN: Duration = Duration::from_secs(10);

/// Under this name the signature of a body goes along.
pub const SIGNATURE: &str = "cleanslate-signature";

/// Something that people are told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Message {
    pub v: u8,
    pub fleet: FleetName,
    pub severity: Severity,
    /// What happened, as in the event lines; `missed_run` and the like have no line.
    pub event: String,
    /// All messages of one rotation belong together.
    pub rotation: Option<RotationId>,
    pub site: Option<SiteName>,
    pub at: Timestamp,
    pub text: String,
    /// What a person does next, a command most often.
    pub next: Option<String>,
}

/// Where messages go to.
pub struct Webhook {
    notify: Notify,
    client: reqwest::Client,
}

impl Webhook {
    /// Contacts nothing.
    ///
    /// # Errors
    /// The system has no certificates to check others by.
    pub fn new(notify: &Notify) -> Result<Webhook, Problem> {
        let is_plain = notify.url.reveal().starts_with(b"http://");
        let builder = reqwest::Client::builder()
            .user_agent(concat!("cleanslate/", env!("CARGO_PKG_VERSION")))
            .timeout(WITHIN)
            // Whoever answers must not send what is said, or us, to somebody else.
            .redirect(reqwest::redirect::Policy::none());
        let builder = if is_plain {
            builder.tls_certs_only([])
        } else {
            builder.https_only(true)
        };
        let client = builder.build().map_err(|error| Problem {
            what: format!("notify {}: TLS cannot be set up: {error}", notify.name),
            cure: "install the system's certificates (Debian: ca-certificates)".to_owned(),
            is_transient: false,
        })?;
        let notify = notify.clone();
        Ok(Webhook { notify, client })
    }

    /// What it is for.
    pub fn notify(&self) -> &Notify {
        &self.notify
    }

    /// Says it, once.
    ///
    /// # Errors
    /// It was not taken; the address is a secret and is not told.
    pub async fn post(&self, message: &Message, now: Timestamp) -> Result<(), Problem> {
        let body = self.body(message);
        let mut request = self
            .client
            .post(self.notify.url.reveal_text())
            .header("content-type", "application/json");
        if let Some(key) = &self.notify.key {
            request = request.header(SIGNATURE, signature(key.reveal(), now, &body));
        }
        let answer = request.body(body).send().await;
        let name = &self.notify.name;
        let failed = |what: String, is_transient| Problem {
            what: format!("notify {name}: {what}"),
            cure: format!("check the url of [[notify]] {name}, and whoever answers there"),
            is_transient,
        };
        match answer {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => {
                let status = answer.status();
                let may_come = status.is_server_error() || status.as_u16() == 429;
                Err(failed(format!("HTTP {status}"), may_come))
            }
            Err(error) => {
                let what = innermost(&error.without_url());
                Err(failed(what, true))
            }
        }
    }

    fn body(&self, message: &Message) -> String {
        match self.notify.format {
            NotifyFormat::Json => serde_json::to_string(message),
            NotifyFormat::Slack => {
                serde_json::to_string(&serde_json::json!({ "text": slack(message) }))
            }
        }
        .expect("texts and numbers always serialize")
    }
}

/// `t=SECONDS,v1=HEX`: HMAC-SHA256 over the time, a dot and the body, so that a message that was
/// overheard cannot be sent again much later.
pub fn signature(key: &[u8], now: Timestamp, body: &str) -> String {
    let seconds = now.as_second();
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of every length");
    mac.update(format!("{seconds}.{body}").as_bytes());
    let sum = HEXLOWER.encode(&mac.finalize().into_bytes());
    format!("t={seconds},v1={sum}")
}

/// Slack's own notation: nothing in a name or an error may become a link or call somebody.
fn slack(message: &Message) -> String {
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

fn innermost(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}
