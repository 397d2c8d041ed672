//! `status`, also plain `cleanslate`.
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use tokio::time::timeout;

use super::super::desk::Desk;
use super::super::exit::Exit;
use super::super::failure::{Failure, Outcome};
use super::super::grid::grid;
use super::super::memory::Memory;
use crate::api::client::{ClientError, Watch};
use crate::api::status::{InDns, NextRun, RotationState, SiteStatus, Status};
use crate::api::when::When;
use crate::api::wire::{Command, Reply};
use crate::config::Loaded;
use crate::daemon;
use crate::daemon::schedule::next_run;
use crate::daemon::status::Known;

/// Nobody who asks for the status waits longer for one answer.
const WITHIN: Duration = Duration::from_secs(2);

const WATCH_EVERY: Duration = Duration::from_secs(2);

/// What happens within so long is shown together.
const TOGETHER: Duration = Duration::from_millis(250);

/// Where every site stands, and what a person is needed for
///
/// Asks the coordinator that runs; else what the journal remembers, the primary and the engines.
#[derive(Args, Debug, Default)]
pub(crate) struct Show {
    /// Shows it again whenever something happens, and every two seconds
    #[arg(long)]
    watch: bool,
}

pub(crate) async fn run(desk: &Desk, args: &Show) -> Outcome {
    let here = desk.here()?;
    let mut events = None;
    loop {
        if args.watch && events.is_none() {
            events = listen(desk, here.as_ref()).await;
        }
        let status = Box::pin(look(desk, here.as_ref())).await?;
        if desk.output.is_json {
            desk.output.json(&status);
        } else {
            let text = text(&status, &desk.when, desk.clock.now().wall);
            let clear = if args.watch { "\u{1b}[2J\u{1b}[H" } else { "" };
            desk.output.result(&format!("{clear}{text}"));
        }
        if !args.watch {
            return Ok(Exit::Done);
        }
        until_something_happens(&mut events).await;
    }
}

/// The events of the coordinator, where one runs.
async fn listen(desk: &Desk, here: Option<&Loaded>) -> Option<Watch> {
    let client = desk.coordinator(here).await.ok()??;
    client.watch().await.ok()
}

/// An event, or some time; several that come at once are shown together.
async fn until_something_happens(events: &mut Option<Watch>) {
    let is_heard = match events {
        Some(watch) => timeout(WATCH_EVERY, watch.next()).await,
        None => {
            tokio::time::sleep(WATCH_EVERY).await;
            return;
        }
    };
    match is_heard {
        Ok(Ok(Some(_))) => tokio::time::sleep(TOGETHER).await,
        Ok(Ok(None) | Err(_)) => {
            // It went: the next look says so, or finds another.
            *events = None;
            tokio::time::sleep(TOGETHER).await;
        }
        Err(_) => {}
    }
}

async fn look(desk: &Desk, here: Option<&Loaded>) -> Result<Status, Failure> {
    if let Some(status) = from_coordinator(desk, here).await? {
        return Ok(status);
    }
    let Some(loaded) = here else {
        let what = "the coordinator did not answer in time";
        return Err(Failure::new(Exit::Later, what, "try again in a moment"));
    };
    let known = match Memory::open(desk, loaded)? {
        Some(memory) => Known {
            state: Some(memory.state(loaded)?),
            release: memory.release_status()?,
            ends: memory.ends()?,
            holder: Some(memory.holder),
            is_live: false,
            next_run: None,
        },
        None => Known::default(),
    };
    let known = Known {
        next_run: next_run(loaded, desk.clock.now().wall, false),
        ..known
    };
    let adapters = desk.adapters(&loaded.fleet)?;
    Ok(daemon::status::look(&adapters, &known, desk.clock).await)
}

async fn from_coordinator(desk: &Desk, here: Option<&Loaded>) -> Result<Option<Status>, Failure> {
    let Some(mut client) = desk.coordinator(here).await? else {
        return Ok(None);
    };
    let reply = match timeout(WITHIN, client.request(&Command::Status {})).await {
        Ok(reply) => reply?,
        Err(_) => return Ok(None),
    };
    match reply {
        Reply::Ok(value) => Ok(serde_json::from_value(value).ok()),
        // It ends, or is too busy: what is remembered here has to do.
        Reply::Refused(_) if here.is_some() => Ok(None),
        Reply::Refused(refusal) => Err(ClientError::Refused(refusal).into()),
    }
}

fn text(status: &Status, when: &When, now: Timestamp) -> String {
    let mut head = head(status, when, now);
    if let Some(run) = &status.next_run {
        head = format!("{head}\n{}", planned(run, when, now));
    }
    for words in status.release.words(when, now) {
        head = format!("{head}\n{words}");
    }
    let mut parts = vec![head, sites(status, when, now)];
    let pinned = status.sites.iter();
    parts
        .extend(pinned.filter_map(|site| Some(format!("{} {}", site.name, site.pinned.as_ref()?))));
    parts.extend(
        status
            .unknown
            .iter()
            .map(|text| format!("not known: {text}")),
    );
    for next in &status.next {
        let site = next.site.as_ref().map_or("fleet", |site| site.as_str());
        parts.push(format!("{site}: {}\n  next: {}", next.why, next.command));
    }
    parts.join("\n\n")
}

fn head(status: &Status, when: &When, now: Timestamp) -> String {
    let rotation = match &status.rotation {
        None => "no rotation".to_owned(),
        Some(rotation) => {
            let doing = match (rotation.interrupted, rotation.state) {
                (true, _) => "interrupted",
                (false, RotationState::Running) => "running",
                (false, RotationState::Paused) => "paused",
                (false, RotationState::Halting) => "halting",
                (false, RotationState::Aborting) => "aborting",
            };
            let why = rotation.why.as_ref();
            let until = rotation.until.map(|until| when.ahead(until, now));
            let until = until.map_or(String::new(), |until| format!(" until {until}"));
            let why = why.map_or(String::new(), |why| format!(", waiting for {why}{until}"));
            format!(
                "{} {doing}{why}, begun {} by {}; {} visited, {} left",
                rotation.id,
                when.ago(rotation.since, now),
                rotation.actor,
                rotation.visited.len(),
                rotation.left.len()
            )
        }
    };
    let marker = match &status.marker {
        None if status
            .sites
            .iter()
            .all(|site| site.in_dns == InDns::Unknown) =>
        {
            "marker not known".to_owned()
        }
        None => "no marker".to_owned(),
        Some(marker) => match &marker.holder {
            Some(holder) => format!("marker held by {holder}, epoch {}", marker.epoch),
            None => format!("marker free, epoch {}", marker.epoch),
        },
    };
    format!("fleet {}: {rotation}; {marker}", status.fleet)
}

/// `next run: nightly 02:00:00 UTC (in 4h), 2026-11-22 03:00:00 CET Europe/Berlin`.
fn planned(run: &NextRun, when: &When, now: Timestamp) -> String {
    let at = when.ahead(run.planned, now);
    let frozen = run.frozen.as_ref();
    let frozen = frozen.map_or(String::new(), |reason| format!("; frozen: {reason}"));
    let served = match run.served {
        true => "",
        false => "; no `cleanslate serve` is here to begin it",
    };
    let NextRun {
        playbook,
        local,
        timezone,
        ..
    } = run;
    format!("next run: {playbook} {at}, {local} {timezone}{frozen}{served}")
}

fn sites(status: &Status, when: &When, now: Timestamp) -> String {
    let row = |site: &SiteStatus| {
        let state = site.state.map_or("unknown", |state| state.words());
        let cordoned = if site.cordoned { ", cordoned" } else { "" };
        let since = site
            .since
            .map_or(String::new(), |since| when.ago(since, now));
        let until = site
            .until
            .map_or(String::new(), |until| when.ahead(until, now));
        [
            site.name.to_string(),
            format!("{state}{cordoned}"),
            in_dns(site.in_dns).to_owned(),
            digests(site),
            hosts(site),
            since,
            until,
            site.why.clone().unwrap_or_default(),
        ]
    };
    let headings = [
        "SITE", "STATE", "IN DNS", "RUNS", "ENGINES", "SINCE", "UNTIL", "WHY",
    ];
    grid(headings, status.sites.iter().map(row).collect())
}

fn in_dns(in_dns: InDns) -> &'static str {
    match in_dns {
        InDns::Yes => "yes",
        InDns::No => "no",
        InDns::Partly => "partly",
        InDns::Unknown => "?",
    }
}

/// The first digits of each digest, as people compare them.
fn digests(site: &SiteStatus) -> String {
    let short = |text: &str| -> String {
        let digests = text.split(", ").map(|digest| {
            let hex = digest.strip_prefix("sha256:").unwrap_or(digest);
            hex.get(..12).unwrap_or(hex).to_owned()
        });
        digests.collect::<Vec<_>>().join("|")
    };
    let services = site.digests.iter();
    let texts = services.map(|(service, digest)| format!("{service} {}", short(digest)));
    texts.collect::<Vec<_>>().join(", ")
}

fn hosts(site: &SiteStatus) -> String {
    use crate::api::status::EngineStatus;
    let count = |of: EngineStatus| site.hosts.iter().filter(|host| host.engine == of).count();
    let down: Vec<&str> = site
        .hosts
        .iter()
        .filter(|host| host.engine == EngineStatus::Down)
        .map(|host| host.name.as_str())
        .collect();
    match (count(EngineStatus::Unknown), down.is_empty()) {
        (unknown, _) if unknown == site.hosts.len() => "?".to_owned(),
        (_, true) => format!("{} up", count(EngineStatus::Up)),
        (_, false) => format!("{} up, down: {}", count(EngineStatus::Up), down.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jiff::tz::TimeZone;

    use super::*;
    use crate::api::release::Waits;
    use crate::api::status::{Engine, ReleaseStatus, Seen, status};
    use crate::coordinator::plan::{Mode, Options};
    use crate::coordinator::tests::world::{World, digest, fleet, site};
    use crate::model::pin::SitePin;

    #[test]
    fn the_table_shows_each_site_what_it_waits_for_and_what_to_type() {
        let mut world = World::new();
        let mut machine = world.coordinator();
        let plan = world.plan(Mode::Rotate, None, Options::default());
        world.begin(&mut machine, plan);
        while machine
            .state()
            .site_waits(&site("fra"))
            .is_none_or(|waiting| waiting.until.is_none())
        {
            assert!(world.step(&mut machine));
        }
        let gone = "192.0.2.3".parse().unwrap();
        for set in world.zone().rrsets.values_mut() {
            set.addresses.remove(&gone);
        }
        let mut fleet = fleet();
        for (name, until) in [("fra", "2027-01-14"), ("nyc", "2027-01-15")] {
            let services = [("web".parse().unwrap(), digest(7))].into();
            let until = until.parse().unwrap();
            let apart = fleet.sites.get_mut(&site(name)).unwrap();
            apart.pin = Some(SitePin { services, until });
        }
        let holder = "holder-a".parse().unwrap();
        let mut engines = BTreeMap::new();
        engines.insert((site("nyc"), "nyc1".parse().unwrap()), Engine::Down);
        let seen = status(&Seen {
            fleet: &fleet,
            state: Some(machine.state()),
            view: Some(&world.view),
            engines: &engines,
            ends: &BTreeMap::new(),
            holder: Some(&holder),
            is_live: true,
            now: world.time(),
        });
        let run = NextRun {
            playbook: "nightly".parse().unwrap(),
            planned: "2027-01-16T02:00:00Z".parse().unwrap(),
            timezone: "Europe/Berlin".to_owned(),
            local: "2027-01-16 03:00:00 CET".to_owned(),
            in_seconds: 64_793,
            frozen: Some("holidays".to_owned()),
            served: false,
        };
        let status = Status {
            next_run: Some(run),
            release: ReleaseStatus {
                open: Some("promote staging master of ana".to_owned()),
                scheduled: vec![Waits {
                    what: "promote staging master".to_owned(),
                    tag: "master".parse().unwrap(),
                    at: "2027-01-15T16:00:00Z".parse().unwrap(),
                    who: "ben".to_owned(),
                }],
            },
            ..seen
        };
        let when = When {
            zone: TimeZone::UTC,
        };
        let now = world.time().wall + jiff::SignedDuration::from_secs(7);
        insta::assert_snapshot!(text(&status, &when, now), @r#"
        fleet edge: nightly-1 running, begun 08:00:00 UTC (7s ago) by test; 0 visited, 2 left; marker held by holder-a, epoch 1
        next run: nightly 2027-01-16 02:00:00 UTC (in 17h 59m), 2027-01-16 03:00:00 CET Europe/Berlin; frozen: holidays; no `cleanslate serve` is here to begin it
        promote staging master of ana has not ended: its tags are on their way
        promote staging master of ben is to be done 16:00:00 UTC (in 7h 59m)

        SITE  STATE           IN DNS  RUNS  ENGINES           SINCE                  UNTIL                  WHY
        fra   draining        no            ?                 08:00:00 UTC (7s ago)  08:00:30 UTC (in 23s)  waiting for resolvers to forget its addresses
        nyc   in service      yes           0 up, down: nyc1
        sin   out of service  no            ?                                                               taken out by somebody else's hand

        fra takes tags again: its pin ended on 2027-01-14, remove it

        nyc is pinned to 070707070707 (web) until 2027-01-15

        sin: taken out by somebody else's hand
          next: cleanslate rebuild sin --restore --reason TEXT
        "#);
    }
}
