//! A stretch of time in which something was done, as those know it who collect traces.
use jiff::Timestamp;

/// One stretch. Those of a rotation make one tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    pub id: SpanId,
    /// `None`: it is the root.
    pub parent: Option<SpanId>,
    pub name: String,
    pub began: Timestamp,
    pub ended: Timestamp,
    /// What it is about, by keys.
    pub about: Vec<(&'static str, String)>,
    /// What happened within it.
    pub notes: Vec<SpanNote>,
    /// Why it did not end well.
    pub failed: Option<String>,
}

/// Something that happened within a span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpanNote {
    pub at: Timestamp,
    /// The event, as in the event lines.
    pub name: String,
    /// In words.
    pub text: String,
}

/// Which tree a span belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TraceId(pub [u8; 16]);

/// A span within its tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SpanId(pub [u8; 8]);
