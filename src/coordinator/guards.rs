//! The safety guards by name. Each is asked in one place; a test switches one off and looks for
//! the night that breaks a rule without it. One that nobody misses is dead code, or a hole in the
//! simulator.

macro_rules! guards {
    ($($guard:ident: $what:literal, $night:literal;)*) => {
        /// A guard that can be switched off in tests, and nowhere else.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Guard { $(#[doc = $what] $guard,)* }

        #[cfg(test)]
        impl Guard {
            /// Every guard, with what it says, and the seed of a night that misses it.
            pub(crate) const ALL: &'static [(Guard, &'static str, u64)] =
                &[$((Guard::$guard, $what, $night),)*];
        }
    };
}

guards! {
    MarkerStated: "an UPDATE states the marker it was decided on", 12;
    RrsetsStated: "an UPDATE states the RRsets it was decided on", 1657;
    EpochRaisedAtStart: "a process that starts raises the epoch before anything else", 910;
    EpochAboveLabels: "an epoch is above every label on any engine", 3168;
    UnknownSettled: "an unknown UPDATE is settled by the marker or by a fence", 5449;
    EnginesWaitWhileUnknown: "while an UPDATE is unknown no engine request starts", 237;
    FollowedByMarker: "a server has followed when its marker is as new as ours", 4013;
    ServersAwaited: "the drain starts when every server has followed", 42;
    DrainCoversTtl: "a drain is never shorter than the largest TTL", 1;
    TtlAsDeclared: "a site leaves only at the declared TTL", 5;
    LastLookWritten: "the last look is written as `dirty`", 1;
    ServersLookedAgain: "every server is asked again at the last look", 101;
    DirtyNeverPutBack: "a dirty site is never put back", 647;
    DebtsStay: "the idle marker keeps what is out", 7;
    FoundOutIsDrained: "a site found out of DNS is drained like any other", 479;
    PatientTakeOver: "another holder's marker is taken after 30 minutes, or by a person's word", 12;
    DeposedStops: "who lost the marker stops", 688;
    BackwardsStops: "a zone that went backwards stops everything", 8;
    FloorCounted: "enough other sites stay in every RRset", 103;
    FloorAnswers: "the sites that stay have answered their probes", 2746;
    LookIsFresh: "an old look at the floor is had again", 134;
    NeverEmpty: "nothing leaves an RRset empty", 532;
    OthersWatched: "a site that fails while another could still go back ends the rotation", 41;
    VerifiedByProbes: "a rebuilt site passes its probes before it returns", 15;
    VerifiedByInventory: "a rebuilt site shows all its containers before it returns", 53;
    SoakBreaks: "a site that breaks in its soak has not passed", 131;
    HandsNoticed: "a dirty site that stands in DNS by hand leaves again", 271;
    WaveEnds: "the next wave waits for the one before", 1;
    MostUnavailable: "a rotation counts what others took out", 1400;
    ReadyFirst: "a healthy site leaves when its new containers are made", 2;
    HeldStaysOut: "what a person took out is left out", 218;
    CordonHolds: "a site that was cordoned is skipped", 32;
    TtlKept: "records are added with the TTL that is served", 20;
    Condemned: "what may still be stopped is never counted as good", 0;
    OwnWork: "whatever stands at a rebuilt site was made by this hold", 0;
    Fence: "who meets the work of a newer coordinator stops", 0;
    StartsAfterWrite: "what is made anew is started after another last look", 0;
    FreshHold: "a hold that was long not renewed starts no engine request", 0;
    NewMarkerDirty: "who makes a marker where none is calls all dirty that is out", 0;
    EndingBeginsNothing: "a rotation that ends begins no visit", 0;
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
        OFF.with(|off| off.get() != Some(self))
    }

    /// Runs `without` with this guard off, on this thread.
    pub(crate) fn off<T>(self, without: impl FnOnce() -> T) -> T {
        OFF.with(|off| off.set(Some(self)));
        let result = without();
        OFF.with(|off| off.set(None));
        result
    }
}

/// The guard that is off on this thread.
#[cfg(test)]
pub(crate) fn switched_off() -> Option<Guard> {
    OFF.with(std::cell::Cell::get)
}

#[cfg(test)]
thread_local! {
    static OFF: std::cell::Cell<Option<Guard>> = const { std::cell::Cell::new(None) };
}
