//! Retries as arithmetic: how often, and after how long.
use std::time::Duration;

/// How often a site's containers are made before its visit has failed.
pub const RECREATE_ATTEMPTS: u32 = 3;

/// How often a DNS change is looked at anew before it has failed, where the server answers and
/// refuses, or somebody keeps changing the records.
pub const CHANGE_ATTEMPTS: u32 = 8;

/// How often the primary is read, where it answers, before an UPDATE that neither it nor a fence
/// settles ends the rotation: about ten minutes.
pub const SETTLE_ATTEMPTS: u32 = 64;

/// How often a write that must be made is begun anew, and how long after each refusal.
pub const WRITE_ATTEMPTS: u32 = 8;
pub const WRITE_AGAIN: Duration = Duration::from_secs(10);

/// How often a last look may find a name server behind: each costs another drain.
pub const LOOKS_BEHIND: u32 = 3;

/// How long it counts that a site answered its probes at the floor's look.
pub const LOOK_HOLDS: Duration = Duration::from_secs(60);

/// How soon a hook that said *not yet* is asked again, where it does not say itself, and the bounds
/// of what it may say.
pub const HOOK_AGAIN_AFTER: Duration = Duration::from_secs(30);
pub const HOOK_AGAIN_AT_LEAST: Duration = Duration::from_secs(1);
pub const HOOK_AGAIN_AT_MOST: Duration = Duration::from_secs(5 * 60);

/// How long the authoritative servers have to follow.
pub const FOLLOW_WITHIN: Duration = Duration::from_secs(60);

/// How long evidence is waited for.
pub const EVIDENCE_WITHIN: Duration = Duration::from_secs(60);

/// The same of containers that a visit made and that failed: no drain covers it, and the site is
/// out of DNS for as long.
pub const EVIDENCE_OF_FAILED_WITHIN: Duration = Duration::from_secs(10);

/// How long the marker may stand without a refresh before the next one is due.
pub const REFRESH_EVERY: Duration = Duration::from_secs(10 * 60);

/// How soon a refresh that failed is tried again.
pub const REFRESH_AGAIN: Duration = Duration::from_secs(60);

/// After so long without a refresh no engine request starts.
pub const STALE_AFTER: Duration = Duration::from_secs(20 * 60);

/// Another holder's marker may be taken over after it stood unchanged for so long.
pub const TAKE_OVER_AFTER: Duration = Duration::from_secs(30 * 60);

/// How often another holder's marker is looked at.
pub const LOOK_AT_MARKER_EVERY: Duration = Duration::from_secs(10);

/// The pause before attempt `attempt` (the second is 2): 2 s, 4 s, 8 s, at most 32 s.
pub fn backoff(attempt: u32) -> Duration {
    let doublings = attempt.saturating_sub(1).min(5);
    Duration::from_secs(2_u64.pow(doublings))
}

/// The pause before a DNS change is looked at again: 0.1 s, 0.2 s, … at most 10 s.
pub fn look_again(attempt: u32) -> Duration {
    let doublings = attempt.saturating_sub(1).min(10);
    Duration::from_millis(100 * 2_u64.pow(doublings)).min(Duration::from_secs(10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_and_are_bounded() {
        assert_eq!(backoff(1), Duration::from_secs(1));
        assert_eq!(backoff(2), Duration::from_secs(2));
        assert_eq!(backoff(3), Duration::from_secs(4));
        assert_eq!(backoff(u32::MAX), Duration::from_secs(32));
        assert_eq!(look_again(1), Duration::from_millis(100));
        assert_eq!(look_again(u32::MAX), Duration::from_secs(10));
    }
}
