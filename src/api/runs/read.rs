//! From the reports of rotations to what each site ran after each of them. Pure.
//!
//! The ledger does not know: it has of each digest when a site passed it first and last, and of a
//! site that went back and forth nothing in between. A report has what ran at the first look, what
//! was pinned, and how the visit ended; what a site is not visited for it goes on running.
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::declared::Declared;
use crate::api::public::{Kind, Line, Public};
use crate::api::report::Report;
use crate::model::id::SiteName;
use crate::model::image::{Digest, ImageRef};
use crate::model::release::{Followed, Passed};

/// The last nights.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Runs {
    /// In order. Rotations that recreate nothing are none of them.
    pub(crate) nights: Vec<Night>,
    pub(crate) images: Vec<ImageRuns>,
    /// What digests are called beside: their keep-tags.
    pub(crate) names: BTreeMap<Digest, String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Night {
    pub(crate) rotation: String,
    pub(crate) began: Timestamp,
    pub(crate) end: &'static str,
}

/// An image that follows a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ImageRuns {
    /// `r.io/web:${CHANNEL}`.
    pub(crate) name: String,
    pub(crate) sites: Vec<SiteRuns>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SiteRuns {
    pub(crate) site: SiteName,
    /// One a night.
    pub(crate) cells: Vec<Cell>,
}

/// A site when a night was over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cell {
    /// What it runs, several where its hosts differ; none: it is not known.
    pub(crate) digests: BTreeSet<Digest>,
    pub(crate) how: How,
    /// What failed, where it went back.
    pub(crate) failed: BTreeSet<Digest>,
    /// Why it did not end as planned.
    pub(crate) why: Option<String>,
}

/// How its visit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum How {
    Completed,
    RolledBack,
    /// It was withdrawn, and is back as it was.
    PutBack,
    /// Nothing was changed.
    Skipped,
    Quarantined,
    /// The visit was cut short, or runs.
    Unfinished,
    NotVisited,
}

/// What the runs are read from.
#[derive(Debug, Default)]
pub(crate) struct Sources<'a> {
    /// The earliest first. Those before the nights that are wanted tell what ran when they began.
    pub(crate) reports: &'a [Report],
    pub(crate) declared: Declared,
    pub(crate) passed: &'a [Passed],
    pub(crate) names: BTreeMap<Digest, String>,
    /// Only images whose reference holds this.
    pub(crate) only: Option<&'a str>,
    /// So many of the last are wanted.
    pub(crate) nights: usize,
}

/// An image at a site.
type Row = (Followed, SiteName);

impl Runs {
    pub(crate) fn of(sources: Sources<'_>) -> Runs {
        let rows = rows(&sources);
        let told: Vec<&Report> = sources.reports.iter().filter(|it| recreates(it)).collect();
        let drawn = told.len().saturating_sub(sources.nights);
        let mut images: Vec<ImageRuns> = Vec::new();
        for ((followed, site), taken) in &rows {
            let mut cells = cells(&sources, site, taken);
            let name = followed.to_string();
            if images.last().is_none_or(|image| image.name != name) {
                let sites = Vec::new();
                images.push(ImageRuns { name, sites });
            }
            if let Some(image) = images.last_mut() {
                let (site, cells) = (site.clone(), cells.split_off(drawn.min(cells.len())));
                image.sites.push(SiteRuns { site, cells });
            }
        }
        Runs {
            nights: told[drawn..].iter().map(|it| night(it)).collect(),
            images,
            names: sources.names,
        }
    }
}

/// The services of a row, and the references of their images.
#[derive(Default)]
struct Taken {
    services: BTreeSet<String>,
    images: BTreeSet<ImageRef>,
}

fn rows(sources: &Sources<'_>) -> BTreeMap<Row, Taken> {
    let mut followed = sources.declared.images.clone();
    for line in sources.reports.iter().flat_map(|it| &it.events) {
        if let Public::RotationPlanned { digests, .. } = &line.public {
            for (channel, pins) in digests {
                for image in pins.keys() {
                    let found = Followed::of(image, channel);
                    // What is declared goes first: it is known there, here it is read from the tag.
                    if let (Some(found), false) = (found, followed.contains_key(image)) {
                        followed.insert(image.clone(), found);
                    }
                }
            }
        }
    }
    let is_wanted = |image: &ImageRef| match sources.only {
        Some(only) => image.to_string().contains(only),
        None => true,
    };
    let mut rows: BTreeMap<Row, Taken> = BTreeMap::new();
    for ((site, service), images) in services(sources, &followed) {
        for image in images.into_iter().filter(is_wanted) {
            if let Some(followed) = followed.get(&image) {
                let row = rows.entry((followed.clone(), site.clone())).or_default();
                row.services.insert(service.clone());
                row.images.insert(image);
            }
        }
    }
    rows
}

/// The images of each service: as declared, else those that were pinned whenever it was.
fn services(
    sources: &Sources<'_>,
    followed: &BTreeMap<ImageRef, Followed>,
) -> BTreeMap<(SiteName, String), BTreeSet<ImageRef>> {
    let declared = &sources.declared.services;
    let mut services: BTreeMap<(SiteName, String), BTreeSet<ImageRef>> = declared
        .iter()
        .map(|(service, image)| (service.clone(), image.iter().cloned().collect()))
        .collect();
    for report in sources.reports {
        for of in &report.sites {
            let Ok(site) = of.site.parse::<SiteName>() else {
                continue;
            };
            let planned = planned(report, &site);
            for (service, [_, pinned]) in &of.digests {
                let key = (site.clone(), service.clone());
                if declared.contains_key(&key) {
                    continue;
                }
                let pinned = parsed(pinned);
                let images = planned.iter().filter(|(image, digest)| {
                    pinned.contains(*digest) && followed.contains_key(*image)
                });
                let images: BTreeSet<ImageRef> =
                    images.map(|(image, _)| (*image).clone()).collect();
                // Two images may have one manifest for a while, not for ever.
                let known = services.entry(key).or_default();
                let both: BTreeSet<ImageRef> = known.intersection(&images).cloned().collect();
                match (both.is_empty(), images.is_empty()) {
                    (false, _) => *known = both,
                    (true, false) => *known = images,
                    (true, true) => {}
                }
            }
        }
    }
    services
}

/// Every reference and digest that a rotation had for a site.
fn planned<'a>(report: &'a Report, site: &SiteName) -> BTreeSet<(&'a ImageRef, &'a Digest)> {
    let mut planned = BTreeSet::new();
    for line in &report.events {
        if let Public::RotationPlanned {
            digests, pinned, ..
        } = &line.public
        {
            planned.extend(digests.values().flatten());
            planned.extend(pinned.get(site).into_iter().flatten());
        } else if let Public::RollingBack { digests, .. } = &line.public
            && line.site.as_ref() == Some(site)
        {
            planned.extend(digests);
        }
    }
    planned
}

/// What a site ran after each of the rotations that recreate anything.
fn cells(sources: &Sources<'_>, site: &SiteName, taken: &Taken) -> Vec<Cell> {
    let mut cells: Vec<(Timestamp, Cell)> = Vec::new();
    let mut runs = BTreeSet::new();
    // What it ran before anything was heard of it; `None`: nothing was yet.
    let mut at_first: Option<BTreeSet<Digest>> = None;
    for report in sources.reports {
        let visit = Visit::of(site, &report.events);
        let (ran, pinned) = digests(report, site, taken);
        if !ran.is_empty() {
            runs = ran;
        }
        let before = runs.clone();
        if visit.is_made_anew && !pinned.is_empty() {
            runs = pinned;
        }
        if !runs.is_empty() {
            at_first.get_or_insert(before);
        }
        if recreates(report) {
            let cell = Cell {
                digests: runs.clone(),
                how: visit.how,
                failed: visit.failed(&taken.images),
                why: visit.why,
            };
            cells.push((report.began, cell));
        }
    }
    let at_first = at_first.unwrap_or_default();
    for (at, cell) in &mut cells {
        if !cell.digests.is_empty() {
            break;
        }
        cell.digests = match at_first.is_empty() {
            false => at_first.clone(),
            true => last_passed(sources.passed, site, taken, *at),
        };
    }
    cells.into_iter().map(|(_, cell)| cell).collect()
}

/// What ran at the first look, and what was pinned.
fn digests(
    report: &Report,
    site: &SiteName,
    taken: &Taken,
) -> (BTreeSet<Digest>, BTreeSet<Digest>) {
    let (mut ran, mut pinned) = (BTreeSet::new(), BTreeSet::new());
    let of_site = report.sites.iter().filter(|it| it.site == site.as_str());
    for (service, [was, is]) in of_site.flat_map(|it| &it.digests) {
        if taken.services.contains(service) {
            ran.extend(parsed(was));
            pinned.extend(parsed(is));
        }
    }
    (ran, pinned)
}

/// What the ledger has, where no report has anything.
fn last_passed(
    passed: &[Passed],
    site: &SiteName,
    taken: &Taken,
    before: Timestamp,
) -> BTreeSet<Digest> {
    let of_row = passed.iter().filter(|it| it.site == *site);
    let of_row = of_row.filter(|it| taken.images.contains(&it.image));
    let last = of_row
        .filter(|it| it.last < before)
        .max_by_key(|it| it.last);
    last.map(|it| it.digest.clone()).into_iter().collect()
}

/// A visit, as its lines tell it.
struct Visit {
    how: How,
    /// Its containers are those of the plan, or what is left of making them.
    is_made_anew: bool,
    barred: BTreeSet<(ImageRef, Digest)>,
    why: Option<String>,
}

impl Visit {
    fn of(site: &SiteName, lines: &[Line]) -> Visit {
        let mut visit = Visit {
            how: How::NotVisited,
            is_made_anew: false,
            barred: BTreeSet::new(),
            why: None,
        };
        for line in lines.iter().filter(|it| it.site.as_ref() == Some(site)) {
            visit.hear(line);
        }
        visit
    }

    fn hear(&mut self, line: &Line) {
        match &line.public {
            Public::VisitStarted { kind } => match kind {
                Kind::InService
                | Kind::Rebuild
                | Kind::Quarantined
                | Kind::FoundOut
                | Kind::AsItStands => self.end(How::Unfinished, None),
                Kind::WithdrawOnly | Kind::MarkerOnly => {}
            },
            Public::Recreated { .. } => self.is_made_anew = true,
            // One that was only verified as it stands, or only taken out, runs what it ran.
            Public::VisitCompleted { .. } => match (self.how, self.is_made_anew) {
                (How::NotVisited, _) => {}
                (_, true) => self.end(How::Completed, None),
                (_, false) => self.end(How::Skipped, None),
            },
            Public::RollingBack { barred, .. } => {
                let barred = barred.iter();
                let barred = barred.map(|(image, digest)| (image.clone(), digest.clone()));
                self.barred.extend(barred);
            }
            Public::RolledBack { why, .. } => self.end(How::RolledBack, Some(why)),
            Public::PutBack { why, .. } => self.end(How::PutBack, Some(why)),
            Public::SiteSkipped { why, .. } => self.end(How::Skipped, Some(why)),
            Public::SiteQuarantined { why, .. } => {
                self.end(How::Quarantined, Some(why));
                self.is_made_anew |= line.step.as_deref() == Some("recreate");
            }
            Public::RotationPlanned { .. }
            | Public::ImagesPulled { .. }
            | Public::KeptDrifted { .. }
            | Public::Ready { .. }
            | Public::WithdrawRefused { .. }
            | Public::Withdrawn { .. }
            | Public::Draining { .. }
            | Public::Drained { .. }
            | Public::TrialBegun { .. }
            | Public::TrialAccepted { .. }
            | Public::Verified { .. }
            | Public::Restored { .. }
            | Public::Soaked
            | Public::HookFailed { .. }
            | Public::Retrying { .. }
            | Public::Waiting { .. }
            | Public::TagMoved { .. }
            | Public::TakenOver { .. }
            | Public::RotationPaused { .. }
            | Public::RotationResumed { .. }
            | Public::RotationHalted { .. }
            | Public::RotationAborted { .. }
            | Public::RotationCompleted { .. } => {}
        }
    }

    fn end(&mut self, how: How, why: Option<&String>) {
        self.how = how;
        self.why = why.cloned();
    }

    fn failed(&self, images: &BTreeSet<ImageRef>) -> BTreeSet<Digest> {
        let barred = self
            .barred
            .iter()
            .filter(|(image, _)| images.contains(image));
        barred.map(|(_, digest)| digest.clone()).collect()
    }
}

/// Whether a rotation was to recreate anything, or did.
fn recreates(report: &Report) -> bool {
    report.events.iter().any(|line| {
        if let Public::RotationPlanned { digests, .. } = &line.public {
            return digests.values().any(|pins| !pins.is_empty());
        }
        matches!(line.public, Public::Recreated { .. })
    })
}

fn night(report: &Report) -> Night {
    let mut end = "unfinished";
    for line in &report.events {
        if let Public::RotationCompleted { .. } = line.public {
            end = "completed";
        } else if let Public::RotationHalted { .. } = line.public {
            end = "halted";
        } else if let Public::RotationAborted { .. } = line.public {
            end = "aborted";
        }
    }
    Night {
        rotation: report.rotation.to_string(),
        began: report.began,
        end,
    }
}

/// Several are written one after another; what is no digest is not known.
fn parsed(digests: &str) -> BTreeSet<Digest> {
    digests
        .split(", ")
        .filter_map(|it| it.parse().ok())
        .collect()
}
