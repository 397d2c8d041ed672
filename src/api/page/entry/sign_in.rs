//! Signing in with a token, and leaving.
use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{Request, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;

use super::ticket::forget;
use super::visitor::foreign;
use super::{Ticket, Visitor, no_random, same_origin};
use crate::api::http::{Front, Peer, Problem, whole};
use crate::api::page::answer::{Frame, Wrong, go, html};
use crate::api::page::asking::Fields;

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignIn {
    frame: Frame,
    /// Where they wanted to go.
    to: String,
    /// Why it did not work.
    wrong: String,
}

#[derive(Template)]
#[template(path = "on_the_way.html")]
struct OnTheWay {
    frame: Frame,
    to: String,
}

/// `GET /login`.
pub(in crate::api::page) async fn form(uri: Uri) -> Response {
    let fields = Fields::read(uri.query().unwrap_or_default().as_bytes());
    shown(StatusCode::OK, fields.one("to"), String::new())
}

/// `POST /login`. Wrong tokens are slowed down as everywhere.
pub(in crate::api::page) async fn sign_in(
    State(front): State<Arc<Front>>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    if let Err(why) = same_origin(&parts.headers) {
        return foreign(&why);
    }
    let fields = match whole(body).await {
        Ok(body) => Fields::read(&body),
        Err(problem) => return Wrong(problem).into_response(),
    };
    let to = own_path(fields.one("to"));
    let Peer::Remote {
        address,
        is_encrypted,
    } = peer
    else {
        return go(&to, None);
    };
    let now = Timestamp::now();
    match front.keys.open(fields.one("token").trim(), now) {
        Ok(entry) => {
            front.failures.forget(address);
            if let Some(earlier) = Ticket::read(&parts.headers, is_encrypted) {
                front.page.sessions.end(&earlier);
            }
            match front.page.sessions.begin(&entry, now) {
                Ok((ticket, lasts)) => go(&to, Some(&ticket.cookie(is_encrypted, lasts))),
                Err(error) => no_random(&error).into_response(),
            }
        }
        Err(denied) => {
            front.slow_down(address).await;
            shown(StatusCode::UNAUTHORIZED, &to, denied.to_string())
        }
    }
}

/// `POST /logout`.
pub(in crate::api::page) async fn sign_out(
    State(front): State<Arc<Front>>,
    Extension(peer): Extension<Peer>,
    visitor: Visitor,
    request: Request,
) -> Result<Response, Wrong> {
    let fields = Fields::read(&whole(request.into_body()).await?);
    let (Some(ticket), true) = (&visitor.ticket, visitor.gave(fields.one("form"))) else {
        return Ok(go("/", None));
    };
    front.page.sessions.end(ticket);
    let is_encrypted = matches!(
        peer,
        Peer::Remote {
            is_encrypted: true,
            ..
        }
    );
    Ok(go("/login", Some(&forget(is_encrypted))))
}

/// Nobody signed in: they do, and go on to where they wanted.
pub(super) fn to_sign_in(uri: &Uri) -> Response {
    let to = uri.path_and_query().map_or("/", |path| path.as_str());
    let to: String = form_urlencoded::byte_serialize(to.as_bytes()).collect();
    go(&format!("/login?to={to}"), None)
}

/// Somebody followed a link from elsewhere, a chat: their browser kept the cookie back, and sends
/// it when this page of ours leads them to the same place.
pub(super) fn came_from_elsewhere(uri: &Uri) -> Response {
    let to = uri.path_and_query().map_or("/", |path| path.as_str());
    let page = OnTheWay {
        frame: Frame::of_nobody("one moment"),
        to: own_path(to),
    };
    html(StatusCode::OK, &page)
}

/// What they sent is not lost: it stands on the page that they go back to.
pub(super) fn signed_out() -> Response {
    let what = "you are signed out, and nothing was done".to_owned();
    let cure = "sign in in another window, then go back here and send it again";
    Wrong(Problem::new(
        StatusCode::UNAUTHORIZED,
        "session",
        what,
        cure,
    ))
    .into_response()
}

fn shown(status: StatusCode, to: &str, wrong: String) -> Response {
    let page = SignIn {
        frame: Frame::of_nobody("sign in"),
        to: own_path(to),
        wrong,
    };
    html(status, &page)
}

/// A path of ours, never another place: `//evil.example` and `/\evil.example` are such.
fn own_path(to: &str) -> String {
    let is_plain = to
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if to.starts_with('/') && !to.starts_with("//") && is_plain {
        return to.to_owned();
    }
    "/".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_led_anywhere_else() {
        for path in ["/", "/rotations/nightly-1", "/ask/rebuild?site=nyc"] {
            assert_eq!(own_path(path), path);
        }
        let others = [
            "",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "/\n",
            "x",
        ];
        for path in others {
            assert_eq!(own_path(path), "/", "{path}");
        }
    }
}
