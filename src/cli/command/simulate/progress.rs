//! How far the nights are: a bar on a terminal, a line a minute elsewhere.
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::output::Output;

/// No silence is longer.
const EVERY: Duration = Duration::from_secs(60);

pub(super) struct Progress {
    bar: Option<ProgressBar>,
    nights: u64,
    said: Instant,
}

impl Progress {
    pub(super) fn new(output: &Output, nights: u64) -> Progress {
        let is_drawn = output.is_terminal && output.shows_progress() && nights > 1;
        let style = "{bar:24.cyan/blue} {pos}/{len} nights  about {eta} left";
        let style = ProgressStyle::with_template(style).expect("the template is sound");
        let draw = || {
            let target = ProgressDrawTarget::stderr_with_hz(10);
            ProgressBar::with_draw_target(Some(nights), target).with_style(style)
        };
        Progress {
            bar: is_drawn.then(draw),
            nights,
            #[expect(clippy::disallowed_methods, reason = "how long nothing was said")]
            said: Instant::now(),
        }
    }

    pub(super) fn tick(&mut self, output: &Output, played: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(played);
        } else if self.said.elapsed() >= EVERY {
            #[expect(clippy::disallowed_methods, reason = "how long nothing was said")]
            let now = Instant::now();
            self.said = now;
            output.progress(&format!("{played} of {} nights", self.nights));
        }
    }

    pub(super) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
