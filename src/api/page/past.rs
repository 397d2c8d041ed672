//! `GET /rotations`: past nights.
use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use jiff::Timestamp;
use serde::Deserialize;

use super::answer::{Frame, Here, Wrong, html, told};
use super::entry::Visitor;
use super::moment::{Moment, seconds};
use super::site::Tone;
use crate::api::history::Entry;
use crate::api::http::Front;
use crate::api::public::Line;
use crate::api::when::When;
use crate::api::wire::Command;
use crate::api::words::words;

/// So many nights are listed: a quarter of a year.
const NIGHTS: usize = 90;

#[derive(Template)]
#[template(path = "past.html")]
struct Past {
    frame: Frame,
    nights: Vec<Night>,
}

/// One night of a list.
pub(super) struct Night {
    pub(super) rotation: String,
    pub(super) began: Moment,
    pub(super) took: String,
    pub(super) end: String,
    pub(super) tone: Tone,
    pub(super) visited: usize,
    pub(super) not_as_planned: String,
    pub(super) by: String,
    pub(super) reason: Option<String>,
}

/// A line of a rotation, in words.
pub(super) struct Told {
    pub(super) at: Moment,
    pub(super) site: Option<String>,
    pub(super) words: String,
}

#[derive(Deserialize)]
struct History {
    rotations: Vec<Entry>,
}

pub(super) async fn past(
    State(front): State<Arc<Front>>,
    visitor: Visitor,
) -> Result<Response, Wrong> {
    let last = Command::History { last: NIGHTS };
    let history: History = told(&front, last, &visitor.caller.actor).await?;
    let (now, when) = (Timestamp::now(), When::local());
    let nights = history.rotations.iter();
    let page = Past {
        frame: Frame::of("past nights", Here::Nights, &visitor),
        nights: nights.map(|entry| Night::of(entry, now, &when)).collect(),
    };
    Ok(html(StatusCode::OK, &page))
}

impl Night {
    pub(super) fn of(entry: &Entry, now: Timestamp, when: &When) -> Night {
        Night {
            rotation: entry.rotation.clone(),
            began: Moment::past(entry.began, now, when),
            took: seconds(entry.seconds),
            end: entry.end.replace('_', " "),
            tone: match entry.end.as_str() {
                "completed" if entry.skipped.is_empty() => Tone::Well,
                "completed" | "aborted" | "not_acquired" => Tone::Out,
                "unfinished" => Tone::Busy,
                _ => Tone::Bad,
            },
            visited: entry.visited.len(),
            not_as_planned: entry.skipped.join(", "),
            by: entry.actor.clone(),
            reason: entry.reason.clone(),
        }
    }
}

impl Told {
    pub(super) fn of(line: &Line, now: Timestamp, when: &When) -> Told {
        Told {
            at: Moment::past(line.at, now, when),
            site: line.site.as_ref().map(ToString::to_string),
            words: words(line, when, now),
        }
    }
}
