//! What a browser gets: a page, or why there is none.
use askama::Template;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::entry::Visitor;
use crate::api::actor::Actor;
use crate::api::asked::Answer;
use crate::api::http::{Front, Problem};
use crate::api::token::Role;
use crate::api::wire::{Command, Reply};

/// What stands on every page.
pub(super) struct Frame {
    pub(super) title: String,
    /// Which part of the navigation this is.
    pub(super) here: Here,
    /// `None`: nobody signed in.
    pub(super) who: Option<Who>,
    /// Whether it shows itself anew.
    pub(super) is_live: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Here {
    Now,
    Nights,
    Elsewhere,
}

/// Whoever reads the page.
pub(super) struct Who {
    pub(super) name: String,
    pub(super) role: Role,
    /// Goes with every form.
    pub(super) form: String,
    /// Over the control socket nobody signs in.
    pub(super) may_leave: bool,
}

impl Frame {
    pub(super) fn of(title: &str, here: Here, visitor: &Visitor) -> Frame {
        let caller = &visitor.caller;
        Frame {
            title: title.to_owned(),
            here,
            who: Some(Who {
                name: caller.actor.user.clone(),
                role: caller.role,
                form: visitor.form.clone(),
                may_leave: visitor.ticket.is_some(),
            }),
            is_live: false,
        }
    }

    pub(super) fn of_nobody(title: &str) -> Frame {
        Frame {
            title: title.to_owned(),
            here: Here::Elsewhere,
            who: None,
            is_live: false,
        }
    }

    pub(super) fn live(self) -> Frame {
        Frame {
            is_live: true,
            ..self
        }
    }

    pub(super) fn is_now(&self) -> bool {
        self.here == Here::Now
    }

    pub(super) fn is_nights(&self) -> bool {
        self.here == Here::Nights
    }
}

/// Why there is no page, on a page.
#[derive(Debug)]
pub(super) struct Wrong(pub(super) Problem);

#[derive(Template)]
#[template(path = "wrong.html")]
struct WrongPage {
    frame: Frame,
    rule: String,
    what: String,
    cure: String,
}

impl From<Problem> for Wrong {
    fn from(problem: Problem) -> Wrong {
        Wrong(problem)
    }
}

impl IntoResponse for Wrong {
    fn into_response(self) -> Response {
        let Wrong(Problem { status, refusal }) = self;
        let page = WrongPage {
            frame: Frame::of_nobody("no page"),
            rule: refusal.rule,
            what: refusal.what,
            cure: refusal.cure,
        };
        html(status, &page)
    }
}

pub(super) fn html(status: StatusCode, page: &impl Template) -> Response {
    match page.render() {
        Ok(text) => {
            let kind = [(header::CONTENT_TYPE, "text/html; charset=utf-8")];
            (status, kind, text).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "a page cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// To another page of ours, by GET; with a cookie, where one changes.
pub(super) fn go(to: &str, cookie: Option<&str>) -> Response {
    let mut response = Redirect::to(to).into_response();
    if let Some(value) = cookie.and_then(|cookie| HeaderValue::from_str(cookie).ok()) {
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
    response
}

/// The text of a header, where it is one.
pub(super) fn text_of<'h>(
    headers: &'h axum::http::HeaderMap,
    name: &HeaderName,
) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// What the coordinator says.
pub(super) async fn told<T: DeserializeOwned>(
    front: &Front,
    command: Command,
    actor: &Actor,
) -> Result<T, Problem> {
    let value = match front.ask(command, actor.clone()).await? {
        Answer::Reply(Reply::Ok(value)) => value,
        Answer::Reply(Reply::Refused(refusal)) => return Err(refusal.into()),
        Answer::Events(_) => Value::Null,
    };
    serde_json::from_value(value).map_err(|error| {
        let what = format!("the coordinator's answer cannot be read: {error}");
        let cure = "look at its log, and report this";
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", what, cure)
    })
}
