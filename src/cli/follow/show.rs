//! How a running rotation is shown: bars on a terminal, plain lines elsewhere, JSON for programs,
//! or not at all.
use super::bars::Bars;
use super::night::Night;
use crate::api::narrate::{Beat, Narrator};
use crate::api::public::Line;
use crate::api::when::When;
use crate::api::words;
use crate::cli::desk::Desk;
use crate::cli::output::Output;
use crate::coordinator::state::State;
use crate::model::time::Now;

/// One manner of showing, and its memory.
pub(crate) struct Show {
    /// Lines of JSON go to stdout beside what is shown.
    is_json: bool,
    manner: Manner,
    beat: Beat,
    output: Output,
    when: When,
    night: Night,
}

enum Manner {
    Quiet,
    Plain,
    Bars(Box<Bars>),
}

impl Show {
    /// As the flags and the terminal have it.
    pub(crate) fn new(desk: &Desk, night: Night) -> Show {
        let output = desk.output.clone();
        let manner = match (output.is_json, output.shows_progress(), output.is_terminal) {
            (_, false, _) => Manner::Quiet,
            // A person watches while a program reads; where both would land on one terminal, or in
            // one log, the program has it.
            (true, true, true) if !output.is_stdout_terminal => Manner::Bars(Box::new(Bars::new())),
            (true, true, _) => Manner::Quiet,
            (false, true, true) => Manner::Bars(Box::new(Bars::new())),
            (false, true, false) => Manner::Plain,
        };
        Show {
            is_json: output.is_json,
            manner,
            beat: Beat::default(),
            output,
            when: desk.when.clone(),
            night,
        }
    }

    /// A fact.
    pub(crate) fn line(&mut self, line: &Line, now: Now) {
        self.beat.said(line, now.mono);
        self.print(line, now);
    }

    /// Once a second: what is waited for.
    pub(crate) fn tick(&mut self, narrator: &Narrator, state: &State, now: Now) {
        let waits = narrator.waits(state, now);
        if let Manner::Bars(bars) = &mut self.manner {
            let left = self.night.left(state, now.wall);
            bars.draw(state, &waits, left, &self.when, now.wall);
        }
        for line in self.beat.due(waits, now.mono) {
            self.beat_line(&line, now);
        }
    }

    /// Something for the person who watches.
    pub(crate) fn say(&self, text: &str) {
        match &self.manner {
            Manner::Bars(bars) => bars.print(text),
            Manner::Quiet | Manner::Plain => self.output.say(text),
        }
    }

    /// Takes the bars away.
    pub(crate) fn end(self) {
        if let Manner::Bars(bars) = &self.manner {
            bars.clear();
        }
    }

    /// A heartbeat: bars show it already.
    fn beat_line(&self, line: &Line, now: Now) {
        if self.is_json {
            self.output.result(&line.json());
        }
        if let Manner::Plain = &self.manner {
            self.output
                .progress(&words::line(line, &self.when, now.wall));
        }
    }

    fn print(&self, line: &Line, now: Now) {
        if self.is_json {
            self.output.result(&line.json());
        }
        let text = || words::line(line, &self.when, now.wall);
        match &self.manner {
            Manner::Quiet => {}
            Manner::Plain => self.output.progress(&text()),
            Manner::Bars(bars) => bars.print(&text()),
        }
    }
}
