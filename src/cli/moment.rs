//! A time that is to come, as a person types it.
use jiff::Timestamp;
use jiff::civil::Time;

use super::desk::Desk;
use super::exit::Exit;
use super::failure::Failure;

/// A time of day here, or an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    Local(Time),
    At(Timestamp),
}

impl Moment {
    /// When that is next.
    ///
    /// # Errors
    /// It is past.
    pub(crate) fn ahead(self, desk: &Desk) -> Result<Timestamp, Failure> {
        let now = desk.clock.now().wall;
        let at = match self {
            Moment::At(at) => Some(at),
            Moment::Local(time) => desk.when.next(time, now),
        };
        at.filter(|at| *at > now).ok_or_else(past)
    }
}

/// What is said of a time that is not to come.
pub(crate) fn past() -> Failure {
    Failure::new(
        Exit::Usage,
        "that time is not in the future",
        "use a time of day (04:30), or an instant (2026-11-22T04:30:00Z)",
    )
}

/// Reads one.
///
/// # Errors
/// How it is to be written.
pub(crate) fn moment(text: &str) -> Result<Moment, String> {
    let local = text.parse::<Time>().map(Moment::Local);
    let at = || text.parse::<Timestamp>().map(Moment::At);
    local
        .or_else(|_| at())
        .map_err(|_| "use 04:30, or 2026-11-22T04:30:00Z".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_day_and_an_instant_are_told_apart() {
        let local = Moment::Local(jiff::civil::time(4, 30, 0, 0));
        assert_eq!(moment("04:30"), Ok(local));
        let at = "2026-11-22T04:30:00Z";
        assert_eq!(moment(at), Ok(Moment::At(at.parse().unwrap())));
        assert!(moment("soon").is_err());
    }
}
