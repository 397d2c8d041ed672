//! How much a message matters.
use serde::{Deserialize, Serialize};

/// From what is good to know to what wakes people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// All goes as planned.
    Info,
    /// Not as planned, and nobody is needed now.
    Warning,
    /// A person is needed.
    Critical,
}

impl Severity {
    /// The word that people and programs meet.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        }
    }
}
