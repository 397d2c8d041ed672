//! What a DNS change is for. One UPDATE and one marker change a site.
use serde::{Deserialize, Serialize};

use crate::model::id::SiteName;

/// The purpose of one UPDATE.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Intent {
    /// Takes the marker: epoch raised, we are the holder.
    Acquire,
    /// Shows that the holder lives.
    Refresh,
    /// The site's addresses leave; it stands in `out`.
    Withdraw {
        site: SiteName,
    },
    /// The last look as a write: the site stands in `dirty` too.
    Dirty {
        site: SiteName,
    },
    /// The verified site goes in; `out` and `dirty` are cleared for it.
    Restore {
        site: SiteName,
    },
    /// A verified site that was found out is no longer dirty, and stays out.
    Clean {
        site: SiteName,
    },
    /// The site goes back as it was; nothing of it was stopped.
    PutBack {
        site: SiteName,
    },
    /// A restored site failed its soak: out, and dirty, so that it is recreated.
    WithdrawAgain {
        site: SiteName,
    },
    /// A dirty site stands in DNS by somebody's hand: it leaves again.
    Expel {
        site: SiteName,
    },
    /// Taken out by a person; it stands in `held`.
    Hold {
        site: SiteName,
    },
    Cordon {
        site: SiteName,
    },
    Uncordon {
        site: SiteName,
    },
    /// No holder, no rotation; the lists stay, they are debts.
    Release,
}

impl Intent {
    /// The site it is about.
    pub fn site(&self) -> Option<&SiteName> {
        match self {
            Intent::Withdraw { site }
            | Intent::Dirty { site }
            | Intent::Restore { site }
            | Intent::Clean { site }
            | Intent::PutBack { site }
            | Intent::WithdrawAgain { site }
            | Intent::Expel { site }
            | Intent::Hold { site }
            | Intent::Cordon { site }
            | Intent::Uncordon { site } => Some(site),
            Intent::Acquire | Intent::Refresh | Intent::Release => None,
        }
    }
}
