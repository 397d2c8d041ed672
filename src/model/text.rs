//! Text that may be secret.
use std::fmt;

/// A value that may hold a secret: it is never printed. `Debug` shows its length only; whoever
/// needs the value says so with [`Secret::reveal`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Takes the value in.
    pub fn new(value: impl Into<Vec<u8>>) -> Secret {
        Secret(value.into())
    }

    /// The value, for the one place that must send it.
    pub fn reveal(&self) -> &[u8] {
        &self.0
    }

    /// The value as text; bytes that are no UTF-8 are replaced.
    pub fn reveal_text(&self) -> String {
        String::from_utf8_lossy(&self.0).into_owned()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{} bytes, not shown]", self.0.len())
    }
}

impl From<&str> for Secret {
    fn from(value: &str) -> Secret {
        Secret(value.as_bytes().to_vec())
    }
}

impl From<String> for Secret {
    fn from(value: String) -> Secret {
        Secret(value.into_bytes())
    }
}
