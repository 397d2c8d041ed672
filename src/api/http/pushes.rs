//! Word of images that were pushed: from a registry (docker-registry's notifications) and from a
//! CI. Nothing of it is believed but that it is worth asking the registry.
use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::caller::Caller;
use super::commands::{is_json, whole};
use super::front::Front;
use super::problem::Problem;
use crate::api::asked::Answer;
use crate::api::token::Right;
use crate::api::wire::{Command, Reply};
use crate::model::image::ImageRef;

/// So many images are heard of in one request.
const MOST: usize = 100;

/// What a CI sends.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pushed {
    images: Vec<ImageRef>,
}

/// What docker-registry sends (its documentation, "Work with notifications"); all else in it is
/// no news to us.
#[derive(Debug, Deserialize)]
struct Envelope {
    events: Vec<Event>,
}

#[derive(Debug, Deserialize)]
struct Event {
    action: String,
    #[serde(default)]
    target: Target,
    #[serde(default)]
    request: Asked,
}

#[derive(Debug, Default, Deserialize)]
struct Target {
    #[serde(default)]
    repository: String,
    /// `None`: a layer, or a manifest by its digest.
    tag: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Asked {
    /// As whoever pushed named the registry.
    #[serde(default)]
    host: String,
}

pub(super) async fn by_ci(
    State(front): State<Arc<Front>>,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    caller.needs(Right::Release)?;
    is_json(request.headers())?;
    let pushed: Pushed = read(request).await?;
    told(&front, caller, pushed.images.into_iter().collect()).await
}

pub(super) async fn by_registry(
    State(front): State<Arc<Front>>,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    caller.needs(Right::Release)?;
    let envelope: Envelope = read(request).await?;
    told(&front, caller, images(envelope)).await
}

fn images(envelope: Envelope) -> BTreeSet<ImageRef> {
    let pushes = envelope.events.into_iter().filter(|it| it.action == "push");
    let named = pushes.filter_map(|event| {
        let (host, repository) = (event.request.host, event.target.repository);
        let name = format!("{host}/{repository}:{}", event.target.tag?);
        name.parse().ok()
    });
    named.collect()
}

async fn told(
    front: &Front,
    caller: Caller,
    images: BTreeSet<ImageRef>,
) -> Result<Response, Problem> {
    if images.len() > MOST {
        let why = format!("it names more than {MOST} images");
        return Err(Problem::unreadable(StatusCode::UNPROCESSABLE_ENTITY, &why));
    }
    let images = images.into_iter().collect();
    match front.ask(Command::Pushed { images }, caller.actor).await? {
        Answer::Reply(Reply::Ok(value)) => {
            Ok((StatusCode::ACCEPTED, axum::Json(value)).into_response())
        }
        Answer::Reply(Reply::Refused(refusal)) => Err(refusal.into()),
        Answer::Events(_) => Err(Problem::ending()),
    }
}

async fn read<T: DeserializeOwned>(request: Request) -> Result<T, Problem> {
    let body = whole(request.into_body()).await?;
    serde_json::from_slice(&body).map_err(|error| {
        let status = match error.is_data() {
            true => StatusCode::UNPROCESSABLE_ENTITY,
            false => StatusCode::BAD_REQUEST,
        };
        Problem::unreadable(status, &error.to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_a_registry_sends_only_pushes_of_tags_are_news() {
        let event = |action: &str, target: &str| {
            format!(
                r#"{{"id":"1","action":"{action}","target":{target},"request":{{"host":"127.0.0.1:5000","method":"PUT"}},"actor":{{}}}}"#
            )
        };
        let tagged = r#"{"mediaType":"m","digest":"sha256:1","repository":"team/web","tag":"staging","url":"u"}"#;
        let layer = r#"{"mediaType":"m","digest":"sha256:2","repository":"team/web"}"#;
        let odd = r#"{"repository":"TEAM","tag":"a b"}"#;
        let events = [
            event("push", tagged),
            event("push", layer),
            event("pull", tagged),
            event("push", odd),
            event("delete", "{}"),
        ];
        let text = format!(r#"{{"events":[{}]}}"#, events.join(","));
        let found = images(serde_json::from_str(&text).unwrap());
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(found, ["127.0.0.1:5000/team/web:staging"]);
    }
}
