//! The whole night on a terminal: one bar for it, one line for every site being visited.
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;

use crate::api::public::{Line, Public};
use crate::api::when::{When, between, span};
use crate::coordinator::state::{State, Visit};
use crate::model::id::SiteName;

/// What is drawn.
pub(super) struct Bars {
    all: MultiProgress,
    night: ProgressBar,
    sites: BTreeMap<SiteName, ProgressBar>,
}

impl Bars {
    pub(super) fn new() -> Bars {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10));
        let style = style("{bar:24.cyan/blue} {pos}/{len} sites  {msg}");
        let night = all.add(ProgressBar::new(0).with_style(style));
        Bars {
            all,
            night,
            sites: BTreeMap::new(),
        }
    }

    /// A line above the bars.
    pub(super) fn print(&self, text: &str) {
        // A terminal that went away takes no more lines; the rotation goes on.
        drop(self.all.println(text));
    }

    pub(super) fn clear(&self) {
        drop(self.all.clear());
    }

    /// Draws everything anew.
    pub(super) fn draw(
        &mut self,
        state: &State,
        waits: &[Line],
        left: Option<Duration>,
        when: &When,
        now: Timestamp,
    ) {
        let Some(rotation) = state.rotation.as_ref() else {
            return;
        };
        self.night.set_length(rotation.plan.sites().count() as u64);
        self.night.set_position(rotation.ended.len() as u64);
        let left = left.map_or(String::new(), |left| format!("about {} left", span(left)));
        let whole = waits.iter().find(|line| line.site.is_none());
        let whole = whole.map_or(String::new(), |line| {
            format!("  {}", waiting(line, when, now))
        });
        let began = span(between(rotation.began, now));
        self.night.set_message(format!("{began}, {left}{whole}"));
        self.keep_only(&rotation.visits);
        for (site, visit) in &rotation.visits {
            let wait = waits.iter().find(|line| line.site.as_ref() == Some(site));
            let wait = wait.map_or(String::new(), |line| waiting(line, when, now));
            let timer = span(between(visit.step_since, now));
            let step = visit.stage.step().as_str();
            let bar = self.bar_of(site);
            bar.set_message(format!("{site:<8} {step:<9} {timer:>7}  {wait}"));
            bar.tick();
        }
        self.night.tick();
    }

    fn bar_of(&mut self, site: &SiteName) -> ProgressBar {
        let make = || {
            let bar = ProgressBar::new_spinner().with_style(style("{spinner:.green} {wide_msg}"));
            self.all.insert_before(&self.night, bar)
        };
        self.sites.entry(site.clone()).or_insert_with(make).clone()
    }

    fn keep_only(&mut self, visited: &BTreeMap<SiteName, Arc<Visit>>) {
        let all = &self.all;
        self.sites.retain(|site, bar| {
            let is_visited = visited.contains_key(site);
            if !is_visited {
                bar.finish_and_clear();
                all.remove(bar);
            }
            is_visited
        });
    }
}

fn waiting(line: &Line, when: &When, now: Timestamp) -> String {
    let Public::Waiting { why, until, .. } = &line.public else {
        return String::new();
    };
    let until = until.map_or(String::new(), |until| {
        format!(", until {}", when.ahead(until, now))
    });
    format!("waiting for {why}{until}")
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates of this file are sound")
}
