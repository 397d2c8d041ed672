//! Tells people what happens: each `[[notify]]` has a task of its own, so that a chat that hangs
//! holds up neither the others nor a rotation.
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc};
use tokio::task::JoinSet;

use super::super::clock::Clock;
use super::Note;
use super::severity::severity;
use super::waits::Waits;
use crate::api::metrics::Metrics;
use crate::api::public::{Line, Public};
use crate::api::when::When;
use crate::api::words::words;
use crate::model::fleet::Fleet;
use crate::model::id::{Channel, FleetName, SiteName};
use crate::model::notice::Severity;
use crate::notify::{AuditHead, Message, Webhook};

/// What is not taken is said again after these, and then given up.
const AGAIN_AFTER: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(25),
];

/// How long the end of the process waits for what was not said yet.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// So many notes wait for a chat that hangs.
const NOTES_BEHIND: usize = 64;

/// Everybody who is told.
pub(super) struct Messenger {
    notes: Vec<mpsc::Sender<Word>>,
    /// Those of them who keep where the audit ends.
    keepers: Vec<mpsc::Sender<Word>>,
    tasks: JoinSet<()>,
}

/// Something that is no event of a rotation.
#[derive(Clone, Debug)]
enum Word {
    Note(Note),
    Head(AuditHead),
}

impl Messenger {
    /// Tells what the fleet's `[[notify]]` ask for, from now on.
    pub(super) fn start(
        fleet: &Fleet,
        clock: Clock,
        metrics: &Arc<Metrics>,
        listen: impl Fn() -> broadcast::Receiver<Arc<str>>,
    ) -> Messenger {
        let channels: Arc<BTreeMap<SiteName, Channel>> = Arc::new(
            fleet
                .sites
                .values()
                .map(|site| (site.name.clone(), site.channel.clone()))
                .collect(),
        );
        let mut messenger = Messenger {
            notes: Vec::new(),
            keepers: Vec::new(),
            tasks: JoinSet::new(),
        };
        for notify in &fleet.notifies {
            let webhook = match Webhook::new(notify) {
                Ok(webhook) => webhook,
                Err(problem) => {
                    tracing::warn!(what = problem.what, cure = problem.cure);
                    continue;
                }
            };
            let (notes, noted) = mpsc::channel(NOTES_BEHIND);
            let herald = Herald {
                webhook,
                waits: Waits::new(notify.waiting),
                fleet: fleet.name.clone(),
                channels: Arc::clone(&channels),
                metrics: Arc::clone(metrics),
                clock,
            };
            messenger.tasks.spawn(herald.tell(listen(), noted));
            if notify.audit {
                messenger.keepers.push(notes.clone());
            }
            messenger.notes.push(notes);
        }
        messenger
    }

    /// Something that is no event of a rotation.
    pub(super) fn note(&self, note: &Note) {
        for notes in &self.notes {
            if notes.try_send(Word::Note(note.clone())).is_err() {
                tracing::warn!(what = note.what, "not told: too much waits to be");
            }
        }
    }

    /// Whether somebody keeps where the audit ends.
    pub(super) fn has_keepers(&self) -> bool {
        !self.keepers.is_empty()
    }

    /// Where the audit ends, for those who keep it.
    pub(super) fn audit_ends(&self, head: &AuditHead) {
        for keeper in &self.keepers {
            if keeper.try_send(Word::Head(head.clone())).is_err() {
                tracing::warn!(
                    head.head,
                    "the audit's head is not told: too much waits to be"
                );
            }
        }
    }

    /// Says what was not said yet, for a while.
    pub(super) async fn end(mut self) {
        self.notes.clear();
        self.keepers.clear();
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(LAST_WORDS, all).await.is_err() {
            tracing::warn!("not everything was told");
        }
    }
}

/// One webhook, and what a message is made with.
struct Herald {
    webhook: Webhook,
    waits: Waits,
    fleet: FleetName,
    channels: Arc<BTreeMap<SiteName, Channel>>,
    metrics: Arc<Metrics>,
    clock: Clock,
}

impl Herald {
    /// Until nobody makes notes any more, and every line was told.
    async fn tell(
        mut self,
        mut lines: broadcast::Receiver<Arc<str>>,
        mut notes: mpsc::Receiver<Word>,
    ) {
        loop {
            let message = tokio::select! {
                biased;
                line = lines.recv() => match line {
                    Ok(line) => self.of_line(&line),
                    Err(RecvError::Lagged(missed)) => {
                        tracing::warn!(missed, "event lines were not told");
                        None
                    }
                    Err(RecvError::Closed) => return,
                },
                note = notes.recv() => match note {
                    Some(Word::Note(note)) => self.of_note(&note),
                    Some(Word::Head(head)) => Some(self.of_head(head)),
                    None => break,
                },
            };
            self.deliver(message).await;
        }
        while let Ok(line) = lines.try_recv() {
            let message = self.of_line(&line);
            self.deliver(message).await;
        }
    }

    async fn deliver(&mut self, message: Option<Message>) {
        let Some(message) = message.filter(|message| self.is_wanted(message)) else {
            return;
        };
        let mut pauses = AGAIN_AFTER.into_iter();
        loop {
            let now = self.clock.now().wall;
            let Err(problem) = self.webhook.post(&message, now).await else {
                return;
            };
            let pause = pauses.next().filter(|_| problem.is_transient);
            let Some(pause) = pause else {
                tracing::warn!(what = problem.what, cure = problem.cure, "not told");
                self.metrics.not_told();
                return;
            };
            tokio::time::sleep(pause).await;
        }
    }

    fn is_wanted(&self, message: &Message) -> bool {
        if message.audit.is_some() {
            return true;
        }
        let site = message.site.as_ref();
        let about = site.and_then(|site| Some((site, self.channels.get(site)?)));
        self.webhook.notify().wants(message.severity, about)
    }

    fn of_line(&mut self, text: &str) -> Option<Message> {
        let line: Line = serde_json::from_str(text).ok()?;
        let is_due = self.waits.is_due(&line);
        if !is_due && matches!(line.public, Public::Waiting { .. }) {
            return None;
        }
        let severity = severity(&line.public, line.at)?;
        let event = serde_json::to_value(&line.public).ok()?;
        let event = event.get("event")?.as_str()?.to_owned();
        let next = if let Public::RotationHalted { next, .. } = &line.public {
            Some(next.clone())
        } else if let Public::SiteQuarantined { .. } = &line.public {
            let site = line.site.as_ref()?;
            Some(format!("cleanslate rebuild {site} --reason TEXT"))
        } else if let (Public::Waiting { .. }, Severity::Warning) = (&line.public, severity) {
            Some("cleanslate status".to_owned())
        } else if let Public::TrialBegun { next, .. } = &line.public {
            Some(next.clone())
        } else {
            None
        };
        Some(Message {
            v: 1,
            fleet: self.fleet.clone(),
            severity,
            event,
            text: words(&line, &When::utc(), line.at),
            rotation: Some(line.rotation),
            site: line.site,
            at: line.at,
            next,
            audit: None,
        })
    }

    /// `None`: it is about channels of which others hear.
    fn of_note(&self, note: &Note) -> Option<Message> {
        let wants = |of| self.webhook.notify().wants_of(note.severity, of);
        if !note.channels.as_ref().is_none_or(wants) {
            return None;
        }
        Some(Message {
            v: 1,
            fleet: self.fleet.clone(),
            severity: note.severity,
            event: "note".to_owned(),
            rotation: None,
            site: None,
            at: self.clock.now().wall,
            text: note.what.clone(),
            next: note.cure.clone(),
            audit: None,
        })
    }

    fn of_head(&self, head: AuditHead) -> Message {
        Message {
            v: 1,
            fleet: self.fleet.clone(),
            severity: Severity::Info,
            event: "audit_head".to_owned(),
            rotation: None,
            site: None,
            at: self.clock.now().wall,
            text: format!("the audit ends at record {}: {}", head.records, head.head),
            next: None,
            audit: Some(head),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::coordinator::tests::world::fleet;
    use crate::model::fleet::{Notify, NotifyFormat};
    use crate::model::text::Secret;

    /// Takes every message, but answers the first with an error; tells the bodies in order.
    async fn chat() -> (Secret, mpsc::UnboundedReceiver<serde_json::Value>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let (said, heard) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut answer = "HTTP/1.1 503 Busy\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut text = String::new();
                let mut buffer = [0; 8192];
                let body = loop {
                    let length = stream.read(&mut buffer).await.unwrap();
                    text.push_str(&String::from_utf8_lossy(&buffer[..length]));
                    let body = text.split_once("\r\n\r\n").map(|(_, body)| body);
                    if let Some(Ok(body)) = body.map(serde_json::from_str) {
                        break body;
                    }
                };
                stream.write_all(answer.as_bytes()).await.unwrap();
                if answer.contains("200") {
                    said.send(body).unwrap();
                }
                answer = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            }
        });
        (Secret::from(url), heard)
    }

    fn metrics() -> Arc<Metrics> {
        let (fleet, holder) = ("edge".parse().unwrap(), "holder-a".parse().unwrap());
        Arc::new(Metrics::new(
            &fleet,
            "1.2.3",
            holder,
            jiff::Timestamp::UNIX_EPOCH,
        ))
    }

    fn line(site: Option<&str>, public: Public) -> Arc<str> {
        let line = Line {
            v: 1,
            n: 1,
            at: "2026-11-22T03:20:00Z".parse().unwrap(),
            rotation: "nightly-20261122T020000-cron".parse().unwrap(),
            epoch: 7,
            site: site.map(|site| site.parse().unwrap()),
            step: None,
            public,
        };
        line.json().into()
    }

    #[tokio::test]
    async fn what_matters_is_told_in_order_and_nothing_is_lost_at_the_end() {
        drop(rustls::crypto::ring::default_provider().install_default());
        let (url, mut heard) = chat().await;
        let mut fleet = fleet();
        fleet.notifies.push(Notify {
            name: "chat".to_owned(),
            url,
            format: NotifyFormat::Json,
            key: None,
            from: Severity::Warning,
            sites: Some(["fra".parse().unwrap()].into()),
            channels: None,
            waiting: Duration::from_secs(300),
            template: None,
            audit: true,
        });
        let (lines, _) = broadcast::channel(64);
        let (metrics, clock) = (metrics(), Clock::start());
        let messenger = Messenger::start(&fleet, clock, &metrics, || lines.subscribe());
        let skipped = |site: &str| {
            let (why, cure) = ("a port is held".to_owned(), "free it".to_owned());
            line(Some(site), Public::SiteSkipped { why, cure })
        };
        let halted = Public::RotationHalted {
            cause: "fra does not answer".to_owned(),
            cure: "look at it".to_owned(),
            next: "cleanslate rebuild fra --reason TEXT".to_owned(),
        };
        let waiting = |seconds: u64, until: Option<&str>| {
            let waiting = Public::Waiting {
                why: "the new containers of fra1 to start".to_owned(),
                r#for: seconds,
                until: until.map(|until| until.parse().unwrap()),
            };
            line(Some("fra"), waiting)
        };
        // Waits: too short; as planned, of which it is known when they end; and one that lasts.
        lines.send(waiting(240, None)).unwrap();
        lines
            .send(waiting(3_000, Some("2026-11-22T04:00:00Z")))
            .unwrap();
        lines.send(waiting(300, None)).unwrap();
        // Of another site; about nothing that matters; and what is to be told.
        lines.send(skipped("nyc")).unwrap();
        lines.send(line(Some("fra"), Public::Soaked)).unwrap();
        lines.send(skipped("fra")).unwrap();
        let trial = Public::TrialBegun {
            addresses: ["192.0.2.10".parse().unwrap()].into(),
            next: "cleanslate resume fra".to_owned(),
        };
        lines.send(line(Some("fra"), trial)).unwrap();
        lines.send(line(None, halted)).unwrap();
        messenger.note(&Note {
            severity: Severity::Info,
            what: "the configuration was read anew".to_owned(),
            cure: None,
            channels: None,
        });
        messenger.note(&Note {
            severity: Severity::Critical,
            what: "nightly-… did not begin in time".to_owned(),
            cure: Some("cleanslate rotate nightly".to_owned()),
            channels: None,
        });
        messenger.audit_ends(&AuditHead {
            records: 812,
            head: "5f3a".to_owned(),
        });
        messenger.end().await;
        let (mut told, mut texts) = (Vec::new(), Vec::new());
        while let Ok(message) = heard.try_recv() {
            if message["event"] == "audit_head" {
                assert_eq!(message["audit"]["head"], "5f3a");
            }
            let text = |key: &str| message[key].as_str().unwrap_or_default().to_owned();
            told.push([text("event"), text("severity"), text("next")]);
            texts.push(text("text"));
        }
        let expected = [
            ["waiting", "warning", "cleanslate status"],
            ["site_skipped", "warning", ""],
            ["trial_begun", "warning", "cleanslate resume fra"],
            [
                "rotation_halted",
                "critical",
                "cleanslate rebuild fra --reason TEXT",
            ],
            ["note", "critical", "cleanslate rotate nightly"],
            // Whatever else is not told.
            ["audit_head", "info", ""],
        ];
        assert_eq!(told, expected.map(|of| of.map(str::to_owned)));
        assert_eq!(texts[2], "verified; waits for a person to try 192.0.2.10");
    }

    #[tokio::test]
    async fn what_is_refused_for_good_is_counted() {
        drop(rustls::crypto::ring::default_provider().install_default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut buffer = [0; 8192];
                drop(stream.read(&mut buffer).await);
                let gone = "HTTP/1.1 410 Gone\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                drop(stream.write_all(gone.as_bytes()).await);
            }
        });
        let mut fleet = fleet();
        fleet.notifies.push(Notify {
            name: "chat".to_owned(),
            url: Secret::from(url),
            format: NotifyFormat::Json,
            key: None,
            from: Severity::Info,
            sites: None,
            channels: None,
            waiting: Duration::from_secs(300),
            template: None,
            audit: false,
        });
        let (lines, _) = broadcast::channel(64);
        let (metrics, clock) = (metrics(), Clock::start());
        let messenger = Messenger::start(&fleet, clock, &metrics, || lines.subscribe());
        messenger.note(&Note {
            severity: Severity::Info,
            what: "x".to_owned(),
            cure: None,
            channels: None,
        });
        messenger.end().await;
        let page = metrics.render(clock.now().wall);
        let count = "cleanslate_notify_failures_total{fleet=\"edge\"} 1\n";
        assert!(page.contains(count), "{page}");
    }
}
