//! `GET /rotations/ID`: one night, site by site, with what was kept as evidence.
use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use jiff::Timestamp;

use super::account::{Account, Logs};
use super::answer::{Frame, Here, Wrong, html, told};
use super::entry::Visitor;
use super::moment::iso;
use super::night::Running;
use crate::api::http::{Front, Problem};
use crate::api::report::Report;
use crate::api::status::RotationStatus;
use crate::api::when::When;
use crate::api::wire::Command;
use crate::model::id::RotationId;

#[derive(Template)]
#[template(path = "report.html")]
pub(super) struct Shown {
    frame: Frame,
    now: String,
    account: Account,
}

pub(super) async fn report(
    State(front): State<Arc<Front>>,
    visitor: Visitor,
    Path(rotation): Path<String>,
) -> Result<Response, Wrong> {
    let none = |_| {
        let what = format!("no rotation is called {rotation:?}");
        let cure = "see /rotations for those there are";
        Problem::new(StatusCode::NOT_FOUND, "request", what, cure)
    };
    let rotation: RotationId = rotation.parse().map_err(none)?;
    let command = Command::Report {
        rotation: rotation.clone(),
    };
    let actor = &visitor.caller.actor;
    let report: Report = told(&front, command, actor).await?;
    let sight = front.page.board.sight(&front, actor).await?;
    let is_in_hand = |it: &RotationStatus| it.id == rotation;
    let running = match sight.status.rotation.as_ref().is_some_and(is_in_hand) {
        true => sight.running(),
        false => None,
    };
    let frame = Frame::of(rotation.as_str(), Here::Nights, &visitor);
    let page = Shown::of(report, running.as_ref(), frame, &When::local(), sight.at);
    Ok(html(StatusCode::OK, &page))
}

impl Shown {
    pub(super) fn of(
        report: Report,
        running: Option<&Running>,
        frame: Frame,
        when: &When,
        now: Timestamp,
    ) -> Shown {
        Shown {
            frame,
            now: iso(now),
            account: Account::of(report, running, Logs::Last, when, now),
        }
    }
}
