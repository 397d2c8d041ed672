//! Acts of a process that owns the store and answers nobody: a command that does it itself.
use std::time::Duration;

use tokio::sync::oneshot;

use super::ahead::Ahead;
use super::desk::{Note, Releases, rotation_after};
use super::prepare::{Known, Prepared, Refused, prepare};
use super::said::{Said, Waiting};
use super::wanted::Wanted;
use crate::api::asked::Answer;
use crate::api::wire::Reply;
use crate::coordinator::outcome::Problem;
use crate::daemon::audit::Asking;
use crate::daemon::journal::JournalError;
use crate::daemon::request::Request;
use crate::daemon::session::Session;
use crate::model::id::Channel;

/// So long keep-tags are looked after before the process ends: some twenty images at a registry that
/// answers in a tenth of a second.
const LOOKS_AFTER: Duration = Duration::from_secs(60);

/// A session, to move tags.
pub struct InPlace<'a> {
    session: &'a mut Session,
    releases: Releases,
}

impl InPlace<'_> {
    pub fn of(session: &mut Session) -> InPlace<'_> {
        InPlace {
            session,
            releases: Releases::default(),
        }
    }

    /// Finishes or takes back what an earlier process left, as far as the registries let it.
    ///
    /// # Errors
    /// Failures to write.
    pub async fn settle(&mut self) -> Result<(), JournalError> {
        let now = self.session.clock().now();
        let adapters = self.session.adapters.clone();
        self.releases
            .take_up((&self.session.store, &adapters), now)?;
        self.run().await
    }

    /// What would move.
    ///
    /// # Errors
    /// [`JournalError`] where the ledger cannot be read; inside, why nothing is moved.
    pub async fn prepare(
        &self,
        wanted: &Wanted,
    ) -> Result<Result<Prepared, Refused>, JournalError> {
        let session = &*self.session;
        if wanted.at().is_some() {
            let nobody = Problem {
                what: "no coordinator runs that would do it then".to_owned(),
                cure: "start one (`cleanslate serve`), or leave out --at".to_owned(),
                is_transient: false,
            };
            return Ok(Err(Refused::by("serve", vec![nobody])));
        }
        let now = session.clock().now().wall;
        let known = Known::of(&session.store, &session.state().barred, now)?;
        let ahead = Ahead::of(&session.config, &wanted.tag, now);
        let (adapters, fleet) = (&session.adapters, &session.config.fleet);
        let prepared = prepare(adapters, fleet, wanted, &known, ahead);
        Ok(Box::pin(prepared).await)
    }

    /// Moves the tags; what is to be said of it.
    ///
    /// # Errors
    /// Failures to write: the next process finishes it or takes it back.
    pub async fn carry_out(
        &mut self,
        prepared: Prepared,
        asking: Asking,
    ) -> Result<Reply, JournalError> {
        let (answer, mut answered) = oneshot::channel();
        let waiting = Waiting {
            asking,
            answer,
            scheduled: None,
        };
        let now = self.session.clock().now();
        let adapters = self.session.adapters.clone();
        let place = (&mut self.session.store, &adapters);
        let said = self.releases.begin(prepared, waiting, place, now)?;
        said.map(send).unwrap_or_default();
        self.run().await?;
        Ok(match answered.try_recv() {
            Ok(Answer::Reply(reply)) => reply,
            Ok(Answer::Events(_)) | Err(_) => Reply::Ok(serde_json::json!({})),
        })
    }

    /// A promotion that waits for its time is not to be.
    ///
    /// # Errors
    /// Failures to read and write.
    pub fn cancel(&mut self, tag: &Channel, asking: &Asking) -> Result<Reply, JournalError> {
        let now = self.session.clock().now();
        let store = &mut self.session.store;
        self.releases.cancel(store, (tag, asking), now)
    }

    /// The rotation of the sites that take what was prepared.
    pub fn rotation(&self, prepared: &Prepared) -> Option<Request> {
        rotation_after(&prepared.act, prepared.rotates.clone()?)
    }

    /// Looks after keep-tags, as far as the registries let it and not for long: whoever began the
    /// rotation waits for the end of this process. What a person is to hear of it.
    ///
    /// # Errors
    /// Where the store cannot be read or written.
    pub async fn look_after(&mut self) -> Result<Vec<Problem>, JournalError> {
        let session = &*self.session;
        let (now, adapters) = (session.clock().now(), session.adapters.clone());
        let place = (&session.store, &session.config.fleet, session.state());
        self.releases.look_after(place, &adapters, now)?;
        let deadline = tokio::time::Instant::now() + LOOKS_AFTER;
        while self.releases.is_keeping() {
            let note = tokio::time::timeout_at(deadline, self.releases.next()).await;
            let Ok(note) = note else {
                return Ok(vec![too_slow()]);
            };
            self.take(note)?;
        }
        Ok(self.releases.take_to_tell())
    }

    async fn run(&mut self) -> Result<(), JournalError> {
        while self.releases.is_driven() {
            let note = self.releases.next().await;
            self.take(note)?;
        }
        // Whoever asked begins the rotation that follows.
        self.releases.put_off();
        Ok(())
    }

    fn take(&mut self, note: Note) -> Result<(), JournalError> {
        let now = self.session.clock().now();
        let adapters = self.session.adapters.clone();
        let place = (&mut self.session.store, &adapters);
        let said = self.releases.take(note, place, now)?;
        said.map(send).unwrap_or_default();
        Ok(())
    }
}

fn too_slow() -> Problem {
    Problem {
        what: "the registries are too slow: not every keep-tag was looked after".to_owned(),
        cure: "it goes on after the next rotation".to_owned(),
        is_transient: true,
    }
}

fn send(said: Said) {
    // Whoever asked may have gone.
    drop(said.waiting.answer.send(said.answer));
}
