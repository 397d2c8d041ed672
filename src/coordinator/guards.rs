//! The safety guards by name. Each is asked in one place; a test switches one off and looks for
//! the night that breaks a rule without it. One that nobody misses is dead code, or a hole in the
//! simulator.

macro_rules! guards {
    ($($guard:ident: $what:literal, $missed:expr;)*) => {
        /// A guard that can be switched off in tests, and nowhere else.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Guard { $(#[doc = $what] $guard,)* }

        #[cfg(test)]
        impl Guard {
            /// Every guard, with what it says, and where it is missed.
            pub(crate) const ALL: &'static [(Guard, &'static str, Missed)] =
                &[$((Guard::$guard, $what, $missed),)*];
        }
    };
}

/// What breaks a rule when a guard is off, and does not while it stands.
#[cfg(test)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missed {
    /// The night of this seed, in `sim::night`.
    Night(u64),
    /// Some way in which two coordinators meet, in `sim::every`.
    Meeting,
    /// A test or a story of its own: nights hardly ever come to it, or no clock of theirs stands
    /// still for so long.
    Test,
    /// Nothing that is known: others catch what it lets through.
    Belt,
}
#[cfg(test)]
use Missed::{Belt, Meeting, Night, Test};

guards! {
    MarkerStated: "an UPDATE states the marker it was decided on", Night(10);
    RrsetsStated: "an UPDATE states the RRsets it was decided on", Night(2354);
    EpochRaisedAtStart: "a process that starts raises the epoch before anything else", Night(1128);
    EpochAboveLabels: "an epoch is above every label on any engine", Night(20591);
    UnknownSettled: "an unknown UPDATE is settled by the marker or by a fence", Belt;
    EnginesWaitWhileUnknown: "while an UPDATE is unknown no engine request starts", Night(544);
    FollowedByMarker: "a server has followed when its marker is as new as ours", Test;
    ServersAwaited: "the drain starts when every server has followed", Night(42);
    DrainCoversTtl: "a drain is never shorter than the largest TTL", Night(1);
    TtlAsDeclared: "a site leaves only at the declared TTL", Night(5);
    LastLookWritten: "the last look is written as `dirty`", Night(1);
    ServersLookedAgain: "every server is asked again at the last look", Night(101);
    DirtyNeverPutBack: "a dirty site is never put back", Night(328);
    DebtsStay: "the idle marker keeps what is out", Night(10);
    FoundOutIsDrained: "a site found out of DNS is drained like any other", Night(574);
    PatientTakeOver: "another holder's marker is taken after 30 minutes, or by a person's word", Night(18);
    DeposedStops: "who lost the marker stops", Night(291);
    BackwardsStops: "a zone that went backwards stops everything", Night(8);
    FloorCounted: "enough other sites stay in every RRset", Night(103);
    FloorAnswers: "the sites that stay have answered their probes", Night(1346);
    LookIsFresh: "an old look at the floor is had again", Night(18);
    NeverEmpty: "nothing leaves an RRset empty", Night(253);
    OthersWatched: "a site that fails while another could still go back ends the rotation", Night(9);
    VerifiedByProbes: "a rebuilt site passes its probes before it returns", Night(15);
    VerifiedByInventory: "a rebuilt site shows all its containers before it returns", Night(87);
    SoakBreaks: "a site that breaks in its soak has not passed", Night(86);
    HandsNoticed: "a dirty site that stands in DNS by hand leaves again", Night(3412);
    WaveEnds: "the next wave waits for the one before", Night(1);
    MostUnavailable: "a rotation counts what others took out", Night(1400);
    ReadyFirst: "a healthy site leaves when its new containers are made", Night(1);
    HeldStaysOut: "what a person took out is left out", Night(218);
    CordonHolds: "a site that was cordoned is skipped", Night(212);
    TtlKept: "records are added with the TTL that is served", Night(3);
    PauseHolds: "while a rotation is paused nothing is taken out or stopped anew", Night(18);
    WindowHolds: "a visit of a rotation begins in the quiet hours of its site", Night(99);
    TrialsHold: "where the playbook says so a rebuilt site goes in by a person's word", Night(6);
    GatesHold: "a visit passes a gate when its hooks were heard", Night(2);
    BarredIsNotPlanned: "what failed somewhere is planned nowhere until a person clears it", Night(8602);
    RollbackIsGoneBy: "a visit that rolled back makes and verifies what passed there last", Night(77);
    Condemned: "what may still be stopped is never counted as good", Belt;
    OwnWork: "whatever stands at a rebuilt site was made by this hold", Belt;
    Fence: "who meets the work of a newer coordinator stops", Meeting;
    StartsAfterWrite: "what is made anew is started after another last look", Meeting;
    FreshHold: "a hold that was long not renewed starts no engine request", Test;
    NewMarkerDirty: "who makes a marker where none is calls all dirty that is out", Meeting;
}

#[cfg(not(test))]
impl Guard {
    /// Always.
    pub(crate) const fn stands(self) -> bool {
        true
    }
}

#[cfg(test)]
impl Guard {
    /// Whether it stands on this thread.
    pub(crate) fn stands(self) -> bool {
        switched_off() != Some(self)
    }

    /// Runs `without` with this guard off, on this thread.
    pub(crate) fn off<T>(self, without: impl FnOnce() -> T) -> T {
        off(Some(self), without)
    }
}

#[cfg(test)]
thread_local! {
    static OFF: std::cell::Cell<Option<Guard>> = const { std::cell::Cell::new(None) };
}

/// The guard that is off on this thread.
#[cfg(test)]
pub(crate) fn switched_off() -> Option<Guard> {
    OFF.with(std::cell::Cell::get)
}

/// Runs `without` with this guard off, or none.
#[cfg(test)]
pub(crate) fn off<T>(guard: Option<Guard>, without: impl FnOnce() -> T) -> T {
    OFF.with(|off| off.set(guard));
    let result = without();
    OFF.with(|off| off.set(None));
    result
}
