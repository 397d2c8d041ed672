//! Once the rotation is ending: what was not touched goes back as it was, what serves is left
//! alone; what is dirty is finished like any other visit.
use crate::coordinator::event::{Event, VisitKind};
use crate::coordinator::outcome::Problem;
use crate::coordinator::state::{Ending, Lane, Look, Stage};

use super::progress::Story;

impl Story<'_> {
    /// The way to safety; `None` where the visit goes on as ever.
    pub(super) fn to_safety(&self) -> Option<Vec<Event>> {
        let cause = self.cause()?;
        if self.rotation.has_lost() {
            // Nothing of ours may be sent any more: the visit ends where it stands.
            let (site, problem) = (self.site(), Some(cause));
            return Some(vec![Event::VisitEnded {
                site,
                end: self.as_it_stands(),
                problem,
            }]);
        }
        match self.way_out() {
            Way::OnAsEver => None,
            // A change that was sent for this site is settled first.
            Way::Leave | Way::Back if self.has_sent() => None,
            Way::Leave => Some(vec![self.not_ready(&cause)]),
            Way::Back => Some(vec![Event::PutBackBegun {
                site: self.site(),
                problem: cause,
            }]),
            Way::Serves => Some(vec![self.visited()]),
        }
    }

    fn way_out(&self) -> Way {
        let visit = self.visit;
        match &visit.stage {
            Stage::Readying
            | Stage::Probing {
                look: Look::ToLeave,
                ..
            }
            | Stage::Withdrawing
            | Stage::Writing { .. } => Way::Leave,
            Stage::Verifying { .. } if visit.kind == VisitKind::AsItStands => Way::Leave,
            Stage::Following { .. } if visit.kind == VisitKind::WithdrawOnly => Way::OnAsEver,
            Stage::Following { .. }
            | Stage::Draining { .. }
            | Stage::Drained
            | Stage::RunningBefore { .. }
            | Stage::LastLook { .. }
            | Stage::Dirtying { .. }
            | Stage::BackingOff { .. } => {
                if visit.is_touched {
                    Way::OnAsEver
                } else if visit.can_go_back() {
                    Way::Back
                } else {
                    Way::Leave
                }
            }
            // What ends this rotation is why the site was rolled back: that is no reason not to
            // watch it.
            Stage::Soaking { .. } if self.is_rolled_back_unasked() => Way::OnAsEver,
            Stage::Soaking { .. } => Way::Serves,
            Stage::Probing {
                look: Look::ToLeaveAgain { .. } | Look::ToExpel,
                ..
            }
            | Stage::Clearing { .. }
            | Stage::Starting { .. }
            | Stage::Inspecting { .. }
            | Stage::Verifying { .. }
            | Stage::OnTrial { .. }
            | Stage::Restoring
            | Stage::RestoreFollowing { .. }
            | Stage::Pruning { .. }
            | Stage::Expelling
            | Stage::PuttingBack { .. }
            | Stage::PutBackFollowing { .. }
            | Stage::Discarding { .. }
            | Stage::WithdrawingAgain { .. }
            | Stage::OutAgain { .. }
            | Stage::Refused { .. }
            | Stage::RefusedWrite { .. } => Way::OnAsEver,
        }
    }

    /// Whether an UPDATE for this site may have been applied, and is not proven.
    fn has_sent(&self) -> bool {
        let lane = &self.state.lane;
        let is_ours = lane.intent().and_then(|intent| intent.site()) == Some(&self.visit.site);
        is_ours && *lane != Lane::Free && !lane.is_unsent()
    }

    fn cause(&self) -> Option<Problem> {
        let problem = |what: String, cure: &str| Problem {
            what,
            cure: cure.to_owned(),
            is_transient: false,
        };
        Some(match self.rotation.ending.as_ref()? {
            Ending::Halted { cause, .. } => cause.clone(),
            Ending::Aborted { reason } => problem(
                format!("aborted: {reason}"),
                "start it again when it may go on",
            ),
            Ending::Deposed { why } | Ending::NotAcquired { why } => {
                problem(why.clone(), "see `cleanslate status`")
            }
        })
    }
}

/// How a visit comes to an end before its time.
enum Way {
    /// What was made goes; the site is left where it is.
    Leave,
    /// It is put back as it was.
    Back,
    /// It is verified and serves.
    Serves,
    OnAsEver,
}
