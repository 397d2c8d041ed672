//! Who reads a page: whoever signed in, or whoever may open the control socket.
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};

use super::same_origin;
use super::same_origin::{is_led_here, is_this_machine};
use super::sign_in::{came_from_elsewhere, signed_out, to_sign_in};
use super::ticket::{Ticket, is_same};
use crate::api::actor::Actor;
use crate::api::http::{Caller, Front, Peer, Problem, Spoken};
use crate::api::page::answer::Wrong;
use crate::api::token::Role;

/// Somebody who may read pages.
pub(in crate::api::page) struct Visitor {
    pub(in crate::api::page) caller: Caller,
    /// Goes with every form that they are given.
    pub(in crate::api::page) form: String,
    /// `None`: over the control socket.
    pub(in crate::api::page) ticket: Option<Ticket>,
}

impl Visitor {
    /// Whether a form that they sent is one that they were given.
    pub(in crate::api::page) fn gave(&self, form: &str) -> bool {
        is_same(&self.form, form)
    }
}

impl FromRequestParts<Arc<Front>> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(
        parts: &mut Parts,
        front: &Arc<Front>,
    ) -> Result<Visitor, Response> {
        let visitor = match parts.extensions.get::<Peer>() {
            Some(Peer::Local(actor)) => {
                local(actor, &parts.headers, front).map_err(IntoResponse::into_response)?
            }
            Some(Peer::Remote { is_encrypted, .. }) => {
                remote(*is_encrypted, parts, front).ok_or_else(|| turned_away(parts))?
            }
            None => return Err(StatusCode::UNAUTHORIZED.into_response()),
        };
        if let Some(spoken) = parts.extensions.get::<Spoken>() {
            spoken.note();
        }
        // Before anything of it is read, let alone done.
        if parts.method == Method::POST {
            same_origin(&parts.headers).map_err(|why| foreign(&why))?;
        }
        Ok(visitor)
    }
}

/// Somebody else's page can be made to speak to a socket that was forwarded to a port, under a name
/// of its own; not under this machine's.
fn local(actor: &Actor, headers: &HeaderMap, front: &Front) -> Result<Visitor, Wrong> {
    if !is_this_machine(headers) {
        let what = "over the control socket the page answers to `localhost` only".to_owned();
        let cure = "use http://localhost, or sign in over the network ([api] in site.toml)";
        let status = StatusCode::MISDIRECTED_REQUEST;
        return Err(Wrong(Problem::new(status, "host", what, cure)));
    }
    let form = front.page.sessions.form_of_socket();
    let form = form.map_err(|error| no_random(&error))?;
    Ok(Visitor {
        caller: Caller {
            actor: actor.clone(),
            role: Role::Admin,
        },
        form,
        ticket: None,
    })
}

fn remote(is_encrypted: bool, parts: &Parts, front: &Front) -> Option<Visitor> {
    let ticket = Ticket::read(&parts.headers, is_encrypted)?;
    let entry = front.signed_in(&ticket)?;
    Some(Visitor {
        caller: Caller::of_token(&entry),
        form: ticket.form(),
        ticket: Some(ticket),
    })
}

/// Nobody signed in.
fn turned_away(parts: &Parts) -> Response {
    if parts.method == Method::POST {
        signed_out()
    } else if is_led_here(&parts.headers) {
        came_from_elsewhere(&parts.uri)
    } else {
        to_sign_in(&parts.uri)
    }
}

pub(super) fn foreign(why: &str) -> Response {
    let what = format!("this form was not sent from a page of this coordinator: {why}");
    let cure = "open the page itself and send it from there; a proxy in between has to keep Host";
    Wrong(Problem::new(StatusCode::FORBIDDEN, "origin", what, cure)).into_response()
}

pub(in crate::api::page) fn no_random(error: &getrandom::Error) -> Wrong {
    let what = format!("the system gives no random numbers: {error}");
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    Wrong(Problem::new(status, "internal", what, "report this"))
}
