//! `GET /`: where everything stands.
use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use jiff::Timestamp;

use super::answer::{Frame, Here, Who, Wrong, html};
use super::asking::{Act, Fields};
use super::board::Sight;
use super::entry::Visitor;
use super::moment::{Moment, iso};
use super::night::{Picture, Timeline};
use super::past::{Night, Told};
use super::site::{Card, Tone};
use crate::api::history::Entry;
use crate::api::http::Front;
use crate::api::status::{InDns, MarkerStatus, Next, RotationState, RotationStatus, Status};
use crate::api::token::Right;
use crate::api::when::When;

/// So many of the latest lines are told.
const LATEST: usize = 8;

#[derive(Template)]
#[template(path = "show.html")]
pub(super) struct Show {
    frame: Frame,
    /// What was done just now.
    said: Option<String>,
    now: String,
    /// The same, by the clock.
    clock: String,
    fleet: String,
    headline: String,
    tone: Tone,
    unknown: Vec<String>,
    needs: Vec<Need>,
    /// Of releases: what is on its way, and what waits for its time.
    releases: Vec<String>,
    rotation: Option<Rotates>,
    /// What can be asked of the rotation, or for one.
    acts: Vec<Act>,
    /// Of the rotation that runs, else of the last.
    picture: Option<Picture>,
    latest: Vec<Told>,
    cards: Vec<Card>,
    nights: Vec<Night>,
    marker: String,
}

/// What a person is needed for.
pub(super) struct Need {
    site: String,
    why: String,
    command: String,
    /// The same here, where there is a form for it.
    link: Option<(Act, String)>,
}

/// The rotation that runs.
pub(super) struct Rotates {
    id: String,
    state: &'static str,
    by: String,
    reason: Option<String>,
    since: Moment,
    visited: usize,
    all: usize,
    left: String,
    why: Option<String>,
    until: Option<Moment>,
}

pub(super) async fn show(
    State(front): State<Arc<Front>>,
    visitor: Visitor,
    uri: Uri,
) -> Result<Response, Wrong> {
    let sight = front
        .page
        .board
        .sight(&front, &visitor.caller.actor)
        .await?;
    let fields = Fields::read(uri.query().unwrap_or_default().as_bytes());
    let title = format!("{}: {}", sight.status.fleet, at_a_glance(&sight.status));
    let frame = Frame::of(&title, Here::Now, &visitor).live();
    let page = Show::of(&sight, frame, &When::local(), done(&fields));
    Ok(html(StatusCode::OK, &page))
}

/// After a form was taken: what was asked for.
fn done(fields: &Fields) -> Option<String> {
    let act: Act = fields.one("taken").parse().ok()?;
    let site = fields.one("site");
    let of = if site.is_empty() { "" } else { " " };
    Some(format!("{}{of}{site}: taken", act.word()))
}

impl Show {
    pub(super) fn of(sight: &Sight, frame: Frame, when: &When, said: Option<String>) -> Show {
        let (status, now) = (&sight.status, sight.at);
        let card = |site| Card::of(site, now, when);
        let told = |line| Told::of(line, now, when);
        let rotation = status.rotation.as_ref();
        Show {
            frame,
            said,
            now: iso(now),
            clock: when.at(now, now),
            fleet: status.fleet.to_string(),
            headline: headline(status),
            tone: tone(status),
            unknown: status.unknown.clone(),
            needs: status.next.iter().map(Need::of).collect(),
            releases: status.release.words(when, now),
            rotation: rotation.map(|rotation| Rotates::of(rotation, status, when, now)),
            acts: acts(rotation),
            picture: timeline(sight).map(|timeline| Picture::of(&timeline, &when.zone)),
            latest: sight.lines.iter().rev().take(LATEST).map(told).collect(),
            cards: status.sites.iter().map(card).collect(),
            nights: past(sight).map(|it| Night::of(it, now, when)).collect(),
            marker: marker(status),
        }
    }

    /// Whoever may do something.
    fn steers(&self) -> Option<&Who> {
        self.frame
            .who
            .as_ref()
            .filter(|who| who.role.may(Right::Steer))
    }

    /// Whether whoever reads it may ask for this.
    fn may(&self, act: &Act) -> bool {
        let who = self.frame.who.as_ref();
        who.is_some_and(|who| who.role.may(act.right()))
    }
}

impl Need {
    fn of(next: &Next) -> Need {
        let site = next.site.as_ref();
        Need {
            site: site.map_or("the fleet".to_owned(), ToString::to_string),
            why: next.why.clone(),
            command: next.command.clone(),
            link: form_of(&next.command),
        }
    }
}

impl Rotates {
    fn of(rotation: &RotationStatus, status: &Status, when: &When, now: Timestamp) -> Rotates {
        let in_hand = status
            .sites
            .iter()
            .filter(|site| site.step.is_some())
            .count();
        let left: Vec<&str> = rotation.left.iter().map(|site| site.as_str()).collect();
        Rotates {
            id: rotation.id.to_string(),
            state: state(rotation),
            by: rotation.actor.clone(),
            reason: rotation.reason.clone(),
            since: Moment::past(rotation.since, now, when),
            visited: rotation.visited.len(),
            all: rotation.visited.len() + in_hand + rotation.left.len(),
            left: left.join(", "),
            why: rotation.why.clone(),
            until: rotation.until.map(|at| Moment::ahead(at, now, when)),
        }
    }
}

/// Those that are over.
fn past(sight: &Sight) -> impl Iterator<Item = &Entry> {
    let running = sight.status.rotation.as_ref();
    let is_over = move |entry: &&Entry| running.is_none_or(|it| it.id.as_str() != entry.rotation);
    sight.nights.iter().filter(is_over)
}

/// The form that does what a command of `status` does.
fn form_of(command: &str) -> Option<(Act, String)> {
    let mut words = command.split_whitespace().skip(1).peekable();
    words.next_if_eq(&"release");
    let act: Act = words.next()?.parse().ok()?;
    let mut query = form_urlencoded::Serializer::new(String::new());
    for word in words {
        match word {
            "--reason" | "TEXT" => {}
            "--restore" => drop(query.append_pair("restore", "on")),
            "--kept" => drop(query.append_pair("kept", "on")),
            flag if flag.starts_with("--") => return None,
            name if act.is_about_a_site() => drop(query.append_pair("site", name)),
            name if act == Act::Rotate => drop(query.append_pair("playbook", name)),
            name if act == Act::Clear => drop(query.append_pair("digest", name)),
            _ => return None,
        }
    }
    Some((act, format!("/ask/{}?{}", act.word(), query.finish())))
}

fn acts(rotation: Option<&RotationStatus>) -> Vec<Act> {
    match rotation.map(|rotation| (rotation.interrupted, rotation.state)) {
        Some((false, RotationState::Running)) => vec![Act::Pause, Act::Abort],
        Some((false, RotationState::Paused)) => vec![Act::Resume, Act::Abort],
        Some((false, RotationState::Halting | RotationState::Aborting)) => Vec::new(),
        Some((true, _)) | None => vec![Act::Rotate, Act::Retry],
    }
}

fn timeline(sight: &Sight) -> Option<Timeline> {
    Timeline::of(&sight.lines, sight.running().as_ref())
}

fn state(rotation: &RotationStatus) -> &'static str {
    match (rotation.interrupted, rotation.state) {
        (true, _) => "interrupted",
        (false, RotationState::Running) => "running",
        (false, RotationState::Paused) => "paused",
        (false, RotationState::Halting) => "halting",
        (false, RotationState::Aborting) => "aborting",
    }
}

/// What is heard first: how many serve, what runs, and who is visited.
fn headline(status: &Status) -> String {
    let all = status.sites.len();
    let serving = serving(status);
    let serve = match serving == all {
        true if all == 1 => "The site serves.".to_owned(),
        true => format!("All {all} sites serve."),
        false => format!("{serving} of {all} sites serve."),
    };
    let Some(rotation) = &status.rotation else {
        return serve;
    };
    let visits = status.sites.iter().filter(|site| site.step.is_some());
    let visits: Vec<String> = visits
        .map(|site| {
            format!(
                "{} is {}",
                site.name,
                site.state.map_or("?", |it| it.words())
            )
        })
        .collect();
    let visits = match visits.is_empty() {
        true => String::new(),
        false => format!(": {}", visits.join(", ")),
    };
    format!(
        "{serve} {} is {}{visits}.",
        rotation.playbook,
        state(rotation)
    )
}

fn serving(status: &Status) -> usize {
    let in_dns = status.sites.iter().filter(|site| site.in_dns == InDns::Yes);
    in_dns.count()
}

/// For the title of a window among many.
fn at_a_glance(status: &Status) -> String {
    match (&status.rotation, status.next.len()) {
        (None, 0) => "at rest".to_owned(),
        (Some(rotation), 0) => state(rotation).to_owned(),
        (_, needs) => format!("{needs} for you"),
    }
}

fn tone(status: &Status) -> Tone {
    let is_paused = |it: &RotationStatus| it.state == RotationState::Paused;
    match &status.rotation {
        _ if !status.next.is_empty() => Tone::Bad,
        Some(rotation) if rotation.interrupted => Tone::Bad,
        Some(rotation) if is_paused(rotation) => Tone::Out,
        Some(_) => Tone::Busy,
        None if serving(status) == status.sites.len() => Tone::Well,
        None => Tone::Unknown,
    }
}

fn marker(status: &Status) -> String {
    let told = |marker: &MarkerStatus| match &marker.holder {
        Some(holder) => format!("The marker is held by {holder}, epoch {}.", marker.epoch),
        None => format!("The marker is free, epoch {}.", marker.epoch),
    };
    let is_silent = status
        .sites
        .iter()
        .all(|site| site.in_dns == InDns::Unknown);
    match &status.marker {
        Some(marker) => told(marker),
        None if is_silent => "The marker is not known.".to_owned(),
        None => "There is no marker.".to_owned(),
    }
}
