//! What the colours and the marks of the picture mean.
use std::collections::BTreeSet;

use super::draw::{Frame, HIGH, SMALL};
use super::palette::in_order;
use super::read::{Cell, How, ImageRuns};
use super::svg::{Area, Svg, wide};
use crate::model::image::Digest;

const LINE: usize = 19;
const SWATCH: usize = 14;
/// Of a mark: as wide as it must be to be told from the others.
const MARK: usize = 30;
const APART: usize = 18;

/// The digests of an image, in the order in which they came; where what follows begins.
pub(super) fn digests(frame: &Frame<'_>, svg: &mut Svg, image: &ImageRuns, y: usize) -> usize {
    let mut flow = Flow::of(frame, y);
    for digest in in_order(image) {
        let text = match frame.runs.names.get(digest) {
            Some(name) => format!("{} {name}", digest.short()),
            None => digest.short().to_owned(),
        };
        let (x, y) = flow.place(SWATCH + 5 + wide(&text, SMALL), LINE);
        let swatch = Area {
            x,
            y,
            width: SWATCH,
            height: SWATCH,
        };
        svg.titled(digest.as_str(), |svg| {
            svg.digest(frame.palette.paint(digest), swatch);
            svg.text("mono", (x + SWATCH + 5, y + 11), &text);
        });
    }
    flow.end(LINE)
}

/// How visits ended, of those that are in the picture; where it ends.
pub(super) fn ends(frame: &Frame<'_>, svg: &mut Svg, y: usize) -> usize {
    let sites = frame.runs.images.iter().flat_map(|image| &image.sites);
    let cells: Vec<&Cell> = sites.flat_map(|site| &site.cells).collect();
    let present: BTreeSet<How> = cells.iter().map(|cell| cell.how).collect();
    let sample = cells.iter().find_map(|cell| cell.digests.first());
    let failed = cells.iter().find_map(|cell| cell.failed.first());
    svg.line("rule", (frame.span().start, y), frame.span().end);
    let mut flow = Flow::of(frame, y + 12);
    for how in present {
        let sample = Cell {
            digests: sample.into_iter().cloned().collect(),
            how,
            failed: failed_of(how, failed),
            why: None,
        };
        let text = meaning(how);
        let (x, y) = flow.place(MARK + 6 + wide(text, SMALL), HIGH + 6);
        let area = Area {
            x,
            y,
            width: MARK,
            height: HIGH,
        };
        frame.cell(svg, &sample, area);
        svg.text("name", (x + MARK + 6, y + 15), text);
    }
    flow.end(HIGH + 6)
}

fn failed_of(how: How, failed: Option<&Digest>) -> BTreeSet<Digest> {
    match how {
        How::RolledBack => failed.into_iter().cloned().collect(),
        How::Completed
        | How::PutBack
        | How::Skipped
        | How::Quarantined
        | How::Unfinished
        | How::NotVisited => BTreeSet::new(),
    }
}

fn meaning(how: How) -> &'static str {
    match how {
        How::Completed => "completed",
        How::RolledBack => "rolled back, in the corner what failed",
        How::PutBack => "put back as it was",
        How::Skipped => "skipped, nothing changed",
        How::Quarantined => "quarantined, out of DNS",
        How::Unfinished => "not ended as planned",
        How::NotVisited => "not visited, runs on",
    }
}

/// One after another, and on the next line where a line is full.
struct Flow {
    from: usize,
    to: usize,
    x: usize,
    y: usize,
}

impl Flow {
    fn of(frame: &Frame<'_>, y: usize) -> Flow {
        let span = frame.span();
        Flow {
            from: span.start,
            to: span.end,
            x: span.start,
            y,
        }
    }

    fn place(&mut self, width: usize, height: usize) -> (usize, usize) {
        if self.x > self.from && self.x + width > self.to {
            self.x = self.from;
            self.y += height;
        }
        let at = (self.x, self.y);
        self.x += width + APART;
        at
    }

    fn end(&self, height: usize) -> usize {
        self.y + height
    }
}
