//! What a person or the schedule asks for, before it is planned.
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use super::survey::ImageSource;
use crate::api::wire::{Command as Wanted, Images, Rebuild};
use crate::coordinator::outcome::Problem;
use crate::coordinator::plan::{Kept, Mode, Options, Wish};
use crate::model::id::{PlaybookName, RotationId, SiteName};

/// A wish that needs a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub mode: Mode,
    pub playbook: PlaybookName,
    /// `None`: what the playbook says.
    pub sites: Option<Vec<SiteName>>,
    pub options: Options,
    pub reason: Option<String>,
    /// A person knows that today is frozen.
    pub in_freeze: bool,
    pub source: ImageSource,
}

impl Request {
    /// One site, by the on-call playbook.
    pub fn of(site: &SiteName, mode: Mode, reason: Option<String>) -> Request {
        Request::by_hand(mode, Some(vec![site.clone()]), reason)
    }

    /// A rotation of a playbook.
    pub fn rotate(playbook: &PlaybookName, sites: Option<Vec<SiteName>>) -> Request {
        Request {
            mode: Mode::Rotate,
            playbook: playbook.clone(),
            sites,
            options: Options::default(),
            reason: None,
            in_freeze: false,
            source: ImageSource::Registry,
        }
    }

    /// The marker, whoever holds it: no site is visited, no registry asked.
    pub fn take_over(reason: String) -> Request {
        let request = Request::by_hand(Mode::TakeOver, Some(Vec::new()), Some(reason));
        Request {
            options: Options {
                take_over: true,
                ..Options::default()
            },
            source: ImageSource::LastGood,
            ..request
        }
    }

    /// The sites that the marker calls out, whoever holds it.
    pub fn recover(owed: Vec<SiteName>, reason: Option<String>) -> Request {
        let request = Request::by_hand(Mode::Recover, Some(owed), reason);
        Request {
            options: Options {
                take_over: true,
                ..Options::default()
            },
            ..request
        }
    }

    /// What was asked over the control socket about one site.
    ///
    /// # Errors
    /// An address that is none.
    fn of_rebuild(asked: &Rebuild) -> Result<Request, Problem> {
        let without_ns: Result<BTreeSet<SocketAddr>, Problem> =
            asked.without_ns.iter().map(|text| server(text)).collect();
        Ok(Request {
            options: Options {
                without: asked.without.iter().cloned().collect(),
                without_ns: without_ns?,
                below_floor: asked.below_floor,
                restore: asked.restore,
                kept: if asked.kept {
                    Kept::Recreated
                } else {
                    Kept::Stay
                },
                wait_s: asked.wait,
                ..Options::default()
            },
            source: match asked.images {
                None => ImageSource::Registry,
                Some(Images::Running) => ImageSource::Running,
                Some(Images::LastGood) => ImageSource::LastGood,
            },
            ..Request::of(&asked.site, Mode::Rebuild, Some(asked.reason.clone()))
        })
    }

    /// What was asked over the control socket; `None`: it needs no plan, or more than the words.
    ///
    /// # Errors
    /// An address that is none.
    pub fn of_words(wanted: &Wanted) -> Option<Result<Request, Problem>> {
        let one = |site, mode, reason: &str| {
            let reason = (!reason.is_empty()).then(|| reason.to_owned());
            Some(Ok(Request::of(site, mode, reason)))
        };
        match wanted {
            Wanted::Rotate {
                playbook,
                sites,
                reason,
                wait,
                now,
                in_freeze,
            } => {
                let sites = (!sites.is_empty()).then(|| sites.clone());
                Some(Ok(Request {
                    options: Options {
                        wait_s: *wait,
                        any_hour: *now,
                        ..Options::default()
                    },
                    reason: reason.clone(),
                    in_freeze: *in_freeze,
                    ..Request::rotate(playbook, sites)
                }))
            }
            Wanted::Rebuild(rebuild) => Some(Request::of_rebuild(rebuild)),
            Wanted::Withdraw {
                site,
                reason,
                below_floor,
            } => Some(Ok(Request {
                options: Options {
                    below_floor: *below_floor,
                    ..Options::default()
                },
                ..Request::of(site, Mode::Withdraw, Some(reason.clone()))
            })),
            Wanted::Restore {
                site,
                reason,
                unverified,
            } => {
                let unverified = *unverified;
                one(site, Mode::Restore { unverified }, reason)
            }
            Wanted::Cordon { site, reason } => one(site, Mode::Cordon { cordoned: true }, reason),
            Wanted::Uncordon { site, reason } => {
                one(site, Mode::Cordon { cordoned: false }, reason)
            }
            Wanted::TakeOver { reason } => Some(Ok(Request::take_over(reason.clone()))),
            Wanted::Status {}
            | Wanted::Watch { .. }
            | Wanted::History { .. }
            | Wanted::Report { .. }
            | Wanted::Pushed { .. }
            | Wanted::Promote(_)
            | Wanted::Rollback(_)
            | Wanted::ReleaseHistory { .. }
            | Wanted::ReleaseStatus {}
            | Wanted::Abort { .. }
            | Wanted::Pause { .. }
            | Wanted::Resume { .. }
            | Wanted::Retry { .. }
            | Wanted::Recover { .. }
            | Wanted::ReleaseApprove { .. }
            | Wanted::ReleaseCancel { .. }
            | Wanted::ReleaseClear { .. } => None,
        }
    }

    /// As the planner takes it.
    pub(super) fn wish(self, id: RotationId, actor: String) -> Wish {
        Wish {
            id,
            mode: self.mode,
            sites: self.sites,
            options: self.options,
            actor,
            reason: self.reason,
        }
    }

    /// What its rotation is called after: the playbook, or what a person does by hand.
    pub fn name(&self) -> &str {
        match self.mode {
            Mode::Rotate => self.playbook.as_str(),
            Mode::Rebuild => "rebuild",
            Mode::Restore { .. } => "restore",
            Mode::Recover => "recover",
            Mode::Withdraw => "withdraw",
            Mode::Cordon { cordoned: true } => "cordon",
            Mode::Cordon { cordoned: false } => "uncordon",
            Mode::TakeOver => "take-over",
        }
    }

    fn by_hand(mode: Mode, sites: Option<Vec<SiteName>>, reason: Option<String>) -> Request {
        let playbook = "rebuild".parse();
        Request {
            mode,
            playbook: playbook.expect("the names of built-in playbooks are names"),
            sites,
            options: Options::default(),
            reason,
            in_freeze: false,
            source: ImageSource::Registry,
        }
    }
}

/// A name server's address, with port 53 where none is given.
///
/// # Errors
/// It is no address.
pub fn server(text: &str) -> Result<SocketAddr, Problem> {
    let with_port = text.parse::<SocketAddr>();
    let without = || text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 53));
    with_port.or_else(|_| without()).map_err(|_| Problem {
        what: format!("{text:?} is no address"),
        cure: "use 10.0.2.53 or 10.0.2.53:53".to_owned(),
        is_transient: false,
    })
}
