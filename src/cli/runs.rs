//! The last rotations as reports, from the store or from a coordinator, and what ran where.
use std::collections::BTreeMap;

use serde::Deserialize;

use super::desk::Desk;
use super::exit::Exit;
use super::failure::Failure;
use super::memory::Memory;
use crate::api::release::History;
use crate::api::report::{Found, Report, ran, report};
use crate::api::runs::{Declared, Runs, Sources, draw};
use crate::api::wire::Command;
use crate::config::Loaded;
use crate::daemon::release::history;
use crate::model::id::RotationId;
use crate::model::image::Digest;

/// So many rotations before those that are drawn are read: a site that none of all visited is known
/// by the ledger only.
const BEFORE: usize = 30;

/// So many a coordinator is asked for where an earlier one is looked for.
const LOOKED_BACK: usize = 400;

/// More a coordinator does not list.
const MOST: usize = 1000;

/// So many moves are looked through for the keep-tags of digests.
const MOVES: usize = 500;

/// What is to be drawn.
pub(crate) struct Asked<'a> {
    /// Only images whose reference holds this.
    pub(crate) image: Option<&'a str>,
    pub(crate) nights: usize,
    /// The last of them; without one: the last there is.
    pub(crate) until: Option<&'a RotationId>,
}

/// What ran where, and its picture.
pub(crate) struct Drawn {
    pub(crate) runs: Runs,
    pub(crate) svg: String,
}

pub(crate) async fn drawn(
    desk: &Desk,
    loaded: Option<&Loaded>,
    asked: &Asked<'_>,
) -> Result<Drawn, Failure> {
    let (runs, title) = match loaded {
        Some(loaded) => {
            let title = format!("{}: what ran at each site", loaded.fleet.name);
            (from_store(desk, loaded, asked)?, title)
        }
        None => {
            let runs = from_coordinator(desk, asked).await?;
            (runs, "What ran at each site".to_owned())
        }
    };
    let svg = draw(&runs, &title, &desk.when.zone);
    Ok(Drawn { runs, svg })
}

fn from_store(desk: &Desk, loaded: &Loaded, asked: &Asked<'_>) -> Result<Runs, Failure> {
    let Some(memory) = Memory::open(desk, loaded)? else {
        return Ok(Runs::default());
    };
    let spans = memory.rotations()?.into_iter().map(|span| span.rotation);
    let mut reports = Vec::new();
    for rotation in last(spans.collect(), asked) {
        let found = Found {
            hooks: BTreeMap::new(),
            ran: ran(&memory.events(&rotation)?),
            remains: BTreeMap::new(),
        };
        reports.extend(report(&rotation, &memory.story(&rotation, loaded)?, found));
    }
    let ledger = memory.ledger()?;
    Ok(Runs::of(Sources {
        reports: &reports,
        declared: Declared::of(&loaded.fleet),
        passed: &ledger.passed,
        names: names(&history(&ledger, None, MOVES)),
        only: asked.image,
        nights: asked.nights,
    }))
}

async fn from_coordinator(desk: &Desk, asked: &Asked<'_>) -> Result<Runs, Failure> {
    let last_ones = Command::History {
        last: match asked.until {
            Some(_) => LOOKED_BACK,
            None => (asked.nights + BEFORE).min(MOST),
        },
    };
    let told: Told = desk.answered(&last_ones).await?;
    let rotations = told.rotations.into_iter().rev().map(|it| it.rotation);
    let mut reports: Vec<Report> = Vec::new();
    for rotation in last(rotations.collect(), asked) {
        reports.push(desk.answered(&Command::Report { rotation }).await?);
    }
    let moves = Command::ReleaseHistory {
        image: None,
        last: MOVES,
    };
    let moves: History = desk.answered(&moves).await?;
    Ok(Runs::of(Sources {
        reports: &reports,
        names: names(&moves),
        only: asked.image,
        nights: asked.nights,
        ..Sources::default()
    }))
}

/// The part of a list of rotations that names them.
#[derive(Deserialize)]
struct Told {
    rotations: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    rotation: RotationId,
}

/// Those up to the last that is asked for, and no more than are looked through.
fn last(mut rotations: Vec<RotationId>, asked: &Asked<'_>) -> Vec<RotationId> {
    if let Some(until) = asked.until {
        let at = rotations.iter().position(|it| it == until);
        rotations.truncate(at.map_or(0, |at| at + 1));
        if at.is_none() {
            // Too long ago to have been listed: it stands alone.
            rotations.push(until.clone());
        }
    }
    let first = rotations.len().saturating_sub(asked.nights + BEFORE);
    rotations.split_off(first)
}

fn names(history: &History) -> BTreeMap<Digest, String> {
    let kept = history.moves.iter();
    let kept = kept.filter_map(|it| Some((it.moved.new.clone(), it.kept.first()?.clone())));
    kept.collect()
}

/// Why there is nothing to draw.
pub(crate) fn nothing(image: Option<&str>) -> Failure {
    let (what, cure) = match image {
        Some(image) => (
            format!(
                "no night ran an image that follows a channel and whose reference holds {image:?}"
            ),
            "leave out --image to see those there are",
        ),
        None => (
            "there is no night yet of an image that follows a channel".to_owned(),
            "an image follows one where its tag in the Compose file holds ${CHANNEL}; then: \
             `cleanslate rotate`",
        ),
    };
    Failure::new(Exit::Usage, what, cure)
}
