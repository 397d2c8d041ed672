//! `GET /ask/ACT`: the form; `POST /ask/ACT`: what it asks for.
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::response::Response;
use jiff::Timestamp;

use super::form::Form;
use super::write::{command, typed_wrong};
use super::{Act, Fields};
use crate::api::http::{Front, Key, Problem, asked, whole};
use crate::api::page::answer::{Frame, Here, Wrong, go, html};
use crate::api::page::entry::Visitor;
use crate::api::token::Right;
use crate::api::when::When;
use crate::api::wire::Command;

pub(in crate::api::page) async fn form(
    State(front): State<Arc<Front>>,
    visitor: Visitor,
    Path(act): Path<String>,
    uri: Uri,
) -> Result<Response, Wrong> {
    let act = known(&act)?;
    visitor.caller.needs(act.right())?;
    let fields = Fields::read(uri.query().unwrap_or_default().as_bytes());
    let form = shown(&front, &visitor, act, fields).await?;
    Ok(html(StatusCode::OK, &form))
}

/// Nothing that was typed is lost, whatever is said to it.
pub(in crate::api::page) async fn send(
    State(front): State<Arc<Front>>,
    visitor: Visitor,
    Path(act): Path<String>,
    request: Request<Body>,
) -> Result<Response, Wrong> {
    let act = known(&act)?;
    let fields = Fields::read(&whole(request.into_body()).await?);
    match tried(&front, &visitor, act, &fields).await {
        Ok(()) => Ok(go(&done(act, fields.one("site")), None)),
        Err(problem) => {
            let form = shown(&front, &visitor, act, fields).await?;
            Ok(html(problem.status, &form.refused(problem.refusal)))
        }
    }
}

async fn tried(
    front: &Arc<Front>,
    visitor: &Visitor,
    act: Act,
    fields: &Fields,
) -> Result<(), Problem> {
    if !visitor.gave(fields.one("form")) {
        let what = "this form was given to somebody who has signed out since".to_owned();
        return Err(typed_wrong(what, "look at it and send it again"));
    }
    visitor.caller.needs(act.right())?;
    let command = command(act, fields, Timestamp::now(), &When::local())?;
    visitor.caller.needs(Right::to_ask(&command))?;
    once(front, visitor, fields.one("once"), command).await
}

/// Goes on though whoever asked has gone: a phone that lost its network asks once.
async fn once(
    front: &Arc<Front>,
    visitor: &Visitor,
    once: &str,
    command: Command,
) -> Result<(), Problem> {
    let key = HeaderValue::from_str(once).ok();
    let key = key.ok_or_else(|| typed_wrong("the form is damaged".to_owned(), "open it anew"))?;
    let actor = visitor.caller.actor.clone();
    let (_, path, body) = command.request();
    let body = body.unwrap_or_default();
    let repeat = Key::read(&key)?.of(&actor.user, &path, body.as_bytes());
    let asking = Arc::clone(front);
    let (outcome, _) = front
        .repeats
        .once(repeat, || asked(asking, command, actor))
        .await?;
    outcome.map(drop)
}

async fn shown(front: &Front, visitor: &Visitor, act: Act, fields: Fields) -> Result<Form, Wrong> {
    let sight = front.page.board.sight(front, &visitor.caller.actor).await?;
    let may_force = visitor.caller.role.may(Right::Force);
    let frame = Frame::of(act.label(), Here::Elsewhere, visitor);
    Form::of(act, fields, &sight, frame, may_force)
}

fn known(word: &str) -> Result<Act, Problem> {
    word.parse().map_err(|()| {
        let what = format!("nothing is called {word:?} that can be asked for here");
        let cure = "see / for what can";
        Problem::new(StatusCode::NOT_FOUND, "request", what, cure)
    })
}

/// The first page, which says what was taken.
fn done(act: Act, site: &str) -> String {
    let mut query = form_urlencoded::Serializer::for_suffix("/?".to_owned(), 2);
    query.append_pair("taken", act.word());
    if act.is_about_a_site() {
        query.append_pair("site", site);
    }
    query.finish()
}
