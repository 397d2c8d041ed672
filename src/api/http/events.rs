//! Event lines as server-sent events: each with its name, so that whoever lost the connection
//! goes on where they were (`Last-Event-ID`).
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream};
use serde::Deserialize;
use tokio::sync::broadcast::error::RecvError;

use super::caller::Caller;
use super::front::Front;
use super::problem::Problem;
use crate::api::asked::{Answer, Heard};
use crate::api::token::Right;
use crate::api::wire::{Command, LineId, Refusal, Reply};
use crate::model::id::RotationId;

/// Silence says that the connection is lost.
const ALIVE_EVERY: Duration = Duration::from_secs(15);

pub(super) async fn events(
    State(front): State<Arc<Front>>,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let after = after(&headers)?;
    let command = Command::Watch { after };
    caller.needs(Right::to_ask(&command))?;
    match front.ask(command, caller.actor).await? {
        Answer::Events(heard) => {
            let alive = KeepAlive::new().interval(ALIVE_EVERY);
            Ok(Sse::new(told(heard)).keep_alive(alive).into_response())
        }
        Answer::Reply(Reply::Refused(refusal)) => Err(refusal.into()),
        Answer::Reply(Reply::Ok(_)) => Err(Problem::ending()),
    }
}

fn after(headers: &HeaderMap) -> Result<Option<LineId>, Problem> {
    let Some(value) = headers.get("last-event-id") else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or("");
    // What browsers send before they heard anything.
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = |why: String| Problem::unreadable(StatusCode::BAD_REQUEST, &why);
    text.parse().map(Some).map_err(wrong)
}

/// What was missed, what comes, and, for whoever was too slow, how much they missed.
fn told(heard: Heard) -> impl Stream<Item = Result<Event, Infallible>> {
    let Heard { missed, lines } = heard;
    let start = (missed.into_iter(), Some(lines));
    stream::unfold(start, async |(mut missed, lines)| {
        let mut lines = lines?;
        if let Some(line) = missed.next() {
            return Some((Ok(event(&line)), (missed, Some(lines))));
        }
        match lines.recv().await {
            Ok(line) => Some((Ok(event(&line)), (missed, Some(lines)))),
            Err(RecvError::Closed) => None,
            Err(RecvError::Lagged(left_out)) => Some((Ok(too_slow(left_out)), (missed, None))),
        }
    })
}

/// The part of a line that names it.
#[derive(Deserialize)]
struct Named {
    rotation: RotationId,
    n: u64,
}

fn event(line: &str) -> Event {
    let event = Event::default().data(line);
    match serde_json::from_str(line) {
        Ok(Named { rotation, n }) => event.id(LineId { rotation, n }.to_string()),
        Err(_) => event,
    }
}

fn too_slow(left_out: u64) -> Event {
    let refusal = Refusal {
        rule: "slow".to_owned(),
        what: format!("events came faster than they were taken: {left_out} were left out"),
        cure: "watch again".to_owned(),
        exit: 5,
    };
    let body = Problem::from(refusal).body();
    let text = serde_json::to_string(&body).unwrap_or_default();
    Event::default().event(REFUSED).data(text)
}

/// The name of an event that is the coordinator's last word.
pub(in crate::api) const REFUSED: &str = "refused";
