//! What changes something: `POST /v1/COMMAND`.
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::caller::Caller;
use super::front::Front;
use super::problem::Problem;
use super::repeats::{KEY, Key};
use crate::api::actor::Actor;
use crate::api::asked::Answer;
use crate::api::token::Right;
use crate::api::wire::{COMMANDS, Command, Reply, WireError};

/// The longest body: far more than any command needs.
const BODY_BYTES: usize = 64 << 10;

/// In which a body must have come in whole.
const BODY_WITHIN: Duration = Duration::from_secs(10);

/// What came of a command; kept for whoever asks the same again.
pub(in crate::api) type Outcome = Result<Value, Problem>;

pub(super) async fn command(
    State(front): State<Arc<Front>>,
    caller: Caller,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    carried_out(front, caller, name, request).await
}

/// What moves tags: `POST /v1/release/COMMAND`.
pub(super) async fn release(
    State(front): State<Arc<Front>>,
    caller: Caller,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    carried_out(front, caller, format!("release/{name}"), request).await
}

async fn carried_out(
    front: Arc<Front>,
    caller: Caller,
    name: String,
    request: Request,
) -> Result<Response, Problem> {
    if !COMMANDS.contains(&name.as_str()) {
        let why = format!("{name:?} is no command");
        return Err(Problem::unreadable(StatusCode::NOT_FOUND, &why));
    }
    let (parts, body) = request.into_parts();
    is_json(&parts.headers)?;
    let key = parts.headers.get(KEY).map(Key::read).transpose()?;
    let body = whole(body).await?;
    let command = Command::read(&name, &body).map_err(|error| {
        let status = match &error {
            WireError::Json { .. } => StatusCode::BAD_REQUEST,
            WireError::Unknown { .. } | WireError::Meaning { .. } => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
        };
        Problem::unreadable(status, &error.to_string())
    })?;
    caller.needs(Right::to_ask(&command))?;
    let Some(key) = key else {
        return asked(front, command, caller.actor).await.map(taken);
    };
    let repeats = Arc::clone(&front);
    let user = caller.actor.user.clone();
    let (outcome, is_repeated) = repeats
        .repeats
        .once(key.of(&user, &name, &body), || {
            asked(front, command, caller.actor)
        })
        .await?;
    let mut response = outcome.map(taken).into_response();
    if is_repeated {
        let yes = HeaderValue::from_static("true");
        response.headers_mut().insert("idempotency-replayed", yes);
    }
    Ok(response)
}

pub(in crate::api) async fn asked(front: Arc<Front>, command: Command, actor: Actor) -> Outcome {
    match front.ask(command, actor).await? {
        Answer::Reply(Reply::Ok(value)) => Ok(value),
        Answer::Reply(Reply::Refused(refusal)) => Err(refusal.into()),
        Answer::Events(_) => Err(Problem::ending()),
    }
}

/// It was taken; that it is done is told by events.
fn taken(value: Value) -> Response {
    (StatusCode::ACCEPTED, axum::Json(value)).into_response()
}

/// No form of a web page can send this: a browser asks first, and is refused.
pub(super) fn is_json(headers: &HeaderMap) -> Result<(), Problem> {
    let value = headers.get(header::CONTENT_TYPE);
    let value = value.and_then(|value| value.to_str().ok()).unwrap_or("");
    let kind = value.split(';').next().unwrap_or("").trim();
    if kind.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let why = "its content-type is not application/json";
    Err(Problem::unreadable(StatusCode::UNSUPPORTED_MEDIA_TYPE, why))
}

/// The body, if it comes in time and is not too long.
pub(in crate::api) async fn whole(body: Body) -> Result<Bytes, Problem> {
    let Ok(read) = tokio::time::timeout(BODY_WITHIN, to_bytes(body, BODY_BYTES)).await else {
        let why = format!("its body did not come within {} s", BODY_WITHIN.as_secs());
        return Err(Problem::unreadable(StatusCode::REQUEST_TIMEOUT, &why));
    };
    read.map_err(|error| {
        let why = format!("its body broke off or has more than {BODY_BYTES} bytes: {error}");
        Problem::unreadable(StatusCode::PAYLOAD_TOO_LARGE, &why)
    })
}
