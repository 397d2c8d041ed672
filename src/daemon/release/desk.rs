//! The one act that may be in hand, what its driver says, and who waits for it. Everything that is
//! written is written here, by the loop that owns the store.
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::ahead::{Ahead, Rotates};
use super::drive::{Driven, drive};
use super::found::{keep_found, or_problem};
use super::keeper::Kept;
use super::keeping::{self, Keeping};
use super::open::{Open, Waits};
use super::prepare::{Known, Prepared, REGISTRY, Refused, prepare};
use super::said::{Said, Waiting, moved, refusal, released, said, shown, still_open, undone};
use super::scheduled::{self, Calendar, Due};
use super::wanted::Wanted;
use crate::api::asked::Answer;
use crate::api::release::{Preview, Released};
use crate::api::wire::Reply;
use crate::config::Loaded;
use crate::coordinator::outcome::Problem;
use crate::coordinator::state::{Barred, State};
use crate::daemon::adapters::Adapters;
use crate::daemon::audit::{self, Asking};
use crate::daemon::journal::JournalError;
use crate::daemon::request::Request;
use crate::daemon::serve;
use crate::model::fleet::Fleet;
use crate::model::id::Channel;
use crate::model::image::{Digest, ImageRef};
use crate::model::release::{Act, End};
use crate::model::time::{Mono, Now};
use crate::store::{By, Store};

/// An act that the registry does not let be finished is tried again so often.
const AGAIN_AFTER: Duration = Duration::from_secs(60);

/// What comes of looking and moving.
pub(in crate::daemon) enum Note {
    /// It was looked at, or may not be.
    Prepared(Result<Box<Prepared>, Refused>, Waiting),
    /// How far the act has come is to be written down.
    Keep {
        act: Act,
        written: oneshot::Sender<()>,
    },
    /// The tag of a move names this now.
    Moved {
        at: usize,
        digest: Digest,
        written: oneshot::Sender<()>,
    },
    /// Somebody said that an image was pushed, and the registry has this.
    Pushed {
        image: ImageRef,
        digest: Digest,
    },
    Left(Driven),
    /// A keep-tag has changed.
    Kept {
        kept: Kept,
        written: oneshot::Sender<()>,
    },
    /// Keep-tags were looked after, and this is to be told.
    LookedAfter(Vec<Problem>),
}

/// Where an act is asked for.
pub(in crate::daemon) struct Place<'a> {
    pub(in crate::daemon) adapters: &'a Arc<Adapters>,
    pub(in crate::daemon) loaded: &'a Loaded,
    pub(in crate::daemon) store: &'a mut Store,
    /// The digests that failed before.
    pub(in crate::daemon) barred: &'a Arc<BTreeMap<Digest, Barred>>,
    pub(in crate::daemon) now: Now,
}

/// A rotation that follows an act.
pub(in crate::daemon) struct Following {
    pub(in crate::daemon) request: Request,
    pub(in crate::daemon) asking: Asking,
    /// Whoever waits for it to begin, and what they are told then.
    pub(in crate::daemon) waits: Option<(oneshot::Sender<Answer>, Released)>,
}

/// The moves of tags of one process.
pub(in crate::daemon) struct Releases {
    notes: mpsc::UnboundedSender<Note>,
    heard: mpsc::UnboundedReceiver<Note>,
    open: Option<Open>,
    /// Whether it is known what an earlier process left: nobody else opens an act.
    is_taken_up: bool,
    is_driven: bool,
    again_at: Option<Mono>,
    to_rotate: VecDeque<Following>,
    calendar: Calendar,
    keeping: Keeping,
    /// Of a process that serves: it begins rotations that follow an act, and promotes when it is time.
    people: Option<mpsc::UnboundedSender<serve::Note>>,
}

impl Default for Releases {
    fn default() -> Releases {
        let (notes, heard) = mpsc::unbounded_channel();
        Releases {
            notes,
            heard,
            open: None,
            is_taken_up: false,
            is_driven: false,
            again_at: None,
            to_rotate: VecDeque::new(),
            calendar: Calendar::default(),
            keeping: Keeping::default(),
            people: None,
        }
    }
}

impl Releases {
    /// Where others tell what they see.
    pub(in crate::daemon) fn notes(&self) -> mpsc::UnboundedSender<Note> {
        self.notes.clone()
    }

    /// The next note; may be given up and asked again.
    pub(in crate::daemon) async fn next(&mut self) -> Note {
        match self.heard.recv().await {
            Some(note) => note,
            None => std::future::pending().await,
        }
    }

    /// Whether an act is being worked on.
    pub(in crate::daemon) fn is_driven(&self) -> bool {
        self.is_driven
    }

    /// This process serves: it tells people by this what nobody waits for.
    pub(in crate::daemon) fn serve(&mut self, people: mpsc::UnboundedSender<serve::Note>) {
        self.people = Some(people);
    }

    /// The rotation that follows an act, once.
    pub(in crate::daemon) fn take_rotation(&mut self) -> Option<Following> {
        self.to_rotate.pop_front()
    }

    /// Whoever waits for a rotation to follow is told that another runs: it begins later.
    pub(in crate::daemon) fn put_off(&mut self) {
        for following in &mut self.to_rotate {
            if let Some((answer, released)) = following.waits.take() {
                drop(answer.send(moved(&released)));
            }
        }
    }

    /// Looks beside the loop at what is asked for. What is only shown is answered from there.
    pub(in crate::daemon) fn ask(
        &mut self,
        wanted: Wanted,
        waiting: Waiting,
        place: &Place<'_>,
    ) -> Result<Option<Said>, JournalError> {
        let known = match or_problem(self.known(place))? {
            Ok(known) => known,
            Err(problem) => {
                let refused = Refused::of_ledger(problem);
                return Ok(Some(said(waiting, &refused)));
            }
        };
        if let Some(refused) = self.may_not(&wanted) {
            return Ok(Some(said(waiting, &refused)));
        }
        let (adapters, notes) = (Arc::clone(place.adapters), self.notes.clone());
        let now = place.now.wall;
        let ahead = Ahead::of(place.loaded, &wanted.tag, now);
        // What was read anew holds here: a rotation that runs has a fleet of its own.
        let fleet = place.loaded.fleet.clone();
        tokio::spawn(async move {
            let prepared = prepare(&adapters, &fleet, &wanted, &known, ahead);
            let prepared = Box::pin(prepared).await;
            if wanted.dry_run {
                drop(waiting.answer.send(shown(prepared)));
                return;
            }
            // Nobody waits for it only when the process is ending.
            drop(notes.send(Note::Prepared(prepared.map(Box::new), waiting)));
        });
        Ok(None)
    }

    /// What is remembered; an act that nobody has taken up yet is, as no other may begin beside it.
    fn known(&mut self, place: &Place<'_>) -> Result<Known, JournalError> {
        if !self.is_taken_up {
            self.again_at = None;
            self.take_up((&*place.store, place.adapters), place.now)?;
        }
        Ok(Known::of(place.store, place.barred, place.now.wall)?)
    }

    /// Takes a note in. The answer that is due then, where one is.
    ///
    /// # Errors
    /// Failures to write: nothing more is moved.
    pub(in crate::daemon) fn take(
        &mut self,
        note: Note,
        (store, adapters): (&mut Store, &Arc<Adapters>),
        now: Now,
    ) -> Result<Option<Said>, JournalError> {
        match note {
            Note::Prepared(Err(refused), waiting) => {
                if let Some(tag) = &waiting.scheduled {
                    if refused.rule == REGISTRY {
                        self.calendar.postpone(now);
                        return Ok(None);
                    }
                    self.calendar.settle(store, tag)?;
                }
                Ok(Some(said(waiting, &refused)))
            }
            Note::Prepared(Ok(prepared), waiting) => {
                self.begin(*prepared, waiting, (store, adapters), now)
            }
            Note::Keep { act, written } => {
                if let Some(open) = &mut self.open {
                    open.keep(act, store, now.wall)?;
                }
                // Nobody waits for it only when the process is ending.
                let _is_heard = written.send(());
                Ok(None)
            }
            Note::Moved {
                at,
                digest,
                written,
            } => {
                if let Some(open) = &self.open {
                    open.keep_move((at, &digest), store, now.wall)?;
                }
                let _is_heard = written.send(());
                Ok(None)
            }
            Note::Pushed { image, digest } => {
                let by = audit::push();
                let why = "a push was told".to_owned();
                keep_found(store, [(&image, &digest)], (&by, &why), now.wall)?;
                Ok(None)
            }
            Note::Left(driven) => Ok(self.left(driven, now)),
            Note::Kept { kept, written } => {
                keeping::write(store, &kept, now.wall)?;
                let _is_heard = written.send(());
                Ok(None)
            }
            Note::LookedAfter(problems) => {
                self.keeping.returned(problems);
                Ok(None)
            }
        }
    }

    /// Writes the act down, and lets it begin.
    pub(super) fn begin(
        &mut self,
        prepared: Prepared,
        waiting: Waiting,
        (store, adapters): (&mut Store, &Arc<Adapters>),
        now: Now,
    ) -> Result<Option<Said>, JournalError> {
        // Another may have begun while this was looked at.
        if let Some(refused) = self.other_is_open() {
            if waiting.scheduled.is_some() {
                self.calendar.postpone(now);
                return Ok(None);
            }
            return Ok(Some(said(waiting, &refused)));
        }
        if prepared.preview.at.is_some() && !prepared.act.moves.is_empty() {
            let asked = (&prepared, &waiting.asking);
            let answer = match self.calendar.keep(store, asked, now)? {
                Ok(()) => moved(&released(prepared.preview, None)),
                Err(refusal) => Answer::Reply(Reply::Refused(refusal)),
            };
            return Ok(Some(Said { waiting, answer }));
        }
        let Prepared {
            preview,
            act,
            rotates,
        } = prepared;
        if act.moves.is_empty() {
            if let Some(tag) = &waiting.scheduled {
                self.calendar.settle(store, tag)?;
            }
            let nothing = moved(&released(preview, None));
            return Ok(Some(Said {
                waiting,
                answer: nothing,
            }));
        }
        let seen = act.moves.iter();
        let seen = seen.filter_map(|it| Some((&it.image, it.old.as_ref()?)));
        let why = format!("seen before {}", act.name());
        keep_found(store, seen, (&By::itself(), &why), now.wall)?;
        let scheduled = waiting.scheduled.clone();
        let waits = Waits {
            waiting,
            preview,
            rotates,
        };
        self.open = Some(Open::begin(act, waits, store, now.wall)?);
        if let Some(tag) = &scheduled {
            self.calendar.settle(store, tag)?;
        }
        self.drive(adapters);
        Ok(None)
    }

    /// Goes on with what an earlier process left, and with what could not be finished a while ago;
    /// begins what is due. Asked about once a second.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub(in crate::daemon) fn tend(
        &mut self,
        place: &mut Place<'_>,
    ) -> Result<Option<Said>, JournalError> {
        self.take_up((&*place.store, place.adapters), place.now)?;
        self.begin_due(place)
    }

    /// Goes on with the act that is open.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub(super) fn take_up(
        &mut self,
        (store, adapters): (&Store, &Arc<Adapters>),
        now: Now,
    ) -> Result<(), JournalError> {
        if self.is_driven || self.again_at.is_some_and(|at| now.mono < at) {
            return Ok(());
        }
        if !self.is_taken_up {
            // What cannot be read now is asked for again later, and not each second.
            self.again_at = Some(now.mono.plus(AGAIN_AFTER));
            self.open = Open::take_up(store)?;
            self.is_taken_up = true;
        }
        if self.open.is_some() {
            self.drive(adapters);
        }
        Ok(())
    }

    fn begin_due(&mut self, place: &mut Place<'_>) -> Result<Option<Said>, JournalError> {
        let Some(people) = self.people.clone().filter(|_| self.open.is_none()) else {
            return Ok(None);
        };
        match self.calendar.due(place.store, place.now)? {
            None => Ok(None),
            Some(Due::Late(late)) => {
                self.calendar.settle(place.store, &late.tag)?;
                // Nobody hears it only when the process is ending.
                drop(people.send(scheduled::missed(&late, place.now)));
                Ok(None)
            }
            Some(Due::Begins(due)) => {
                let asking = scheduled::asking(&due);
                let wanted = asking.as_ref().and_then(|it| Wanted::of_words(&it.command));
                let (Some(asking), Some(Ok(wanted))) = (asking, wanted) else {
                    self.calendar.settle(place.store, &due.tag)?;
                    drop(people.send(scheduled::unreadable(&due)));
                    return Ok(None);
                };
                let waiting = Waiting {
                    asking,
                    answer: scheduled::answer(&due, people),
                    scheduled: Some(due.tag),
                };
                self.ask(wanted, waiting, place)
            }
        }
    }

    /// A promotion that waits for its time is not to be.
    ///
    /// # Errors
    /// Failures to write.
    pub(in crate::daemon) fn cancel(
        &mut self,
        store: &mut Store,
        asked: (&Channel, &Asking),
        now: Now,
    ) -> Result<Reply, JournalError> {
        let cancelled = or_problem(self.calendar.cancel(store, asked, now))?;
        Ok(cancelled
            .unwrap_or_else(|problem| Reply::Refused(refusal(&Refused::of_ledger(problem)))))
    }

    fn drive(&mut self, adapters: &Arc<Adapters>) {
        let Some(open) = &self.open else { return };
        self.is_driven = true;
        self.again_at = None;
        let (adapters, notes) = (Arc::clone(adapters), self.notes.clone());
        let act = open.act.clone();
        tokio::spawn(async move {
            let driven = Box::pin(drive(adapters, act, notes.clone())).await;
            drop(notes.send(Note::Left(driven)));
        });
    }

    /// A rotation has ended: keep-tags are looked after beside the loop, by what it left in the
    /// ledger.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub(in crate::daemon) fn look_after(
        &mut self,
        (store, fleet, state): (&Store, &Fleet, &State),
        adapters: &Arc<Adapters>,
        now: Now,
    ) -> Result<(), JournalError> {
        if let Some(errand) = keeping::errand(store, fleet, state, now.wall)? {
            self.keeping.send_out(errand, adapters, &self.notes);
        }
        Ok(())
    }

    /// Whether keep-tags are being looked after.
    pub(in crate::daemon) fn is_keeping(&self) -> bool {
        self.keeping.is_out()
    }

    /// What a person is to hear of keep-tags, once.
    pub(in crate::daemon) fn take_to_tell(&mut self) -> Vec<Problem> {
        self.keeping.take_to_tell()
    }

    fn left(&mut self, driven: Driven, now: Now) -> Option<Said> {
        self.is_driven = false;
        match driven {
            Driven::Cut => {
                self.again_at = Some(now.mono.plus(AGAIN_AFTER));
                None
            }
            Driven::Open(problem) => {
                self.again_at = Some(now.mono.plus(AGAIN_AFTER));
                let open = self.open.as_mut()?;
                let Waits { waiting, .. } = open.waits.take()?;
                Some(Said {
                    waiting,
                    answer: still_open(&open.act, &problem),
                })
            }
            Driven::Ended(end) => {
                let open = self.open.take()?;
                let Waits {
                    waiting,
                    preview,
                    rotates,
                } = open.waits?;
                let rotation = match &end {
                    End::Done => rotates.and_then(|rotates| rotation_after(&open.act, rotates)),
                    End::Undone { .. } => None,
                };
                if let Some(request) = rotation {
                    self.follow(request, waiting, (preview, open.stored.id));
                    return None;
                }
                let answer = match end {
                    End::Done => moved(&released(preview, Some(open.stored.id))),
                    End::Undone { why, left } => undone(&open.act, &why, &left),
                };
                Some(Said { waiting, answer })
            }
        }
    }

    /// The sites take it at once; whoever asked is answered when that begins.
    fn follow(&mut self, request: Request, waiting: Waiting, (preview, act): (Preview, u64)) {
        let released = Released {
            rotation_follows: true,
            ..released(preview, Some(act))
        };
        self.to_rotate.push_back(Following {
            request,
            asking: waiting.asking,
            waits: Some((waiting.answer, released)),
        });
    }

    fn may_not(&self, wanted: &Wanted) -> Option<Refused> {
        let is_later = wanted.now || wanted.at().is_some();
        if is_later && self.people.is_none() {
            let problem = Problem {
                what: "this process ends with its rotation, and begins nothing after it".to_owned(),
                cure: "leave out --now and --at, or ask when it has ended".to_owned(),
                is_transient: true,
            };
            return Some(Refused::by("serve", vec![problem]));
        }
        self.other_is_open()
    }

    fn other_is_open(&self) -> Option<Refused> {
        let open = self.open.as_ref()?;
        let problem = Problem {
            what: format!(
                "{} of {} has not ended: its tags are on their way",
                open.act.name(),
                open.by.who
            ),
            cure: "wait for it to end (`cleanslate release status`)".to_owned(),
            is_transient: true,
        };
        Some(Refused::by("one act", vec![problem]))
    }
}

/// A rotation of these sites, for what was moved; `None`: there are none.
pub(super) fn rotation_after(act: &Act, rotates: Rotates) -> Option<Request> {
    let why = match &act.reason {
        Some(reason) => format!("{}: {reason}", act.name()),
        None => act.name(),
    };
    (!rotates.sites.is_empty()).then(|| Request {
        reason: Some(why),
        ..Request::rotate(&rotates.playbook, Some(rotates.sites))
    })
}
