//! Time as an argument.
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A point on the process's own monotonic clock, in milliseconds since it started. Says nothing
/// across processes; no safety rests on any other clock.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Mono(pub u64);

impl Mono {
    /// The point `after` later, saturating.
    pub fn plus(self, after: Duration) -> Mono {
        Mono(self.0.saturating_add(millis(after)))
    }

    /// How long ago `earlier` was; zero if it lies ahead.
    pub fn since(self, earlier: Mono) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// How long until `later`; zero if it has passed.
    pub fn until(self, later: Mono) -> Duration {
        later.since(self)
    }
}

/// What time it is: the monotonic clock for waits, the wall clock for people and journals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Now {
    pub mono: Mono,
    pub wall: jiff::Timestamp,
}

/// Whole milliseconds, saturating.
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The two largest units: `45s`, `4m 10s`, `3h 2m`, `2d 4h`.
pub fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (days, hours) = (seconds / 86_400, seconds / 3600 % 24);
    let (minutes, rest) = (seconds / 60 % 60, seconds % 60);
    let two = |first: u64, unit: &str, second: u64, lesser: &str| match second {
        0 => format!("{first}{unit}"),
        _ => format!("{first}{unit} {second}{lesser}"),
    };
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{rest}s"),
        (0, 0, _) => two(minutes, "m", rest, "s"),
        (0, _, _) => two(hours, "h", minutes, "m"),
        (_, _, _) => two(days, "d", hours, "h"),
    }
}

/// A time to live in seconds: how long a resolver may keep an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ttl(pub u32);

impl Ttl {
    /// The same as a duration.
    pub fn duration(self) -> Duration {
        Duration::from_secs(u64::from(self.0))
    }
}

impl fmt::Display for Ttl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}s", self.0)
    }
}
