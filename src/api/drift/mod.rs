//! What is not as declared, as programs and people read it: by `drift` while it runs, by `report`
//! as it was before a visit destroyed it.
mod found;
mod inside;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::report::EvidenceReport;
use crate::coordinator::outcome::Problem;
use crate::model::drift::LastVisit;
use crate::model::id::RotationId;

pub use found::FindingReport;
pub use inside::{GroupReport, letter};
pub(crate) use inside::{amount, folders, summary};

/// A fleet beside what is declared of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Drift {
    pub v: u8,
    pub fleet: String,
    pub at: Timestamp,
    pub sites: Vec<SiteDrift>,
}

/// One site of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SiteDrift {
    pub site: String,
    /// The last visit that recreated it; null: none is remembered here.
    pub last_visit: Option<VisitReport>,
    /// Whether all was asked that findings rest on.
    pub complete: bool,
    pub findings: Vec<FindingReport>,
    /// What every container looks like inside; `logs` are not asked for.
    pub containers: Vec<EvidenceReport>,
    /// What could not be asked.
    pub problems: Vec<ProblemReport>,
}

/// A visit that recreated a site.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct VisitReport {
    pub rotation: RotationId,
    /// When it had recreated it.
    pub at: Timestamp,
}

/// What is wrong, and the cure.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ProblemReport {
    pub what: String,
    pub cure: String,
}

impl From<&LastVisit> for VisitReport {
    fn from(last: &LastVisit) -> VisitReport {
        VisitReport {
            rotation: last.rotation.clone(),
            at: last.at,
        }
    }
}

impl From<Problem> for ProblemReport {
    fn from(problem: Problem) -> ProblemReport {
        ProblemReport {
            what: problem.what,
            cure: problem.cure,
        }
    }
}

impl SiteDrift {
    /// Those that a person is to look at.
    pub fn counted(&self) -> usize {
        self.findings.iter().filter(|it| it.finding).count()
    }

    /// Something that findings rest on could not be asked.
    pub fn lacks(&mut self, problem: Problem) {
        self.complete = false;
        self.problems.push(problem.into());
    }
}
