//! What the journal remembers, for those who ask over the API: read beside the loop, by a
//! connection to the store of its own.
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::journal::JournalError;
use super::{control, past, release};
use crate::api::asked::Answer;
use crate::api::history::{self, Entry};
use crate::api::lifecycle::hooks;
use crate::api::report::{Found, Report, ran, report};
use crate::api::story::Story;
use crate::api::wire::{LineId, Reply};
use crate::config::{self, Loaded};
use crate::model::id::RotationId;
use crate::store::{Reader, Store};

/// Whoever was away for longer is told the latest of what they missed.
const MISSED_LINES: usize = 5000;

/// So many rotations are looked through for what was missed.
const MISSED_ROTATIONS: usize = 20;

/// Where the past of a fleet is read.
#[derive(Clone)]
pub(super) struct Archive {
    pub(super) state: PathBuf,
    pub(super) loaded: Arc<Loaded>,
    pub(super) options: config::Options,
}

impl Archive {
    /// The last rotations, the latest first.
    pub(super) fn history(self, last: usize, answer: oneshot::Sender<Answer>) {
        self.tell(answer, move |archive, reader| {
            let mut entries: Vec<Entry> = Vec::new();
            for span in reader.rotations()?.iter().rev().take(last) {
                let events = past::events_of(reader, &span.rotation)?;
                entries.extend(history::entry(&events));
            }
            drop(archive);
            let value = serde_json::json!({ "v": 1, "rotations": entries });
            Ok(Answer::Reply(Reply::Ok(value)))
        });
    }

    /// The last moves of tags.
    pub(super) fn moves(self, image: Option<String>, last: usize, answer: oneshot::Sender<Answer>) {
        self.tell(answer, move |archive, reader| {
            let ledger = release::Ledger::read(reader)?;
            drop(archive);
            let history = release::history(&ledger, image.as_deref(), last);
            let value = serde_json::to_value(history).unwrap_or_default();
            Ok(Answer::Reply(Reply::Ok(value)))
        });
    }

    /// One rotation, as far as it came.
    pub(super) fn report(self, rotation: RotationId, answer: oneshot::Sender<Answer>) {
        self.tell(answer, move |archive, reader| {
            let Some(report) = archive.report_of(reader, &rotation)? else {
                let what = format!("no rotation is called {rotation}");
                let cure = "see `cleanslate history` for those there are";
                return Ok(Answer::Reply(control::refused("request", &what, cure, 2)));
            };
            let value = serde_json::to_value(report).unwrap_or_default();
            Ok(Answer::Reply(Reply::Ok(value)))
        });
    }

    /// The lines after `id`, of its rotation and of those that followed; then `lines`.
    pub(super) fn missed(
        self,
        id: LineId,
        mut heard: crate::api::asked::Heard,
        answer: oneshot::Sender<Answer>,
    ) {
        self.tell(answer, move |archive, reader| {
            let mut missed = archive.lines_after(reader, &id)?;
            let left_out = missed.len().saturating_sub(MISSED_LINES);
            heard.missed = missed.split_off(left_out);
            Ok(Answer::Events(heard))
        });
    }

    fn tell(
        self,
        answer: oneshot::Sender<Answer>,
        read: impl FnOnce(Archive, &Reader) -> Result<Answer, JournalError> + Send + 'static,
    ) {
        // A thread for what reads disks; nobody waits for it but whoever asked.
        tokio::task::spawn_blocking(move || {
            let store = Store::open_read_only(&self.state, &self.loaded.fleet.name);
            let told = store.map_err(JournalError::Store);
            let told = told.and_then(|reader| read(self, &reader));
            let told = told.unwrap_or_else(|error| Answer::Reply(unread(&error)));
            // Whoever asked may have gone.
            drop(answer.send(told));
        });
    }

    fn story(&self, reader: &Reader, rotation: &RotationId) -> Result<Story, JournalError> {
        past::story(reader, rotation, &self.loaded, &self.options)
    }

    fn report_of(
        &self,
        reader: &Reader,
        rotation: &RotationId,
    ) -> Result<Option<Report>, JournalError> {
        let events = past::events_of(reader, rotation)?;
        let found = Found {
            ran: ran(&events),
            hooks: hooks(&events),
            remains: past::remains(reader, rotation)?,
        };
        Ok(report(rotation, &self.story(reader, rotation)?, found))
    }

    fn lines_after(&self, reader: &Reader, id: &LineId) -> Result<Vec<Arc<str>>, JournalError> {
        let rotations = reader.rotations()?;
        let from = rotations.iter().position(|it| it.rotation == id.rotation);
        let from = from.unwrap_or(rotations.len());
        let from = from.max(rotations.len().saturating_sub(MISSED_ROTATIONS));
        let mut lines = Vec::new();
        for span in &rotations[from..] {
            let is_new = |n: u64| span.rotation != id.rotation || n > id.n;
            let story = self.story(reader, &span.rotation)?;
            let new = story.lines.iter().filter(|line| is_new(line.n));
            lines.extend(new.map(|line| Arc::from(line.json())));
        }
        Ok(lines)
    }
}

fn unread(error: &JournalError) -> Reply {
    let is_transient = matches!(error, JournalError::Store(error) if error.is_transient());
    let exit = if is_transient { 5 } else { 1 };
    control::refused("journal", &error.to_string(), &error.cure(), exit)
}
