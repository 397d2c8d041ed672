//! What a person asks for, read from the words of the API.
use jiff::Timestamp;

use crate::api::wire::{Command, Promote, Rollback};
use crate::coordinator::outcome::Problem;
use crate::model::id::{Channel, ServiceName};
use crate::model::image::{Digest, DigestError};

/// A move of tags that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub aim: Aim,
    /// The channel whose tags are to move.
    pub tag: Channel,
    /// Only the images of these; none: of all.
    pub services: Vec<ServiceName>,
    pub reason: Option<String>,
    /// The sites that take it are rotated at once.
    pub now: bool,
    /// It is only shown.
    pub dry_run: bool,
    /// Whoever asks was shown this.
    pub seen: Option<String>,
}

/// Where the tags are to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Aim {
    Promote {
        from: Channel,
        /// Not yet: then.
        at: Option<Timestamp>,
        /// However short it has been in service.
        unsoaked: bool,
    },
    Rollback {
        /// `None`: the last that passed everywhere.
        to: Option<Digest>,
        /// Only those sites are rotated that run something else.
        only_changed: bool,
    },
}

impl Wanted {
    /// When it is to be done; `None`: now.
    pub fn at(&self) -> Option<Timestamp> {
        match &self.aim {
            Aim::Promote { at, .. } => *at,
            Aim::Rollback { .. } => None,
        }
    }

    /// `None`: something else was asked.
    ///
    /// # Errors
    /// What is wrong with it in itself.
    pub fn of_words(command: &Command) -> Option<Result<Wanted, Problem>> {
        if let Command::Promote(asked) = command {
            return Some(Wanted::of_promote(asked));
        }
        if let Command::Rollback(asked) = command {
            return Some(Wanted::of_rollback(asked));
        }
        None
    }

    fn of_promote(asked: &Promote) -> Result<Wanted, Problem> {
        let (from, to) = (&asked.from, &asked.to);
        Ok(Wanted {
            aim: Aim::Promote {
                from: from.clone(),
                at: asked.at,
                unsoaked: asked.unsoaked,
            },
            tag: to.clone(),
            services: asked.services.clone(),
            reason: said(asked.reason.as_ref()),
            now: asked.now,
            dry_run: asked.dry_run,
            seen: asked.seen.clone(),
        })
    }

    fn of_rollback(asked: &Rollback) -> Result<Wanted, Problem> {
        let to = asked.digest.as_ref().map(|digest| digest.parse());
        let to = to.transpose().map_err(|error: DigestError| {
            wrong(
                error.to_string(),
                "take it from `cleanslate release history`",
            )
        })?;
        Ok(Wanted {
            aim: Aim::Rollback {
                to,
                only_changed: asked.only_changed,
            },
            tag: asked.tag.clone(),
            services: asked.services.clone(),
            reason: said(asked.reason.as_ref()),
            now: asked.now,
            dry_run: asked.dry_run,
            seen: asked.seen.clone(),
        })
    }
}

fn said(reason: Option<&String>) -> Option<String> {
    reason.filter(|reason| !reason.is_empty()).cloned()
}

fn wrong(what: String, cure: &str) -> Problem {
    Problem {
        what,
        cure: cure.to_owned(),
        is_transient: false,
    }
}
