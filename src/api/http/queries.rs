//! What is asked without changing anything.
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::caller::Caller;
use super::front::Front;
use super::problem::Problem;
use crate::api::asked::Answer;
use crate::api::metrics::CONTENT_TYPE;
use crate::api::token::Right;
use crate::api::wire::{Command, Reply};

/// The description of the API, in the words of OpenAPI 3.1.
const OPENAPI: &str = include_str!("openapi.json");

/// The most rotations that are told at once.
const MOST: u16 = 1000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Last {
    #[serde(default = "twenty")]
    last: u16,
}

type Wanted<T> = Result<Query<T>, axum::extract::rejection::QueryRejection>;

pub(super) async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI).into_response()
}

/// What Prometheus reads.
pub(super) async fn metrics(
    State(front): State<Arc<Front>>,
    caller: Caller,
) -> Result<Response, Problem> {
    caller.needs(Right::See)?;
    let page = front.metrics().ok_or_else(|| {
        let what = "nothing is measured here".to_owned();
        let cure = "ask a coordinator: `cleanslate serve` measures";
        Problem::new(StatusCode::NOT_FOUND, "request", what, cure)
    })?;
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], page).into_response())
}

pub(super) async fn status(
    State(front): State<Arc<Front>>,
    caller: Caller,
) -> Result<Response, Problem> {
    answered(&front, caller, Command::Status {}).await
}

pub(super) async fn history(
    State(front): State<Arc<Front>>,
    caller: Caller,
    wanted: Wanted<Last>,
) -> Result<Response, Problem> {
    let last = counted(wanted.map(|Query(last)| last.last))?;
    let last = usize::from(last);
    answered(&front, caller, Command::History { last }).await
}

pub(super) async fn report(
    State(front): State<Arc<Front>>,
    caller: Caller,
    Path(rotation): Path<String>,
) -> Result<Response, Problem> {
    let none = |_| {
        let what = format!("no rotation is called {rotation:?}");
        let cure = "see /v1/rotations for those there are";
        Problem::new(StatusCode::NOT_FOUND, "request", what, cure)
    };
    let rotation = rotation.parse().map_err(none)?;
    let reply = answered(&front, caller, Command::Report { rotation }).await;
    reply.map_err(|mut problem| {
        // Nothing else about it can be wrong in itself.
        if problem.status == StatusCode::UNPROCESSABLE_ENTITY {
            problem.status = StatusCode::NOT_FOUND;
        }
        problem
    })
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Moves {
    #[serde(default = "twenty")]
    last: u16,
    image: Option<String>,
}

pub(super) async fn release_history(
    State(front): State<Arc<Front>>,
    caller: Caller,
    wanted: Wanted<Moves>,
) -> Result<Response, Problem> {
    let (last, image) = match wanted {
        Ok(Query(moves)) => (Ok(moves.last), moves.image),
        Err(error) => (Err(error), None),
    };
    let last = usize::from(counted(last)?);
    answered(&front, caller, Command::ReleaseHistory { image, last }).await
}

pub(super) async fn release_status(
    State(front): State<Arc<Front>>,
    caller: Caller,
) -> Result<Response, Problem> {
    answered(&front, caller, Command::ReleaseStatus {}).await
}

async fn answered(front: &Front, caller: Caller, command: Command) -> Result<Response, Problem> {
    caller.needs(Right::to_ask(&command))?;
    match front.ask(command, caller.actor).await? {
        Answer::Reply(Reply::Ok(value)) => Ok(axum::Json(value).into_response()),
        Answer::Reply(Reply::Refused(refusal)) => Err(refusal.into()),
        Answer::Events(_) => Err(Problem::ending()),
    }
}

fn counted(wanted: Result<u16, axum::extract::rejection::QueryRejection>) -> Result<u16, Problem> {
    let wrong = |why: &str| Problem::unreadable(StatusCode::UNPROCESSABLE_ENTITY, why);
    match wanted {
        Ok(count) if (1..=MOST).contains(&count) => Ok(count),
        Ok(_) => Err(wrong("the number is from 1 to 1000")),
        Err(error) => Err(wrong(&error.body_text())),
    }
}

fn twenty() -> u16 {
    20
}
