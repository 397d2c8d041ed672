//! `release status`: how the tags of every image stand.
use clap::Args;

use super::super::super::desk::Desk;
use super::super::super::exit::Exit;
use super::super::super::failure::{Failure, Outcome, Said};
use super::super::super::grid::grid;
use super::super::super::memory::Memory;
use super::act::manifest;
use super::history::cause;
use crate::api::release::{ImageStanding, KeptStanding, Standing, TagStanding};
use crate::api::status::ReleaseStatus;
use crate::api::wire::Command;
use crate::daemon::release::{Remembered, standing};
use crate::model::release::Running;

/// Of every image: what its tags name, since when and by whom, and which sites run it
///
/// The channels of an image stand in the order of promotion, one under the other.
#[derive(Args, Debug)]
pub(crate) struct Show {}

pub(super) async fn run(desk: &Desk, _: &Show) -> Outcome {
    let Some(loaded) = desk.here()? else {
        let told: Standing = desk.answered(&Command::ReleaseStatus {}).await?;
        show(desk, &told);
        return Ok(Exit::Done);
    };
    let adapters = desk.adapters(&loaded.fleet)?;
    let remembered = match Memory::open(desk, &loaded)? {
        Some(memory) => memory.release()?,
        None => Remembered::default(),
    };
    let now = desk.clock.now().wall;
    let told = standing(&adapters.registries, &loaded.fleet, &remembered, now);
    let told = Box::pin(told).await.map_err(|refused| Failure {
        exit: Exit::from_code(refused.exit),
        said: Said::Problems(refused.problems),
    })?;
    show(desk, &told);
    Ok(Exit::Done)
}

fn show(desk: &Desk, standing: &Standing) {
    if desk.output.is_json {
        desk.output.json(standing);
        return;
    }
    let now = desk.clock.now().wall;
    let status = ReleaseStatus {
        open: standing.open.clone(),
        scheduled: standing.scheduled.clone(),
    };
    for words in status.words(&desk.when, now) {
        desk.output.say(&words);
    }
    let rows = standing.images.iter();
    let rows = rows.flat_map(|image| image.tags.iter().map(|tag| row(desk, image, tag)));
    let headings = ["IMAGE", "CHANNEL", "NAMES", "SINCE", "BY", "SITES"];
    let mut parts = vec![grid(headings, rows.collect())];
    let tags = standing.images.iter().flat_map(|image| &image.tags);
    for (site, pinned) in tags.flat_map(|tag| &tag.pinned) {
        let line = format!("{site} {pinned}: it does not take the tag");
        if !parts.contains(&line) {
            parts.push(line);
        }
    }
    for image in &standing.images {
        parts.extend(image.kept.iter().map(|kept| kept_as(desk, image, kept)));
    }
    desk.output.result(&parts.join("\n"));
}

/// `r.example.com/web: 4f5a0b1c2d3e kept as release-v2.4.1.11.23.1, 3 h ago`.
fn kept_as(desk: &Desk, image: &ImageStanding, kept: &KeptStanding) -> String {
    let since = desk.when.ago(kept.since, desk.clock.now().wall);
    let refused = match &kept.refused {
        Some(why) => format!("; it is to go and stays: {why}"),
        None => String::new(),
    };
    let (name, digest) = (&image.name, kept.digest.short());
    format!("{name}: {digest} kept as {}, {since}{refused}", kept.tag)
}

fn row(desk: &Desk, image: &ImageStanding, tag: &TagStanding) -> [String; 6] {
    let now = desk.clock.now().wall;
    let names = match (&tag.now, &tag.problem) {
        (Some(told), _) if !tag.approved_by.is_empty() => {
            format!(
                "{}, approved by {}",
                manifest(told),
                tag.approved_by.join(", ")
            )
        }
        (Some(told), _) => manifest(told),
        (None, Some(problem)) => format!("unknown: {problem}"),
        (None, None) => "no such tag".to_owned(),
    };
    let (since, by) = match &tag.moved {
        Some(moved) => (
            desk.when.ago(moved.at, now),
            format!("{} ({})", moved.who, cause(moved.cause)),
        ),
        None => ("-".to_owned(), "-".to_owned()),
    };
    let sites: Vec<String> = tag.sites.iter().map(|site| runs(tag, site)).collect();
    [
        image.name.clone(),
        tag.channel.to_string(),
        names,
        since,
        by,
        sites.join(", "),
    ]
}

/// `fra` where it passed with what the tag names, else `fra 4f5a0b1c2d3e`.
fn runs(tag: &TagStanding, site: &Running) -> String {
    let now = tag.now.as_ref().map(|told| &told.digest);
    match &site.digest {
        Some(digest) if Some(digest) == now => site.site.to_string(),
        Some(digest) => format!("{} {}", site.site, digest.short()),
        None => format!("{} -", site.site),
    }
}
