//! `GET /rotations/ID`: one night, site by site, with what was kept as evidence.
use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use jiff::Timestamp;

use super::answer::{Frame, Here, Wrong, html, told};
use super::entry::Visitor;
use super::moment::{Moment, iso, seconds};
use super::night::{Picture, Running, Timeline};
use super::past::Told;
use super::site::short;
use crate::api::http::{Front, Problem};
use crate::api::public::Public;
use crate::api::report::{EvidenceReport, Report, SiteReport};
use crate::api::status::RotationStatus;
use crate::api::when::When;
use crate::api::wire::Command;
use crate::model::id::RotationId;

/// Of a container's last words so much is shown; all of it is printed by `report --logs`.
const LOG_BYTES: usize = 16 << 10;

#[derive(Template)]
#[template(path = "report.html")]
pub(super) struct Shown {
    frame: Frame,
    now: String,
    rotation: String,
    began: Moment,
    took: String,
    by: String,
    reason: Option<String>,
    picture: Option<Picture>,
    sites: Vec<Visited>,
    lines: Vec<Told>,
}

/// One site of it.
struct Visited {
    site: String,
    end: String,
    out_of_dns: String,
    drain: String,
    recreate: String,
    /// Service, what ran, what was pinned.
    digests: Vec<(String, String, String)>,
    scale: Vec<(String, String)>,
    evidence: Vec<Left>,
}

/// What a container left behind.
struct Left {
    host: String,
    container: String,
    service: String,
    restarts: u64,
    is_oom_killed: bool,
    changes: Vec<String>,
    changes_left_out: u64,
    logs: String,
    logs_left_out: usize,
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
        let (by, reason) = asked_by(&report);
        let timeline = Timeline::of(&report.events, running);
        Shown {
            frame,
            now: iso(now),
            rotation: report.rotation.to_string(),
            began: Moment::past(report.began, now, when),
            took: seconds(report.seconds),
            by,
            reason,
            picture: timeline.map(|timeline| Picture::of(&timeline, &when.zone)),
            lines: report
                .events
                .iter()
                .map(|line| Told::of(line, now, when))
                .collect(),
            sites: report.sites.into_iter().map(Visited::of).collect(),
        }
    }
}

fn asked_by(report: &Report) -> (String, Option<String>) {
    let mut lines = report.events.iter();
    let planned = lines.find_map(|line| {
        if let Public::RotationPlanned { actor, reason, .. } = &line.public {
            return Some((actor.clone(), reason.clone()));
        }
        None
    });
    planned.unwrap_or_default()
}

impl Visited {
    fn of(site: SiteReport) -> Visited {
        let lasted = |time: Option<u64>| time.map_or("-".to_owned(), seconds);
        let scale = scale(&site);
        let digests = site.digests.into_iter();
        Visited {
            end: site
                .end
                .map_or("not ended".to_owned(), |end| end.replace('_', " ")),
            out_of_dns: lasted(site.seconds_out_of_dns),
            drain: lasted(site.seconds_drain),
            recreate: lasted(site.seconds_recreate),
            digests: digests
                .map(|(service, [ran, pinned])| (service, short(&ran), short(&pinned)))
                .collect(),
            scale,
            evidence: site.evidence.into_iter().map(Left::of).collect(),
            site: site.site,
        }
    }
}

/// Where it changed.
fn scale(site: &SiteReport) -> Vec<(String, String)> {
    let (from, to) = (&site.scaled_from, &site.scaled_to);
    let services = from
        .keys()
        .chain(to.keys().filter(|it| !from.contains_key(*it)));
    let count =
        |of: &BTreeMap<String, u32>, service: &String| of.get(service).copied().unwrap_or(0);
    let change = |service: &String| {
        let (from, to) = (count(from, service), count(to, service));
        (from != to).then(|| (service.clone(), format!("{from} → {to}")))
    };
    services.filter_map(change).collect()
}

impl Left {
    fn of(evidence: EvidenceReport) -> Left {
        let logs = evidence.logs;
        let mut from = logs.len().saturating_sub(LOG_BYTES);
        while !logs.is_char_boundary(from) {
            from += 1;
        }
        Left {
            host: evidence.host,
            container: evidence.container,
            service: evidence.service,
            restarts: evidence.restarts,
            is_oom_killed: evidence.oom_killed,
            changes: evidence.changes.iter().map(|it| printable(it)).collect(),
            changes_left_out: evidence.changes_left_out,
            logs: printable(&logs[from..]),
            logs_left_out: from,
        }
    }
}

/// What steers terminals, or turns the direction of writing around, is shown as a sign.
pub(super) fn printable(text: &str) -> String {
    let sign = |c: char| match c {
        '\n' | '\t' => c,
        '\0'..='\u{1f}' => char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}'),
        '\u{7f}' => '\u{2421}',
        '\u{80}'..='\u{9f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        _ => c,
    };
    text.chars().map(sign).collect()
}
