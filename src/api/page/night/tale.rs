//! The lines of one rotation: those that were told before are read from the journal once, the
//! others are heard as they come.
use std::sync::Arc;

use tokio::sync::broadcast::error::TryRecvError;

use crate::api::actor::Actor;
use crate::api::asked::{Answer, Heard};
use crate::api::http::{Front, Problem};
use crate::api::public::Line;
use crate::api::wire::{Command, LineId};
use crate::model::id::RotationId;

/// A rotation, as far as it was told.
#[derive(Debug)]
pub(in crate::api::page) struct Tale {
    rotation: RotationId,
    lines: Arc<Vec<Line>>,
    heard: Heard,
}

impl Tale {
    /// From its beginning. `None`: nothing is told there.
    ///
    /// # Errors
    /// The coordinator is ending.
    pub(in crate::api::page) async fn of(
        front: &Front,
        actor: &Actor,
        rotation: &RotationId,
    ) -> Result<Option<Tale>, Problem> {
        let before_all = LineId {
            rotation: rotation.clone(),
            n: 0,
        };
        let after = Some(before_all);
        let Answer::Events(heard) = front.ask(Command::Watch { after }, actor.clone()).await?
        else {
            return Ok(None);
        };
        let mut tale = Tale {
            rotation: rotation.clone(),
            lines: Arc::default(),
            heard,
        };
        let missed = std::mem::take(&mut tale.heard.missed);
        for text in &missed {
            tale.hear(text);
        }
        Ok(Some(tale))
    }

    /// Hears what came since; whether it is the rotation asked for, told without a gap.
    pub(in crate::api::page) fn goes_on(&mut self, rotation: &RotationId) -> bool {
        loop {
            match self.heard.lines.try_recv() {
                Ok(text) => self.hear(&text),
                Err(TryRecvError::Empty) => return self.rotation == *rotation,
                Err(TryRecvError::Lagged(_) | TryRecvError::Closed) => return false,
            }
        }
    }

    pub(in crate::api::page) fn lines(&self) -> Arc<Vec<Line>> {
        Arc::clone(&self.lines)
    }

    /// A line may come both ways, for it was listened before it was read.
    fn hear(&mut self, text: &str) {
        let Ok(line) = serde_json::from_str::<Line>(text) else {
            return;
        };
        let last = self.lines.last().map_or(0, |line| line.n);
        if line.rotation == self.rotation && line.n > last {
            Arc::make_mut(&mut self.lines).push(line);
        }
    }
}
