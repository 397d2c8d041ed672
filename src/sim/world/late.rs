//! What was asked for by somebody who hears no answer, and is carried out all the same.
use std::sync::Arc;

use super::{World, engines};
use crate::coordinator::effect::{EngineRequest, Request};
use crate::model::id::{ContainerId, Epoch, HostName, SiteName};
use crate::model::rrset::ZoneChange;
use crate::sim::trace::Who;

/// A request of which nobody hears any more.
#[derive(Clone, Debug)]
pub(crate) enum Later {
    Update(Arc<ZoneChange>),
    Engine {
        site: SiteName,
        host: HostName,
        request: EngineRequest,
        /// The epoch of whoever asked.
        by: Epoch,
    },
}

impl World {
    /// What was asked for and not answered is carried out all the same, so much later.
    pub(crate) fn carry_out_late(&mut self, after: u64) {
        let by = self.ghosts.acting;
        for (_, effect) in std::mem::take(&mut self.queue) {
            match effect.request {
                Request::Update(change) => {
                    self.later.push((self.now + after, Later::Update(change)));
                }
                Request::Engine {
                    site,
                    host,
                    request,
                } => {
                    let late = Later::Engine {
                        site,
                        host,
                        request,
                        by,
                    };
                    self.later.push((self.now + after, late));
                }
                Request::ReadPrimary
                | Request::AskServers { .. }
                | Request::AwaitServers { .. }
                | Request::ResolveImages { .. }
                | Request::Probe { .. }
                | Request::Measure { .. }
                | Request::AwaitQuiet { .. }
                | Request::JudgeTraffic { .. }
                | Request::AwaitTraffic { .. }
                | Request::RunBefore { .. }
                | Request::CallHook(_)
                | Request::Sleep { .. } => {}
            }
        }
    }

    /// What somebody asked for long ago is carried out, if that comes before `next`.
    pub(crate) fn is_late_before(&mut self, next: u64) -> bool {
        let first = self.later.iter().enumerate();
        let Some((index, at)) = first
            .map(|(index, (at, _))| (index, *at))
            .min_by_key(|(_, at)| *at)
            .filter(|(_, at)| *at <= next)
        else {
            return false;
        };
        let (_, late) = self.later.swap_remove(index);
        self.pass(at);
        match late {
            Later::Update(change) => {
                let (epoch, seq) = (change.marker.epoch, change.marker.seq);
                self.told(
                    Who::World,
                    format!(
                        "an UPDATE arrives that nobody hears of any more (epoch {epoch}, seq {seq})"
                    ),
                );
                if !self.apply_update(&change) {
                    let what = "it is refused: what it states no longer holds";
                    self.told(Who::World, what.to_owned());
                }
            }
            Later::Engine {
                site,
                host,
                request,
                by,
            } => {
                self.ghosts.acting = by;
                let what = engines::in_words(&request);
                self.told(
                    Who::World,
                    format!("{host} carries out what nobody waits for any more: {what}"),
                );
                self.late_engine(&site, &host, &request);
            }
        }
        true
    }

    /// Containers that somebody was told to stop or remove, and that may still go.
    pub(crate) fn may_still_go<'a>(
        &'a self,
        host: &'a HostName,
    ) -> impl Iterator<Item = &'a ContainerId> {
        self.later
            .iter()
            .filter_map(move |(_, late)| match late {
                Later::Engine {
                    host: of,
                    request:
                        EngineRequest::Clear { containers, .. } | EngineRequest::Discard { containers },
                    ..
                } if of == host => Some(containers),
                Later::Engine { .. } | Later::Update(_) => None,
            })
            .flatten()
    }

    /// Whether an UPDATE is on its way of which nobody hears any more.
    pub(crate) fn has_late_update(&self, is_it: impl Fn(&Arc<ZoneChange>) -> bool) -> bool {
        self.later.iter().any(|(_, late)| match late {
            Later::Update(change) => is_it(change),
            Later::Engine { .. } => false,
        })
    }
}
