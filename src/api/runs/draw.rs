//! The picture: a group of rows an image, a row a site, a column a night. Pure: the runs in, an SVG
//! out, with its style in it.
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::legend::{digests, ends};
use super::palette::Palette;
use super::read::{Cell, How, ImageRuns, Runs, SiteRuns};
use super::svg::{Area, Svg, cut, escaped, wide};
use crate::model::image::Digest;

const STYLE: &str = include_str!("runs.css");

const MARGIN: usize = 16;
/// From one site to the next, the height of a visit, and of what runs on without one.
const ROW: usize = 27;
pub(super) const HIGH: usize = 21;
pub(super) const LOW: usize = 6;
/// The two lines of the axis.
const AXIS: usize = 32;

/// The columns share so much, as far as they can.
const WIDE: usize = 980;
/// Of a column: narrower, it is no place for a pointer; wider, it says no more.
const NARROWEST: usize = 14;
const WIDEST: usize = 112;
/// What the heading and the legend need.
const LEAST: usize = 620;

/// Letters, in tenths of a pixel.
const LETTER: usize = 66;
pub(super) const SMALL: usize = 62;
const MONO: usize = 61;

/// A site's name, and an image's, as far as they are shown.
const SITE_LETTERS: usize = 28;
const IMAGE_LETTERS: usize = 84;

/// Where everything is.
pub(super) struct Frame<'a> {
    pub(super) runs: &'a Runs,
    pub(super) palette: Palette,
    zone: &'a TimeZone,
    /// Where the first column begins, and how wide each is.
    left: usize,
    column: usize,
    pub(super) width: usize,
}

/// Draws the runs, with dates as clocks of `zone` show them.
pub(crate) fn draw(runs: &Runs, title: &str, zone: &TimeZone) -> String {
    let frame = Frame::of(runs, zone);
    let mut svg = Svg::default();
    let mut y = frame.heading(&mut svg, title);
    for image in &runs.images {
        y = frame.image(&mut svg, image, y);
    }
    let height = ends(&frame, &mut svg, y) + MARGIN;
    frame.whole(title, height, &svg.0)
}

impl<'a> Frame<'a> {
    fn of(runs: &'a Runs, zone: &'a TimeZone) -> Frame<'a> {
        let sites = runs.images.iter().flat_map(|image| &image.sites);
        let letters = sites.map(|it| it.site.as_str().chars().count()).max();
        let letters = letters.unwrap_or_default().clamp(5, SITE_LETTERS);
        let left = MARGIN + letters * LETTER / 10 + 14;
        let column = WIDE / runs.nights.len().max(1);
        let column = column.clamp(NARROWEST, WIDEST);
        let width = left + runs.nights.len() * column + MARGIN;
        Frame {
            runs,
            palette: Palette::of(runs),
            zone,
            left,
            column,
            width: width.max(LEAST),
        }
    }

    /// From margin to margin.
    pub(super) fn span(&self) -> std::ops::Range<usize> {
        MARGIN..self.width - MARGIN
    }

    fn whole(&self, title: &str, height: usize, inside: &str) -> String {
        let (width, title) = (self.width, escaped(title));
        let area = Area {
            x: 0,
            y: 0,
            width,
            height,
        };
        let mut ground = Svg::default();
        ground.rect("ground", area);
        format!(
            r##"<svg class="runs" xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img" aria-label="{title}">
<style>{STYLE}</style>
<defs><pattern id="runs-hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect width="2" height="6" fill="#14201c" fill-opacity=".55"/></pattern></defs>
{}
{inside}</svg>
"##,
            ground.0
        )
    }

    fn heading(&self, svg: &mut Svg, title: &str) -> usize {
        svg.text("title", (MARGIN, 28), &cut(title, IMAGE_LETTERS * 4 / 5));
        let nights = self.runs.nights.len();
        let word = if nights == 1 { "night" } else { "nights" };
        let zone = self.zone.iana_name().unwrap_or("local time");
        let mut told = format!("{nights} {word}, {zone}");
        if let (Some(first), Some(last)) = (self.date(0), self.date(nights.saturating_sub(1))) {
            told = match first == last {
                true => format!("{nights} {word}, {first}, {zone}"),
                false => format!("{nights} {word}, {first} to {last}, {zone}"),
            };
        }
        svg.text("soft", (MARGIN, 45), &told);
        58
    }

    /// One image; where what follows begins.
    fn image(&self, svg: &mut Svg, image: &ImageRuns, y: usize) -> usize {
        svg.line("rule", (MARGIN, y), self.width - MARGIN);
        svg.text("image", (MARGIN, y + 20), &cut(&image.name, IMAGE_LETTERS));
        let rows = y + 28 + AXIS;
        self.axis(svg, y + 28);
        for (n, site) in image.sites.iter().enumerate() {
            self.row(svg, site, rows + n * ROW);
        }
        digests(self, svg, image, rows + image.sites.len() * ROW + 4) + 10
    }

    /// Months above, days below; by the clock, where a day has more than one night.
    fn axis(&self, svg: &mut Svg, y: usize) {
        let months = self.firsts(|date| (date.year(), date.month()));
        for (n, column) in months.iter().enumerate() {
            let Some(date) = self.date(*column) else {
                continue;
            };
            let end = months.get(n + 1).copied();
            let room = (end.unwrap_or(self.runs.nights.len()) - column) * self.column;
            let room = if end.is_none() { room.max(70) } else { room };
            let month = date.strftime("%b %Y").to_string();
            let at = (self.x(*column) + 1, y + 11);
            let short = date.strftime("%b").to_string();
            let mut texts = [month, short].into_iter();
            if let Some(text) = texts.find(|it| wide(it, SMALL) <= room) {
                svg.text("soft", at, &text);
            }
        }
        let days = self.firsts(|date| date);
        let mut free = 0;
        for column in 0..self.runs.nights.len() {
            let text = match days.contains(&column) {
                true => self.date(column).map(|date| date.day().to_string()),
                false => self.clock(column),
            };
            let Some(text) = text else { continue };
            let middle = self.x(column) + self.column / 2;
            let half = wide(&text, SMALL).div_ceil(2);
            // Of neighbours that do not both fit, the earlier one stands.
            if middle >= free + half {
                svg.text_at("soft", (middle, y + 25), "middle", &text);
                free = middle + half + 3;
            }
        }
    }

    fn row(&self, svg: &mut Svg, row: &SiteRuns, y: usize) {
        let name = row.site.as_str();
        svg.titled(name, |svg| {
            svg.text("name", (MARGIN, y + 15), &cut(name, SITE_LETTERS));
        });
        for (column, cell) in row.cells.iter().enumerate() {
            let title = self.title(row, column, cell);
            svg.titled(&title, |svg| self.cell(svg, cell, self.area(column, y)));
        }
        self.labels(svg, row, y);
    }

    pub(super) fn cell(&self, svg: &mut Svg, cell: &Cell, area: Area) {
        svg.rect("whole", area);
        match cell.how {
            How::Completed => self.filled(svg, cell, area),
            How::RolledBack => {
                self.filled(svg, cell, area);
                let failed = cell.failed.first().map(|digest| self.palette.paint(digest));
                svg.corner(failed, area);
            }
            How::PutBack => {
                self.on(svg, cell, area);
                svg.outline("back", area);
            }
            How::Skipped => {
                self.on(svg, cell, area);
                svg.outline("skip", area);
            }
            How::Quarantined => {
                self.filled(svg, cell, area);
                svg.rect("hatch", area);
                svg.outline("bad", area);
            }
            How::Unfinished => {
                self.filled(svg, cell, area);
                svg.outline("cut", area);
            }
            How::NotVisited => self.on(svg, cell, area),
        }
    }

    /// A share of the height for each digest.
    fn filled(&self, svg: &mut Svg, cell: &Cell, area: Area) {
        let count = cell.digests.len();
        if count == 0 {
            svg.line("unknown", (area.x, area.y + HIGH / 2), area.x + area.width);
        }
        for (n, digest) in cell.digests.iter().enumerate() {
            let (from, to) = (area.height * n / count, area.height * (n + 1) / count);
            let share = Area {
                y: area.y + from,
                height: to - from,
                ..area
            };
            svg.digest(self.palette.paint(digest), share);
        }
    }

    /// It runs on.
    fn on(&self, svg: &mut Svg, cell: &Cell, area: Area) {
        let low = Area {
            y: area.y + HIGH - LOW,
            height: LOW,
            ..area
        };
        match cell.digests.is_empty() {
            true => svg.line("unknown", (area.x, area.y + HIGH / 2), area.x + area.width),
            false => self.filled(svg, cell, low),
        }
    }

    /// Each digest is written once where its stretch begins, as far as there is room.
    fn labels(&self, svg: &mut Svg, row: &SiteRuns, y: usize) {
        let mut written: Option<&Digest> = None;
        let mut column = 0;
        while let Some(first) = row.cells.get(column) {
            let alike = row.cells[column..].iter();
            let alike = alike.take_while(|cell| is_one_stretch(first, cell)).count();
            let single = first.digests.first().filter(|_| first.digests.len() == 1);
            if single != written {
                written = None;
            }
            if let Some(digest) = single.filter(|_| written.is_none())
                && let Some((text, class, drop)) = self.label(digest, first.how, alike)
            {
                svg.text(class, (self.x(column) + 4, y + drop), &text);
                written = Some(digest);
            }
            column += alike.max(1);
        }
    }

    /// The longest text that fits, its class, and how far below the top it stands.
    fn label(&self, digest: &Digest, how: How, cells: usize) -> Option<(String, &str, usize)> {
        let (class, drop, taken) = match how {
            How::Completed => ("mono on", 14, 0),
            How::RolledBack => ("mono on", 14, HIGH / 2),
            How::NotVisited => ("mono above", 11, 0),
            // Outlined or hatched: it could not be read.
            How::PutBack | How::Skipped | How::Quarantined | How::Unfinished => return None,
        };
        let room = (cells * self.column).saturating_sub(7 + taken);
        let short = digest.short();
        let named = self.runs.names.get(digest);
        let named = named.map(|name| format!("{short} {name}"));
        let texts = named
            .into_iter()
            .chain([short.to_owned(), short.chars().take(7).collect()]);
        let text = texts.into_iter().find(|text| wide(text, MONO) <= room)?;
        Some((text, class, drop))
    }

    fn title(&self, row: &SiteRuns, column: usize, cell: &Cell) -> String {
        let told = |digest: &Digest| match self.runs.names.get(digest) {
            Some(name) => format!("{} ({name})", digest.short()),
            None => digest.short().to_owned(),
        };
        let all = |digests: &std::collections::BTreeSet<Digest>| {
            digests.iter().map(told).collect::<Vec<_>>().join(" | ")
        };
        let (when, end) = match self.runs.nights.get(column) {
            Some(night) => {
                let at = night.began.to_zoned(self.zone.clone());
                (at.strftime("%Y-%m-%d %H:%M").to_string(), night)
            }
            None => return row.site.to_string(),
        };
        let runs = match cell.digests.is_empty() {
            true => "not known".to_owned(),
            false => all(&cell.digests),
        };
        let mut title = format!("{}, {when}: {runs}, {}", row.site, cell.how.word());
        if !cell.failed.is_empty() {
            title = format!("{title} from {}", all(&cell.failed));
        }
        if let Some(why) = &cell.why {
            title = format!("{title}: {why}");
        }
        format!("{title} ({}, {})", end.rotation, end.end)
    }

    fn area(&self, column: usize, y: usize) -> Area {
        Area {
            x: self.x(column),
            y,
            width: self.column - 1,
            height: HIGH,
        }
    }

    fn x(&self, column: usize) -> usize {
        self.left + column * self.column
    }

    fn date(&self, column: usize) -> Option<Date> {
        let night = self.runs.nights.get(column)?;
        Some(night.began.to_zoned(self.zone.clone()).date())
    }

    fn clock(&self, column: usize) -> Option<String> {
        let night = self.runs.nights.get(column)?;
        let at = night.began.to_zoned(self.zone.clone());
        Some(at.strftime("%H:%M").to_string())
    }

    /// The columns at which this of their date is another than before.
    fn firsts<T: PartialEq>(&self, of: impl Fn(Date) -> T) -> Vec<usize> {
        let columns = 0..self.runs.nights.len();
        let value = |column: usize| self.date(column).map(&of);
        let is_first = |column: &usize| *column == 0 || value(*column) != value(*column - 1);
        columns.filter(is_first).collect()
    }
}

impl How {
    /// As legends and titles have it.
    pub(super) fn word(self) -> &'static str {
        match self {
            How::Completed => "completed",
            How::RolledBack => "rolled back",
            How::PutBack => "put back as it was",
            How::Skipped => "skipped",
            How::Quarantined => "quarantined",
            How::Unfinished => "not ended as planned",
            How::NotVisited => "not visited",
        }
    }
}

/// Whether the text of one may stand upon the other: a mark is a stretch of its own.
fn is_one_stretch(first: &Cell, cell: &Cell) -> bool {
    let is_plain = matches!(first.how, How::Completed | How::NotVisited);
    std::ptr::eq(first, cell)
        || (is_plain && first.how == cell.how && first.digests == cell.digests)
}
