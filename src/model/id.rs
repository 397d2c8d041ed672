//! Names and numbers that identify things: a type for each kind, so that none is taken for another.
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Why a text is no name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("a {kind} cannot be empty")]
    Empty { kind: &'static str },
    #[error("a {kind} has at most {max} characters, this one has {len}")]
    TooLong {
        kind: &'static str,
        max: usize,
        len: usize,
    },
    #[error("a {kind} cannot hold {found:?}: {allowed}")]
    Character {
        kind: &'static str,
        found: char,
        allowed: &'static str,
    },
}

// Shared text: states are full of names, and are copied at every decision.
macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $kind:literal, $max:literal, $allowed:literal, $ok:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(Arc<str>);

        impl $type {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                if text.is_empty() {
                    return Err(NameError::Empty { kind: $kind });
                }
                if text.len() > $max {
                    return Err(NameError::TooLong { kind: $kind, max: $max, len: text.len() });
                }
                let allowed: fn(usize, char) -> bool = $ok;
                match text.char_indices().find(|(at, c)| !allowed(*at, *c)) {
                    Some((_, found)) => {
                        Err(NameError::Character { kind: $kind, found, allowed: $allowed })
                    }
                    None => Ok($type(text.into())),
                }
            }
        }

        impl TryFrom<String> for $type {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> String {
                name.as_str().to_owned()
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

fn label_character(at: usize, c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || (c == '-' && at > 0)
}

const LABEL: &str = "use a-z, 0-9 and, not first, -";

name!(
    /// A fleet: everything one `site.toml` declares.
    FleetName, "fleet name", 63, "use a-z, 0-9 and, not first, -", label_character
);
name!(
    /// A site: the unit of rotation.
    SiteName, "site name", 63, "use a-z, 0-9 and, not first, -", label_character
);
name!(
    /// A host: a machine of a site with a container engine; unique in its site.
    HostName, "host name", 63, "use a-z, A-Z, 0-9, - and .",
    |_, c| c.is_ascii_alphanumeric() || c == '-' || c == '.'
);
name!(
    /// A channel: the image tag a site follows.
    Channel, "channel", 128, "use a-z, A-Z, 0-9, _, . and -",
    |at, c| c.is_ascii_alphanumeric() || c == '_' || (at > 0 && (c == '.' || c == '-'))
);
name!(
    /// A Compose project.
    ProjectName, "project name", 63, "use a-z, 0-9 and, not first, - and _",
    |at, c| label_character(at, c) || (at > 0 && c == '_')
);
name!(
    /// A service of a Compose project.
    ServiceName, "service name", 63, "use a-z, A-Z, 0-9, ., _ and -",
    |_, c| c.is_ascii_alphanumeric() || c == '.' || c == '_' || c == '-'
);
name!(
    /// A playbook, by the name of its file.
    PlaybookName, "playbook name", 63, "use a-z, 0-9 and, not first, -", label_character
);
name!(
    /// A hook, as site.toml calls it.
    HookName, "hook name", 63, "use a-z, 0-9 and, not first, -", label_character
);
name!(
    /// One rotation: `PLAYBOOK-YYYYMMDDTHHMMSS-XXXX`.
    RotationId, "rotation id", 100, "use a-z, A-Z, 0-9 and -",
    |_, c| c.is_ascii_alphanumeric() || c == '-'
);
name!(
    /// A coordinator, by the random id kept in its store.
    HolderId, "holder id", 63, "use a-z, 0-9 and, not first, -", label_character
);
name!(
    /// A marker's nonce (base32): no two writes of a marker share one.
    Nonce, "nonce", 32, "use A-Z and 2-7",
    |_, c| c.is_ascii_uppercase() || ('2'..='7').contains(&c)
);
name!(
    /// A container, by the full id its engine gave it.
    ContainerId, "container id", 128, "use a-z, A-Z, 0-9, _ and -",
    |_, c| c.is_ascii_alphanumeric() || c == '_' || c == '-'
);

/// A fleet's name is a project's too: it has the same characters, and fewer.
impl From<&FleetName> for ProjectName {
    fn from(name: &FleetName) -> ProjectName {
        ProjectName(name.0.clone())
    }
}

impl ContainerId {
    /// The twelve characters that `docker ps` shows.
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}

/// What [`SiteName`] and its like accept, for error texts.
pub const LABEL_RULE: &str = LABEL;

/// The fencing token of DNS changes and containers: raised by every acquisition of the marker,
/// by every take-over and by every start of a process. 0 = there was never a marker.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Epoch(pub u64);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Names one waiting effect; its outcome carries it back. Minted from the journal's length, so
/// no two effects of one store ever share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Token(pub u64);
