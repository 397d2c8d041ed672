//! How far one host of a visited site is.
use std::sync::Arc;

use crate::coordinator::effect::Made;
use crate::coordinator::outcome::Problem;
use crate::model::id::Token;
use crate::model::inventory::Inventory;

/// What one host does for the visit, beside the site's stage.
#[derive(Clone, Debug, PartialEq)]
pub enum HostWork {
    /// Not asked for (a drill, a restore as it stands), or not any more.
    None,
    Looking {
        token: Token,
    },
    Pulling {
        token: Token,
        inventory: Arc<Inventory>,
    },
    Preparing {
        token: Token,
        inventory: Arc<Inventory>,
    },
    Prepared {
        inventory: Arc<Inventory>,
        made: Vec<Made>,
        is_proof: bool,
    },
    Unready {
        inventory: Option<Arc<Inventory>>,
        problems: Vec<Problem>,
    },
}

impl HostWork {
    /// Whether its containers are made, or nothing was asked of it.
    pub fn is_settled(&self) -> bool {
        match self {
            HostWork::None | HostWork::Prepared { .. } => true,
            HostWork::Looking { .. }
            | HostWork::Pulling { .. }
            | HostWork::Preparing { .. }
            | HostWork::Unready { .. } => false,
        }
    }

    /// The token of the answer that is awaited of its engine.
    pub fn token(&self) -> Option<Token> {
        match self {
            HostWork::Looking { token }
            | HostWork::Pulling { token, .. }
            | HostWork::Preparing { token, .. } => Some(*token),
            HostWork::None | HostWork::Prepared { .. } | HostWork::Unready { .. } => None,
        }
    }

    /// Whether an answer of its engine is awaited.
    pub fn is_pending(&self) -> bool {
        self.token().is_some()
    }

    /// What was made here and has not been started.
    pub fn made(&self) -> &[Made] {
        match self {
            HostWork::Prepared { made, .. } => made,
            HostWork::None
            | HostWork::Looking { .. }
            | HostWork::Pulling { .. }
            | HostWork::Preparing { .. }
            | HostWork::Unready { .. } => &[],
        }
    }

    /// What its engine held when the visit looked.
    pub fn inventory(&self) -> Option<&Arc<Inventory>> {
        match self {
            HostWork::Pulling { inventory, .. }
            | HostWork::Preparing { inventory, .. }
            | HostWork::Prepared { inventory, .. } => Some(inventory),
            HostWork::Unready { inventory, .. } => inventory.as_ref(),
            HostWork::None | HostWork::Looking { .. } => None,
        }
    }
}
