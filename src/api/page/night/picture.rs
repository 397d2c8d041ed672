//! A timeline as a picture: where everything is drawn, in shares of the width, so that it fits
//! whatever the screen. Pure; the template writes the SVG.
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::timeline::{Stretch, Timeline};
use crate::api::page::moment::seconds;
use crate::api::when::between;

/// One night, drawn.
pub(in crate::api::page) struct Picture {
    pub(in crate::api::page) height: usize,
    /// Where the rows end and the times stand.
    pub(in crate::api::page) floor: usize,
    pub(in crate::api::page) rows: Vec<DrawnRow>,
    pub(in crate::api::page) pauses: Vec<Bar>,
    pub(in crate::api::page) ticks: Vec<Tick>,
    /// The steps that are in it, in the order of a visit.
    pub(in crate::api::page) legend: Vec<Step>,
    pub(in crate::api::page) took: String,
}

pub(in crate::api::page) struct DrawnRow {
    pub(in crate::api::page) site: String,
    pub(in crate::api::page) end: String,
    /// Where its name stands.
    pub(in crate::api::page) name_at: usize,
    pub(in crate::api::page) bar_at: usize,
    pub(in crate::api::page) out_at: usize,
    pub(in crate::api::page) steps: Vec<DrawnStep>,
    pub(in crate::api::page) out: Vec<Bar>,
}

pub(in crate::api::page) struct DrawnStep {
    pub(in crate::api::page) step: Step,
    pub(in crate::api::page) bar: Bar,
    pub(in crate::api::page) began: String,
    pub(in crate::api::page) took: String,
    /// Whether its word fits, on a phone too.
    pub(in crate::api::page) has_word: bool,
}

/// From where, and how wide, in percent.
pub(in crate::api::page) struct Bar {
    pub(in crate::api::page) x: String,
    pub(in crate::api::page) width: String,
}

pub(in crate::api::page) struct Tick {
    pub(in crate::api::page) x: String,
    pub(in crate::api::page) clock: String,
    /// Towards the middle: nothing is cut off at the edges.
    pub(in crate::api::page) anchor: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::api::page) struct Step {
    pub(in crate::api::page) word: String,
    /// What it is drawn as.
    pub(in crate::api::page) class: &'static str,
}

/// In the order of a visit.
const STEPS: [&str; 10] = [
    "ready", "withdraw", "drain", "recreate", "verify", "restore", "soak", "signal", "put_back",
    "mark",
];

/// What is none of those.
const OTHER: &str = "other";

const ROW: usize = 46;
const AXIS: usize = 22;

/// A narrow phone's width for the picture, and a letter's.
const PHONE: f64 = 316.0;
const LETTER: f64 = 6.6;

/// Nothing can be measured on a picture of less.
const SHORTEST: SignedDuration = SignedDuration::from_secs(5);

/// What lies between two times of the axis.
const BETWEEN_TICKS: [i64; 14] = [
    1, 5, 10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 43_200,
];
const TICKS: i64 = 5;

impl Picture {
    pub(in crate::api::page) fn of(timeline: &Timeline, zone: &TimeZone) -> Picture {
        let scale = Scale::of(timeline);
        let rows: Vec<DrawnRow> = timeline
            .rows
            .iter()
            .enumerate()
            .map(|(n, row)| DrawnRow {
                site: row.site.to_string(),
                end: row.end.clone(),
                name_at: n * ROW + 13,
                bar_at: n * ROW + 19,
                out_at: n * ROW + 38,
                steps: row
                    .steps
                    .iter()
                    .map(|taken| scale.step(&taken.step, taken.stretch, zone))
                    .collect(),
                out: row.out.iter().map(|out| scale.bar(*out)).collect(),
            })
            .collect();
        let floor = rows.len() * ROW;
        Picture {
            height: floor + AXIS,
            floor,
            legend: legend(&rows),
            rows,
            pauses: timeline.pauses.iter().map(|it| scale.bar(*it)).collect(),
            ticks: scale.ticks(zone),
            took: seconds(between(timeline.from, timeline.to).as_secs()),
        }
    }
}

/// From times to shares of the width.
struct Scale {
    from: Timestamp,
    length: SignedDuration,
}

impl Scale {
    fn of(timeline: &Timeline) -> Scale {
        Scale {
            from: timeline.from,
            length: timeline.to.duration_since(timeline.from).max(SHORTEST),
        }
    }

    fn share(&self, at: Timestamp) -> f64 {
        let passed = at.duration_since(self.from).as_secs_f64();
        (passed / self.length.as_secs_f64()).clamp(0.0, 1.0)
    }

    fn bar(&self, stretch: Stretch) -> Bar {
        let (x, end) = (self.share(stretch.from), self.share(stretch.to));
        Bar {
            x: percent(x),
            width: percent(end - x),
        }
    }

    fn step(&self, word: &str, stretch: Stretch, zone: &TimeZone) -> DrawnStep {
        let step = Step::of(word);
        let wide = (self.share(stretch.to) - self.share(stretch.from)) * PHONE;
        let letters = u8::try_from(step.word.chars().count()).unwrap_or(u8::MAX);
        DrawnStep {
            has_word: f64::from(letters) * LETTER + 8.0 <= wide,
            bar: self.bar(stretch),
            began: clock(stretch.from, zone, true),
            took: seconds(between(stretch.from, stretch.to).as_secs()),
            step,
        }
    }

    /// Round times, by the clocks of `zone`.
    fn ticks(&self, zone: &TimeZone) -> Vec<Tick> {
        let seconds = self.length.as_secs();
        let mut apart = BETWEEN_TICKS.into_iter();
        let apart = apart
            .find(|apart| seconds / apart <= TICKS)
            .unwrap_or(86_400);
        let offset = i64::from(zone.to_offset(self.from).seconds());
        let local = self.from.as_second() + offset;
        let first = (local.div_euclid(apart) + 1) * apart - offset;
        let times = (0..=TICKS).filter_map(|n| Timestamp::from_second(first + n * apart).ok());
        let end = self.from.saturating_add(self.length).unwrap_or(self.from);
        times
            .take_while(|at| *at < end)
            .map(|at| {
                let share = self.share(at);
                Tick {
                    x: percent(share),
                    clock: clock(at, zone, apart < 60),
                    anchor: match share {
                        share if share < 0.08 => "start",
                        share if share > 0.92 => "end",
                        _ => "middle",
                    },
                }
            })
            .collect()
    }
}

impl Step {
    fn of(word: &str) -> Step {
        let known = STEPS.into_iter().find(|known| *known == word);
        Step {
            word: word.replace('_', " "),
            class: known.unwrap_or(OTHER),
        }
    }
}

fn legend(rows: &[DrawnRow]) -> Vec<Step> {
    let drawn = || rows.iter().flat_map(|row| &row.steps).map(|it| &it.step);
    let known = STEPS.into_iter().chain([OTHER]);
    let first_of = |class| drawn().find(|step| step.class == class).cloned();
    known.filter_map(first_of).collect()
}

fn percent(share: f64) -> String {
    format!("{:.3}%", share * 100.0)
}

fn clock(at: Timestamp, zone: &TimeZone, has_seconds: bool) -> String {
    let format = if has_seconds { "%H:%M:%S" } else { "%H:%M" };
    at.to_zoned(zone.clone()).strftime(format).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::page::tests::story::night;

    #[test]
    fn everything_lies_within_the_picture_and_words_are_left_out_where_they_do_not_fit() {
        let timeline = Timeline::of(&night(), None).unwrap();
        let picture = Picture::of(&timeline, &TimeZone::UTC);
        let number = |text: &str| text.trim_end_matches('%').parse::<f64>().unwrap();
        for row in &picture.rows {
            assert!(row.out_at < picture.floor);
            for step in &row.steps {
                let (x, width) = (number(&step.bar.x), number(&step.bar.width));
                assert!(x >= 0.0 && x + width <= 100.001, "{x} {width}");
                assert!(!step.has_word || width >= 8.0, "{width}");
            }
        }
        let words: Vec<_> = picture
            .legend
            .iter()
            .map(|step| step.word.as_str())
            .collect();
        assert_eq!(words[..3], ["ready", "withdraw", "drain"]);
        assert!((1..=6).contains(&picture.ticks.len()));
    }

    #[test]
    fn times_of_the_axis_are_round_where_the_reader_is() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let scale = |from: &str, seconds| Scale {
            from: at(from),
            length: SignedDuration::from_secs(seconds),
        };
        let zone = TimeZone::get("Asia/Kathmandu").unwrap();
        let told = |scale: &Scale| {
            let ticks = scale.ticks(&zone);
            ticks
                .iter()
                .map(|tick| tick.clock.clone())
                .collect::<Vec<_>>()
        };
        let hours = scale("2026-11-22T02:00:10Z", 4 * 3600);
        assert_eq!(told(&hours), ["08:00", "09:00", "10:00", "11:00"]);
        let minute = scale("2026-11-22T02:00:01Z", 30);
        assert_eq!(told(&minute), ["07:45:10", "07:45:20", "07:45:30"]);
        let anchors = |scale: &Scale| {
            let ticks = scale.ticks(&zone);
            ticks.iter().map(|tick| tick.anchor).collect::<Vec<_>>()
        };
        assert_eq!(anchors(&minute), ["middle", "middle", "end"]);
    }

    #[test]
    fn a_step_of_a_later_program_is_drawn_under_its_own_word() {
        let step = Step::of("make_room");
        assert_eq!((step.word.as_str(), step.class), ("make room", OTHER));
        assert_eq!(Step::of("put_back").class, "put_back");
    }
}
