//! How much of what happens matters to people.
use jiff::Timestamp;

use crate::api::public::{Interruption, Public};
use crate::model::notice::Severity;

/// How much an event of that moment matters; `None`: it is a step on the way to one that does. A wait
/// of which the end is known goes as planned.
pub(super) fn severity(public: &Public, at: Timestamp) -> Option<Severity> {
    match public {
        Public::RotationPlanned {
            in_freeze: None, ..
        }
        | Public::TrialAccepted { .. }
        | Public::VisitCompleted { .. }
        | Public::TagMoved { .. }
        | Public::RotationResumed {
            after: Interruption::Pause,
        } => Some(Severity::Info),
        Public::RotationCompleted { skipped, .. } if skipped.is_empty() => Some(Severity::Info),
        Public::RotationPlanned {
            in_freeze: Some(_), ..
        }
        | Public::RotationCompleted { .. }
        | Public::TrialBegun { .. }
        | Public::SiteSkipped { .. }
        | Public::PutBack { .. }
        | Public::RollingBack { .. }
        | Public::Retrying { .. }
        | Public::KeptDrifted { .. }
        | Public::HookFailed { .. }
        | Public::TakenOver { .. }
        | Public::RotationPaused { .. }
        | Public::RotationAborted { .. }
        | Public::RotationResumed {
            after: Interruption::Crash,
        } => Some(Severity::Warning),
        Public::SiteQuarantined { .. }
        | Public::RolledBack { .. }
        | Public::RotationHalted { .. } => Some(Severity::Critical),
        Public::VisitStarted { .. }
        | Public::ImagesPulled { .. }
        | Public::Ready { .. }
        | Public::WithdrawRefused { .. }
        | Public::Withdrawn { .. }
        | Public::Draining { .. }
        | Public::Drained { .. }
        | Public::Recreated { .. }
        | Public::Verified { .. }
        | Public::Restored { .. }
        | Public::Soaked => None,
        Public::Waiting {
            until: Some(until), ..
        } if *until > at => Some(Severity::Info),
        Public::Waiting { .. } => Some(Severity::Warning),
    }
}
