//! One place that messages are posted to.
use std::time::Duration;

use jiff::Timestamp;

use super::message::Message;
use super::slack::{self, Posted};
use super::threads::Threads;
use crate::coordinator::outcome::Problem;
use crate::model::fleet::{Notify, NotifyFormat};
use crate::webhook;

/// Nobody's chat takes longer; a night waits for none of them.
const WITHIN: Duration = Duration::from_secs(10);

/// An answer is a line; whoever sends more is no chat.
const ANSWER_BYTES: usize = 64 * 1024;

/// Where messages go to.
pub struct Webhook {
    notify: Notify,
    client: reqwest::Client,
    threads: Threads,
}

impl Webhook {
    /// Contacts nothing.
    ///
    /// # Errors
    /// The system has no certificates to check others by.
    pub fn new(notify: &Notify) -> Result<Webhook, Problem> {
        let is_plain = notify.url.reveal().starts_with(b"http://");
        let client = webhook::client(is_plain).map_err(|error| Problem {
            what: format!("notify {}: TLS cannot be set up: {error}", notify.name),
            cure: "install the system's certificates (Debian: ca-certificates)".to_owned(),
            is_transient: false,
        })?;
        Ok(Webhook {
            notify: notify.clone(),
            client,
            threads: Threads::default(),
        })
    }

    /// What it is for.
    pub fn notify(&self) -> &Notify {
        &self.notify
    }

    /// Says it, once.
    ///
    /// # Errors
    /// It was not taken; the address is a secret and is not told.
    pub async fn post(&mut self, message: &Message, now: Timestamp) -> Result<(), Problem> {
        let body = self.body(message);
        let mut request = self
            .client
            .post(self.notify.url.reveal_text())
            .timeout(WITHIN);
        if let Some(key) = &self.notify.key {
            let signed = webhook::signature(key.reveal(), now, &body);
            request = request.header(webhook::SIGNATURE, signed);
        }
        request = match &self.notify.format {
            NotifyFormat::Json | NotifyFormat::Slack => {
                request.header("content-type", "application/json")
            }
            NotifyFormat::SlackApi { token, .. } => request
                .header("content-type", "application/json; charset=utf-8")
                .bearer_auth(token.reveal_text()),
        };
        let answer = request.body(body).send().await;
        let answer = answer.map_err(|error| self.unreached(error))?;
        let status = answer.status();
        if !status.is_success() {
            let may_come = status.is_server_error() || status.as_u16() == 429;
            return Err(self.failed(&format!("HTTP {status}"), may_come));
        }
        match self.notify.format {
            NotifyFormat::Json | NotifyFormat::Slack => Ok(()),
            NotifyFormat::SlackApi { .. } => self.hear(message, answer).await,
        }
    }

    /// What the API says of it; the first message of a rotation begins its thread.
    async fn hear(&mut self, message: &Message, answer: reqwest::Response) -> Result<(), Problem> {
        let body = self.read(answer).await?;
        let answer: slack::Answer = serde_json::from_slice(&body)
            .map_err(|_| self.failed("the answer is none of Slack's", false))?;
        match answer.posted(&self.notify.name) {
            Posted::Done(first) => {
                if let (Some(rotation), Some(first)) = (&message.rotation, first)
                    && self.threads.of(rotation).is_none()
                {
                    self.threads.begin(rotation, first);
                }
                Ok(())
            }
            Posted::ThreadGone => {
                if let Some(rotation) = &message.rotation {
                    self.threads.forget(rotation);
                }
                Err(self.failed("the thread is gone: another begins", true))
            }
            Posted::Refused(problem) => Err(problem),
        }
    }

    async fn read(&self, mut answer: reqwest::Response) -> Result<Vec<u8>, Problem> {
        let mut body = Vec::new();
        while let Some(chunk) = answer
            .chunk()
            .await
            .map_err(|error| self.unreached(error))?
        {
            if body.len() + chunk.len() > ANSWER_BYTES {
                return Err(self.failed("the answer is too long", false));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn body(&self, message: &Message) -> String {
        let template = self.notify.template.as_ref();
        match &self.notify.format {
            NotifyFormat::Json => {
                let text = template.map(|template| message.worded(template, str::to_owned));
                let worded = Message {
                    text: text.unwrap_or_else(|| message.text.clone()),
                    ..message.clone()
                };
                serde_json::to_string(&worded).expect("texts and numbers always serialize")
            }
            NotifyFormat::Slack => {
                let text = slack::text(message, template);
                serde_json::json!({ "text": text }).to_string()
            }
            NotifyFormat::SlackApi { channel, .. } => {
                let rotation = message.rotation.as_ref();
                let thread = rotation.and_then(|rotation| self.threads.of(rotation));
                let text = slack::text(message, template);
                slack::post(&text, message, channel, thread).to_string()
            }
        }
    }

    fn unreached(&self, error: reqwest::Error) -> Problem {
        self.failed(&webhook::innermost(error), true)
    }

    fn failed(&self, what: &str, is_transient: bool) -> Problem {
        let name = &self.notify.name;
        Problem {
            what: format!("notify {name}: {what}"),
            cure: format!("check the url of [[notify]] {name}, and whoever answers there"),
            is_transient,
        }
    }
}
