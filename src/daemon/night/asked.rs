//! What is asked of a running rotation: answered, refused, planned beside the loop, or turned into a
//! command for the machine.
use super::super::audit::Asking;
use super::super::control;
use super::super::journal::JournalError;
use super::super::release::{self, Note};
use super::super::request::Request;
use super::super::schedule::next_run;
use super::super::session::rotation_id;
use super::super::status::Known;
use super::super::survey::{ImageSource, observe};
use crate::api::asked::{Answer, Asked};
use crate::api::public;
use crate::api::wire::Command as Wanted;
use crate::coordinator::event::{PauseEnd, Then};
use crate::coordinator::input::Command;
use crate::coordinator::intent::Intent;
use crate::coordinator::outcome::Problem;
use crate::coordinator::plan::{Plan, Wish, plan};
use crate::coordinator::state::Rotation;
use crate::model::id::SiteName;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

use super::{Ask, Night, RunError};

/// A plan that was made beside the loop, or why there is none, and who waits for it.
pub(super) struct Planned {
    asking: Asking,
    plan: Result<Box<Plan>, Problem>,
    answer: oneshot::Sender<Answer>,
}

impl Planned {
    /// The rotation has ended meanwhile.
    fn answer_too_late(self) {
        let ended = Problem {
            what: "the rotation has ended".to_owned(),
            cure: "ask again".to_owned(),
            is_transient: true,
        };
        // Whoever asked may have gone.
        drop(self.answer.send(control::reply(Err(ended))));
    }
}

impl Night<'_> {
    /// Hears a question from the socket: answers it, or turns it into a command. What needs a plan
    /// is planned beside the loop, and comes back through `planned`.
    pub(super) fn hear(
        &mut self,
        asked: Asked,
        planned: &mpsc::Sender<Planned>,
    ) -> Result<Option<Ask>, RunError> {
        let Asked {
            command,
            actor,
            answer,
        } = asked;
        let asking = Asking {
            by: (&actor).into(),
            command: command.clone(),
        };
        let actor = actor.user;
        Ok(match command {
            Wanted::Abort { reason } => {
                let reason = Some(reason);
                Some(plain(Command::Abort { actor, reason }, asking, answer))
            }
            Wanted::Cordon { site, .. } => {
                let intent = Intent::Cordon { site };
                Some(plain(Command::Write { intent }, asking, answer))
            }
            Wanted::Uncordon { site, .. } => {
                let intent = Intent::Uncordon { site };
                Some(plain(Command::Write { intent }, asking, answer))
            }
            Wanted::Pause {
                reason,
                until,
                then,
            } => Some(plain(pause(actor, reason, until, then), asking, answer)),
            Wanted::Resume { reason, site } => {
                let command = Command::Resume {
                    actor,
                    reason,
                    site,
                };
                Some(plain(command, asking, answer))
            }
            Wanted::ReleaseClear { digest, reason } => {
                let command = Command::Clear {
                    digest,
                    actor,
                    reason,
                };
                Some(plain(command, asking, answer))
            }
            // Whoever tried it by hand does not like it.
            Wanted::Withdraw { site, reason, .. } if self.is_on_trial(&site) => {
                let command = Command::Refuse {
                    site,
                    actor,
                    reason,
                };
                Some(plain(command, asking, answer))
            }
            // The adapters of a running rotation are made for a fleet that leaves kept services
            // alone.
            Wanted::Rebuild(rebuild) if rebuild.kept => {
                let no = self.not_while_running(&Wanted::Rebuild(rebuild));
                self.refuse(&asking, no, answer)?;
                None
            }
            wanted @ (Wanted::Withdraw { .. } | Wanted::Rebuild(_)) => {
                match Request::of_words(&wanted) {
                    Some(Ok(request)) => {
                        let asks_registry = request.source == ImageSource::Registry;
                        let heeded = match asks_registry {
                            true => release::heed_act(self.store),
                            false => Ok(()),
                        };
                        match heeded {
                            Err(RunError::Refused(problem)) => {
                                self.refuse(&asking, control::reply(Err(problem)), answer)?;
                            }
                            Err(error) => return Err(error),
                            Ok(()) => self.plan(request, asking, planned.clone(), answer),
                        }
                    }
                    Some(Err(problem)) => {
                        self.refuse(&asking, control::reply(Err(problem)), answer)?;
                    }
                    None => {
                        let no = self.not_while_running(&wanted);
                        self.refuse(&asking, no, answer)?;
                    }
                }
                None
            }
            Wanted::Status {} => {
                let known = Known {
                    state: Some(self.coordinator.state().clone()),
                    holder: Some(self.holder.clone()),
                    ends: self.ends.clone(),
                    is_live: true,
                    next_run: next_run(self.config, self.clock.now().wall, self.is_serving),
                    release: release::release_status_if_sound(self.store)?,
                };
                control::answer_status(Arc::clone(&self.adapters), known, self.clock, answer);
                None
            }
            Wanted::Watch { after } => {
                self.control.watch(after, answer);
                None
            }
            Wanted::History { last } => {
                self.control.archive().history(last, answer);
                None
            }
            Wanted::Pushed { images } => {
                let fleet = &self.coordinator.context().fleet;
                drop(answer.send(self.control.pushed(fleet, &images)));
                None
            }
            Wanted::Report { rotation } => {
                self.control.archive().report(rotation, answer);
                None
            }
            // What it pinned is finished; the move is told, and taken next time.
            Wanted::Promote(_) | Wanted::Rollback(_) => {
                let place = &mut release::Place {
                    adapters: &self.adapters,
                    loaded: self.config,
                    store: self.store,
                    barred: &self.coordinator.state().barred,
                    now: self.clock.now(),
                };
                self.control.release((asking, answer), place)?;
                None
            }
            Wanted::ReleaseApprove { .. } | Wanted::ReleaseCancel { .. } => {
                let now = self.clock.now();
                self.control.take_word((asking, answer), self.store, now)?;
                None
            }
            Wanted::ReleaseHistory { image, last } => {
                self.control.archive().moves(image, last, answer);
                None
            }
            Wanted::ReleaseStatus {} => {
                let fleet = &self.config.fleet;
                let now = self.clock.now().wall;
                release::answer_standing(self.store, (fleet, &self.adapters), now, answer)?;
                None
            }
            other @ (Wanted::Rotate { .. }
            | Wanted::Retry { .. }
            | Wanted::Restore { .. }
            | Wanted::TakeOver { .. }
            | Wanted::Recover { .. }) => {
                let no = self.not_while_running(&other);
                self.refuse(&asking, no, answer)?;
                None
            }
        })
    }

    /// Goes on with what is open, and begins what is due.
    pub(super) fn tend_release(&mut self) -> Result<(), JournalError> {
        self.control.releases.put_off();
        self.control.tend_release(&mut release::Place {
            adapters: &self.adapters,
            loaded: self.config,
            store: self.store,
            barred: &self.coordinator.state().barred,
            now: self.clock.now(),
        })
    }

    /// A process that ends with its rotation ends no sooner than the act in hand.
    pub(super) async fn end_release(&mut self) -> Result<(), JournalError> {
        while !self.is_serving && self.control.releases.is_driven() {
            let note = self.control.releases.next().await;
            self.take_release(note)?;
        }
        Ok(())
    }

    /// Takes in what comes of an act that moves tags.
    pub(super) fn take_release(&mut self, note: Note) -> Result<(), JournalError> {
        let now = self.clock.now();
        let place = (&mut *self.store, &self.adapters);
        self.control.take_release(note, place, now)
    }

    /// Says no, once it is written down that it was said.
    fn refuse(
        &mut self,
        asking: &Asking,
        no: Answer,
        answer: oneshot::Sender<Answer>,
    ) -> Result<(), RunError> {
        let now = self.clock.now();
        let refusals = &mut self.control.refusals;
        refusals.note(self.store, (asking, &no), now)?;
        drop(answer.send(no));
        Ok(())
    }

    fn not_while_running(&self, wanted: &Wanted) -> Answer {
        let rotation = self.coordinator.state().rotation.as_ref();
        let which = rotation.map_or("one that is about to begin".to_owned(), |rotation| {
            let until = self.likely_end(rotation);
            let until = until.map_or(String::new(), |until| format!(", likely until {until:.0}"));
            format!("{} of {}{until}", rotation.plan.id, rotation.plan.actor)
        });
        self.control.not_while_running(wanted, &which)
    }

    /// When the rest of it is done, if each site takes as long as it mostly did; `None` where one
    /// was never visited.
    fn likely_end(&self, rotation: &Rotation) -> Option<jiff::Timestamp> {
        let now = self.clock.now().wall;
        let left = rotation
            .plan
            .sites()
            .filter(|site| !rotation.ended.contains_key(*site));
        let mut end = now;
        for site in left {
            let millis = self.store.typical(site, "visit").ok().flatten()?;
            let visit = rotation.visits.get(site);
            let passed = visit.map_or(0, |visit| {
                u64::try_from(now.duration_since(visit.began).as_millis()).unwrap_or(0)
            });
            end += Duration::from_millis(millis.saturating_sub(passed));
        }
        Some(end)
    }

    fn is_on_trial(&self, site: &SiteName) -> bool {
        let running = self.coordinator.state().running();
        running.is_some_and(|rotation| rotation.on_trial().any(|waiting| waiting == site))
    }

    fn wish(&self, request: Request, actor: String) -> Wish {
        let rotation = self.coordinator.state().rotation.as_ref();
        let id = rotation.map_or_else(
            || rotation_id("rebuild", self.clock.now().wall),
            |rotation| rotation.plan.id.clone(),
        );
        request.wish(id, actor)
    }

    /// Plans beside the loop; the plan, or why there is none, comes back.
    fn plan(
        &self,
        request: Request,
        asking: Asking,
        planned: mpsc::Sender<Planned>,
        answer: oneshot::Sender<Answer>,
    ) {
        let source = request.source;
        let wish = self.wish(request, asking.by.who.clone());
        let adapters = Arc::clone(&self.adapters);
        let playbook = self.coordinator.context().playbook.clone();
        let state = self.coordinator.state().clone();
        let now = self.clock.now().wall;
        tokio::spawn(async move {
            let fleet = adapters.fleet();
            let sites = wish.sites.iter().flatten().cloned().collect();
            let observed = observe(&adapters, fleet, &sites, source, &state).await;
            let plan = observed.survey(fleet, now).and_then(|survey| {
                plan(fleet, &playbook, wish, &survey).map_err(|blocked| blocked.problem())
            });
            let made = Planned {
                asking,
                plan: plan.map(Box::new),
                answer,
            };
            if let Err(mpsc::error::SendError(made)) = planned.send(made).await {
                made.answer_too_late();
            }
        });
    }

    /// A plan that was made beside the loop is told to the machine.
    pub(super) fn planned(&mut self, planned: Planned) -> Result<Option<Ask>, RunError> {
        let Planned {
            asking,
            plan,
            answer,
        } = planned;
        match plan {
            Ok(plan) => Ok(Some(plain(Command::QueueRebuild { plan }, asking, answer))),
            Err(problem) => {
                self.refuse(&asking, control::reply(Err(problem)), answer)?;
                Ok(None)
            }
        }
    }
}

/// No rotation runs any more that a plan could be told to.
pub(super) fn end_planning(mut queued: mpsc::Receiver<Planned>) {
    queued.close();
    while let Ok(planned) = queued.try_recv() {
        planned.answer_too_late();
    }
}

/// A command for the machine whose result is the answer.
fn plain(command: Command, asking: Asking, answer: oneshot::Sender<Answer>) -> Ask {
    let (reply, result) = oneshot::channel();
    tokio::spawn(async move {
        if let Ok(result) = result.await {
            drop(answer.send(control::reply(result)));
        }
    });
    Ask {
        command,
        asking: Some(asking),
        reply: Some(reply),
    }
}

fn pause(
    actor: String,
    reason: String,
    until: Option<jiff::Timestamp>,
    then: Option<public::Then>,
) -> Command {
    let ends = until.map_or(PauseEnd::Word, |at| PauseEnd::Time {
        at,
        then: match then {
            Some(public::Then::Abort) => Then::Abort,
            Some(public::Then::Resume) | None => Then::Resume,
        },
    });
    Command::Pause {
        actor,
        reason,
        ends,
    }
}
