//! One site, as people read it.
use jiff::Timestamp;

use super::asking::Act;
use super::moment::Moment;
use crate::api::status::{EngineStatus, InDns, SiteState, SiteStatus};
use crate::api::when::When;
use crate::api::words::counted;

/// What is shown of a site, and what can be done with it.
pub(super) struct Card {
    pub(super) name: String,
    pub(super) channel: String,
    pub(super) state: &'static str,
    pub(super) tone: Tone,
    pub(super) is_cordoned: bool,
    pub(super) in_dns: &'static str,
    pub(super) engines: String,
    pub(super) is_engine_down: bool,
    pub(super) digests: Vec<Runs>,
    pub(super) pinned: Option<String>,
    pub(super) runs_since: Option<Moment>,
    pub(super) step: Option<String>,
    pub(super) since: Option<Moment>,
    pub(super) until: Option<Moment>,
    pub(super) traffic: Option<String>,
    pub(super) why: Option<String>,
    pub(super) acts: Vec<Act>,
}

/// What some of its services run.
pub(super) struct Runs {
    pub(super) services: String,
    /// As people compare them; several where hosts differ.
    pub(super) short: String,
    pub(super) whole: String,
}

/// How it looks at a glance; the words beside it say the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    /// As it should be.
    Well,
    /// Something is under way.
    Busy,
    /// Out, on somebody's word.
    Out,
    /// A person is needed.
    Bad,
    Unknown,
}

impl Tone {
    pub(super) fn class(self) -> &'static str {
        match self {
            Tone::Well => "well",
            Tone::Busy => "busy",
            Tone::Out => "out",
            Tone::Bad => "bad",
            Tone::Unknown => "unknown",
        }
    }

    fn of(site: &SiteStatus) -> Tone {
        match site.state {
            None => Tone::Unknown,
            Some(SiteState::InService) if site.in_dns == InDns::Partly => Tone::Bad,
            Some(SiteState::InService) => Tone::Well,
            Some(
                SiteState::Ready
                | SiteState::Withdrawing
                | SiteState::Draining
                | SiteState::Recreating
                | SiteState::Verifying
                | SiteState::Restoring
                | SiteState::Soaking,
            ) => Tone::Busy,
            Some(SiteState::Held) => Tone::Out,
            Some(SiteState::Quarantined | SiteState::OutOfService) => Tone::Bad,
        }
    }
}

impl Card {
    pub(super) fn of(site: &SiteStatus, now: Timestamp, when: &When) -> Card {
        Card {
            name: site.name.to_string(),
            channel: site.channel.to_string(),
            state: site.state.map_or("unknown", SiteState::words),
            tone: Tone::of(site),
            is_cordoned: site.cordoned,
            in_dns: in_dns(site.in_dns),
            engines: engines(site),
            is_engine_down: site.hosts.iter().any(|it| it.engine == EngineStatus::Down),
            digests: runs(site),
            pinned: site.pinned.as_ref().map(ToString::to_string),
            runs_since: site.runs_since.map(|at| Moment::past(at, now, when)),
            step: site.step.as_ref().map(|step| step.replace('_', " ")),
            since: site.since.map(|at| Moment::past(at, now, when)),
            until: site.until.map(|at| Moment::ahead(at, now, when)),
            traffic: site
                .traffic
                .map(|packets| format!("{packets:.1} packets a second")),
            why: site.why.clone(),
            acts: acts(site),
        }
    }

    /// What is said of it in one breath: `nyc: draining, not in DNS, 2 of 2 engines up`.
    pub(super) fn said(&self) -> String {
        let cordoned = if self.is_cordoned { ", cordoned" } else { "" };
        let Card {
            name,
            state,
            in_dns,
            engines,
            ..
        } = self;
        format!("{name} is {state}{cordoned}: {in_dns}, {engines}")
    }
}

/// Services on the same digest stand together: they were built as one.
fn runs(site: &SiteStatus) -> Vec<Runs> {
    let mut together: Vec<(&str, Vec<&str>)> = Vec::new();
    for (service, digests) in &site.digests {
        let known = together.iter_mut().find(|(known, _)| *known == digests);
        match known {
            Some((_, services)) => services.push(service),
            None => together.push((digests, vec![service])),
        }
    }
    let runs = |(digests, services): (&str, Vec<&str>)| Runs {
        services: services.join(", "),
        short: short(digests),
        whole: digests.to_owned(),
    };
    together.into_iter().map(runs).collect()
}

/// The first digits of each digest.
pub(super) fn short(digests: &str) -> String {
    let digests = digests.split(", ").map(|digest| {
        let hex = digest.strip_prefix("sha256:").unwrap_or(digest);
        hex.get(..12).unwrap_or(hex)
    });
    digests.collect::<Vec<_>>().join(" | ")
}

fn in_dns(in_dns: InDns) -> &'static str {
    match in_dns {
        InDns::Yes => "in DNS",
        InDns::No => "not in DNS",
        InDns::Partly => "partly in DNS",
        InDns::Unknown => "DNS not known",
    }
}

fn engines(site: &SiteStatus) -> String {
    let count = |of| site.hosts.iter().filter(|host| host.engine == of).count();
    let all = site.hosts.len();
    if count(EngineStatus::Unknown) == all {
        return "engines not asked".to_owned();
    }
    let down = site
        .hosts
        .iter()
        .filter(|it| it.engine == EngineStatus::Down);
    let down: Vec<&str> = down.map(|host| host.name.as_str()).collect();
    let up = count(EngineStatus::Up);
    match (down.as_slice(), up == all) {
        ([], true) => format!("{} up", counted(all as u64, "engine")),
        ([], false) => format!("{up} of {all} engines up"),
        (down, _) => format!("{up} of {all} engines up, down: {}", down.join(", ")),
    }
}

/// What makes sense as it stands; whether it is allowed is the coordinator's to say.
fn acts(site: &SiteStatus) -> Vec<Act> {
    let is_visited = site.step.is_some();
    let mut acts = vec![Act::Rebuild];
    if site.in_dns != InDns::No && !is_visited {
        acts.push(Act::Withdraw);
    }
    if site.in_dns != InDns::Yes && !is_visited {
        acts.push(Act::Restore);
    }
    acts.push(match site.cordoned {
        true => Act::Uncordon,
        false => Act::Cordon,
    });
    acts
}
