//! What happens to containers, as the engine tells it: one subscription to its events, renewed
//! from the last event seen when the connection breaks. Never a poll of their health.
use std::collections::VecDeque;
use std::pin::Pin;
use std::time::Duration;

use bollard::models::EventMessage;
use bollard::query_parameters::EventsOptionsBuilder;
use futures_util::{Stream, StreamExt};
use tokio::time::Instant;

use super::client::{ASK, Client};
use super::fault::{Fault, within};
use crate::model::id::ContainerId;

/// A stream of events has no heartbeat: after so long a silence the engine is asked whether it is
/// still there.
const SILENCE: Duration = Duration::from_secs(10);
const PING_WITHIN: Duration = Duration::from_secs(5);
const BETWEEN_PINGS: Duration = Duration::from_secs(1);
/// An engine away for longer than this is lost.
const AWAY_MAX: Duration = Duration::from_secs(30);
/// An exit kills the healthcheck that is under way, and the engine tells of the check that failed
/// before it tells of the exit: so long an exit is waited for, since it is what happened.
const EXIT_FOLLOWS_WITHIN: Duration = Duration::from_secs(3);

/// Something that happened to a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Happening {
    Died { code: i64 },
    OutOfMemory,
    Healthy,
    Unhealthy,
}

/// What the feed brings next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Event(ContainerId, Happening),
    /// The subscription is a new one: what the engine no longer remembered may have been missed,
    /// so every container is looked at once.
    Resubscribed,
    /// The engine was away for too long.
    Lost(Fault),
}

type Events<'a> =
    Pin<Box<dyn Stream<Item = Result<EventMessage, bollard::errors::Error>> + Send + 'a>>;

/// The events of some containers, from the moment of its opening, none left out.
pub(super) struct Feed<'a> {
    client: &'a Client,
    ids: Vec<String>,
    events: Events<'a>,
    /// The next event's earliest time, on the engine's own clock.
    since_ns: i64,
    heard_at: Instant,
    away_since: Option<Instant>,
    /// Those that turned unhealthy, oldest first, and until when an exit may be why.
    doubted: VecDeque<(ContainerId, Instant)>,
}

impl<'a> Feed<'a> {
    /// Everything after this call is heard: the engine repeats what happened since, so it does
    /// not matter that the connection itself is made later.
    pub(super) async fn open(
        client: &'a Client,
        ids: impl IntoIterator<Item = &ContainerId>,
    ) -> Result<Feed<'a>, Fault> {
        let info = client.ask(ASK, client.docker.info()).await?;
        let clock = info.system_time.unwrap_or_default();
        let clock: jiff::Timestamp = clock.parse().map_err(|error| Fault::Cut {
            why: format!("the engine's clock reads {clock:?}: {error}"),
        })?;
        let since_ns = i64::try_from(clock.as_nanosecond()).unwrap_or(i64::MAX);
        let ids: Vec<String> = ids.into_iter().map(ToString::to_string).collect();
        Ok(Feed {
            events: subscribe(client, &ids, since_ns),
            client,
            ids,
            since_ns,
            heard_at: Instant::now(),
            away_since: None,
            doubted: VecDeque::new(),
        })
    }

    /// Waits for what comes next. May be dropped and called again: nothing is lost.
    pub(super) async fn next(&mut self) -> Heard {
        loop {
            if self.away_since.is_some() {
                if let Some(heard) = self.try_again().await {
                    return heard;
                }
                continue;
            }
            let silent_at = self.heard_at + SILENCE;
            let until = self.doubted.front().map_or(silent_at, |doubt| doubt.1);
            match tokio::time::timeout_at(until, self.events.next()).await {
                Ok(Some(Ok(message))) => {
                    self.heard_at = Instant::now();
                    if let Some(heard) = self.take_in(message) {
                        return heard;
                    }
                }
                Ok(Some(Err(_)) | None) => self.away_since = Some(Instant::now()),
                Err(_) => {
                    if let Some((id, _)) = self.doubted.pop_front() {
                        return Heard::Event(id, Happening::Unhealthy);
                    }
                    match ping(self.client).await {
                        Ok(()) => self.heard_at = Instant::now(),
                        Err(_) => self.away_since = Some(Instant::now()),
                    }
                }
            }
        }
    }

    async fn try_again(&mut self) -> Option<Heard> {
        tokio::time::sleep(BETWEEN_PINGS).await;
        match ping(self.client).await {
            Ok(()) => {
                self.away_since = None;
                self.heard_at = Instant::now();
                self.events = subscribe(self.client, &self.ids, self.since_ns);
                Some(Heard::Resubscribed)
            }
            Err(fault) => {
                let away = self.away_since.map(|since| since.elapsed());
                (away > Some(AWAY_MAX)).then_some(Heard::Lost(fault))
            }
        }
    }

    fn take_in(&mut self, message: EventMessage) -> Option<Heard> {
        if let Some(at) = message.time_nano {
            self.since_ns = self.since_ns.max(at.saturating_add(1));
        }
        let actor = message.actor?;
        let id: ContainerId = actor.id.filter(|id| self.ids.contains(id))?.parse().ok()?;
        let attribute = |key: &str| {
            let attributes = actor.attributes.as_ref()?;
            attributes.get(key).cloned()
        };
        let happening = match message.action.as_deref()? {
            "die" => Happening::Died {
                code: attribute("exitCode")
                    .and_then(|code| code.parse().ok())
                    .unwrap_or(-1),
            },
            "oom" => Happening::OutOfMemory,
            "health_status: healthy" => Happening::Healthy,
            "health_status: unhealthy" => {
                let until = Instant::now() + EXIT_FOLLOWS_WITHIN;
                self.doubted.push_back((id, until));
                return None;
            }
            _ => return None,
        };
        if matches!(happening, Happening::Died { .. } | Happening::OutOfMemory) {
            self.doubted.retain(|(doubted, _)| *doubted != id);
        }
        Some(Heard::Event(id, happening))
    }
}

fn subscribe<'a>(client: &'a Client, ids: &[String], since_ns: i64) -> Events<'a> {
    let texts = |all: &[&str]| {
        all.iter()
            .map(|text| (*text).to_owned())
            .collect::<Vec<_>>()
    };
    // Each run of a healthcheck makes events of its own (`exec_…`): the engine leaves them out.
    let filters = [
        ("type".to_owned(), texts(&["container"])),
        ("event".to_owned(), texts(&["die", "oom", "health_status"])),
        ("container".to_owned(), ids.to_vec()),
    ];
    let (seconds, nanoseconds) = (since_ns / 1_000_000_000, since_ns % 1_000_000_000);
    let options = EventsOptionsBuilder::default()
        .since(&format!("{seconds}.{nanoseconds:09}"))
        .filters(&filters.into_iter().collect())
        .build();
    Box::pin(client.docker.events(Some(options)))
}

async fn ping(client: &Client) -> Result<(), Fault> {
    within(PING_WITHIN, client.docker.ping()).await.map(drop)
}
