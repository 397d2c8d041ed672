//! The elements that the picture is made of. Everything that is text is escaped here.
use std::fmt::Write;

use super::palette::Paint;

/// A piece of the picture, as it is written.
#[derive(Debug, Default)]
pub(super) struct Svg(pub(super) String);

/// A place on it, and a size.
#[derive(Clone, Copy, Debug)]
pub(super) struct Area {
    pub(super) x: usize,
    pub(super) y: usize,
    pub(super) width: usize,
    pub(super) height: usize,
}

impl Svg {
    pub(super) fn rect(&mut self, class: &str, area: Area) {
        let Area {
            x,
            y,
            width,
            height,
        } = area;
        self.put(format_args!(
            r#"<rect class="{class}" x="{x}" y="{y}" width="{width}" height="{height}"/>"#
        ));
    }

    /// A digest: its colour, and its band where the colour was used before.
    pub(super) fn digest(&mut self, paint: Paint, area: Area) {
        self.rect(&format!("c{}", paint.colour), area);
        let thick = (area.height / 4).max(2);
        let low = Area {
            y: area.y + area.height - thick,
            height: thick,
            ..area
        };
        let high = Area {
            height: thick,
            ..area
        };
        if matches!(paint.band, "low" | "both") {
            self.rect("band", low);
        }
        if matches!(paint.band, "high" | "both") {
            self.rect("band", high);
        }
    }

    /// An outline that stays within its area.
    pub(super) fn outline(&mut self, class: &str, area: Area) {
        self.put(format_args!(
            r#"<rect class="{class}" x="{}" y="{}" width="{}" height="{}"/>"#,
            area.x + 1,
            area.y + 1,
            area.width.saturating_sub(2),
            area.height.saturating_sub(2)
        ));
    }

    /// The upper right corner, as large as a third of the height.
    pub(super) fn corner(&mut self, paint: Option<Paint>, area: Area) {
        let size = (area.height / 2).min(area.width);
        let (right, top) = (area.x + area.width, area.y);
        let fill = paint.map_or("on".to_owned(), |paint| format!("c{}", paint.colour));
        self.put(format_args!(
            r#"<path class="{fill} corner" d="M{} {top}H{right}V{}z"/>"#,
            right - size,
            top + size
        ));
    }

    pub(super) fn text(&mut self, class: &str, (x, y): (usize, usize), text: &str) {
        let text = escaped(text);
        self.put(format_args!(
            r#"<text class="{class}" x="{x}" y="{y}">{text}</text>"#
        ));
    }

    pub(super) fn text_at(
        &mut self,
        class: &str,
        (x, y): (usize, usize),
        anchor: &str,
        text: &str,
    ) {
        let text = escaped(text);
        self.put(format_args!(
            r#"<text class="{class}" x="{x}" y="{y}" text-anchor="{anchor}">{text}</text>"#
        ));
    }

    pub(super) fn line(&mut self, class: &str, (x, y): (usize, usize), to: usize) {
        self.put(format_args!(
            r#"<line class="{class}" x1="{x}" x2="{to}" y1="{y}" y2="{y}"/>"#
        ));
    }

    /// What is told of everything in it when the pointer rests there.
    pub(super) fn titled(&mut self, title: &str, inside: impl FnOnce(&mut Svg)) {
        let title = escaped(title);
        self.put(format_args!("<g><title>{title}</title>"));
        inside(self);
        self.0.push_str("</g>\n");
    }

    pub(super) fn put(&mut self, text: std::fmt::Arguments<'_>) {
        self.0.write_fmt(text).expect("a String takes everything");
    }
}

/// As XML has it. Signs that XML cannot hold, and those that turn the direction of writing around,
/// stand as the sign for a lost one.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(' '),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fffe}' | '\u{ffff}' => {
                out.push('\u{fffd}');
            }
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// How wide a text is at most, in letters of that many tenths of a pixel. Nothing measures text
/// here: a little too wide is better than one upon another.
pub(super) fn wide(text: &str, tenths: usize) -> usize {
    (text.chars().count() * tenths).div_ceil(10)
}

/// At most so many letters.
pub(super) fn cut(text: &str, letters: usize) -> String {
    match text.chars().count() > letters {
        true => text.chars().take(letters - 1).chain(['…']).collect(),
        false => text.to_owned(),
    }
}
