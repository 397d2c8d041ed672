//! Stories that end badly without a guard: each is played with one switched off, and a rule is
//! broken in it, or something it expects is not so.
use std::path::Path;

use crate::coordinator::guards::Guard;
use crate::sim::scenario::{Script, play};

/// A guard, a story that misses it, and what is wrong with the story then: a rule by its name, or
/// an expectation in full.
type Missed = (Guard, &'static str, &'static str);

const MISSED: &[Missed] = &[
    (
        Guard::LastLookWritten,
        "taken-over-while-frozen-before-the-first-stop",
        "a rule is broken: no users",
    ),
    (
        Guard::DirtyNeverPutBack,
        "comes-back-to-a-removal-and-users-stay",
        "a rule is broken: returns verified",
    ),
    (
        Guard::MarkerStated,
        "dies-with-a-restore-on-its-way-and-loses-its-store",
        "a rule is broken: marker rises",
    ),
    (
        Guard::FollowedByMarker,
        "secondary-two-versions-behind",
        "a rule is broken: no users",
    ),
    (
        Guard::FoundOutIsDrained,
        "taken-out-a-moment-ago",
        "a rule is broken: no users",
    ),
    (
        Guard::DebtsStay,
        "quarantined-and-restored-by-another",
        "a rule is broken: debts stand in the marker",
    ),
    (
        Guard::EnginesWaitWhileUnknown,
        "restore-unknown-while-another-site-is-rebuilt",
        "a rule is broken: unknown waits",
    ),
    (
        Guard::Fence,
        "zone-restored-under-two-coordinators",
        "a rule is broken: newer is left alone",
    ),
    (
        Guard::BackwardsStops,
        "zone-restored-under-two-coordinators",
        "a rule is broken: suspect zone is left alone",
    ),
    (
        Guard::OthersWatched,
        "second-site-fails-early",
        "a rule is broken: others are well",
    ),
    (
        Guard::PatientTakeOver,
        "two-coordinators",
        "a rule is broken: taken over by right",
    ),
    (
        Guard::TrialsHold,
        "tried-by-hand",
        "a rule is broken: tried by hand",
    ),
    // No rule sees these: a night goes on, and does not end as it should.
    (
        Guard::NewMarkerDirty,
        "marker-deleted-under-a-rebuild",
        "expected dirty nyc, found: nobody",
    ),
    (
        Guard::EpochAboveLabels,
        "marker-deleted-two-begin-anew",
        "expected b completed, found: deposed",
    ),
    (
        Guard::EpochRaisedAtStart,
        "store-copied",
        "expected a deposed, found: completed",
    ),
    (
        Guard::UnknownSettled,
        "update-answer-lost",
        "expected a completed, found: deposed",
    ),
    (
        Guard::StartsAfterWrite,
        "creation-and-start-arrive-late",
        "expected a completed, found: halted",
    ),
];

/// What is wrong with a story, if anything is.
fn wrong(story: &str) -> Option<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/scenarios");
    let text = std::fs::read_to_string(folder.join(format!("{story}.txt"))).unwrap();
    let what = play(&Script::read(&text).unwrap()).wrong?.what;
    // A rule that is broken says where, too.
    match what.match_indices(": ").nth(1) {
        Some((end, _)) if what.starts_with("a rule") => Some(what[..end].to_owned()),
        Some(_) | None => Some(what),
    }
}

#[test]
fn a_story_goes_wrong_without_the_guard_it_is_about() {
    let without = |(guard, story, _): &Missed| {
        let what = guard.off(|| wrong(story));
        (*guard, *story, what.unwrap_or_default())
    };
    let gone: Vec<_> = MISSED.iter().map(without).collect();
    let written = |(guard, story, what): &Missed| (*guard, *story, (*what).to_owned());
    assert_eq!(gone, MISSED.iter().map(written).collect::<Vec<_>>());
}
