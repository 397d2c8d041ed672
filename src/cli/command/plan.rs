//! `plan`: what a rotation would do; changes nothing.
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;

use super::super::desk::{Desk, known_site};
use super::super::exit::Exit;
use super::super::failure::{Failure, Outcome, Said};
use super::super::follow::Night;
use super::super::grid::grid;
use super::super::memory::Memory;
use super::preview::{Preview, RecordPreview, ServicePreview, SitePreview, WindowPreview, preview};
use crate::api::when::{When, span};
use crate::config::Loaded;
use crate::coordinator::plan::{Blocked, Mode, Options, Plan, Wish, plan};
use crate::coordinator::safety::rebuild_kept;
use crate::coordinator::state::State;
use crate::daemon::rotation_id;
use crate::daemon::survey::{ImageSource, Observations, observe};
use crate::model::id::{PlaybookName, SiteName};
use crate::model::playbook::Playbook;

/// Shows what a rotation would do: order, floors, digests old → new, scale, DNS, times
///
/// Changes nothing. Exits 4 where a rule would say no, 5 where something did not answer.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  cleanslate plan
  cleanslate plan urgent --site nyc
  cleanslate plan --out night.json           then: cleanslate rotate --plan night.json")]
pub(crate) struct Show {
    /// Which playbook
    #[arg(default_value = "nightly")]
    playbook: PlaybookName,
    /// Only this site; may be repeated
    #[arg(long, value_name = "SITE", value_delimiter = ',')]
    site: Vec<SiteName>,
    /// Writes the plan to this file as well, as JSON
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(crate) async fn run(desk: &Desk, args: &Show) -> Outcome {
    let loaded = desk.load()?;
    let looked = Box::pin(look(desk, &loaded, &args.playbook, &args.site)).await?;
    let preview = looked.preview;
    if let Some(file) = &args.out {
        let text = serde_json::to_string_pretty(&preview);
        let text = text.expect("texts, numbers and string keys always serialize");
        std::fs::write(file, text).map_err(|error| {
            let what = format!("cannot write {}: {error}", file.display());
            Failure::new(Exit::Fault, what, "name a file that this user may write")
        })?;
    }
    show(desk, &preview);
    Ok(match preview.problems.is_empty() {
        true => Exit::Done,
        false => Exit::Later,
    })
}

fn show(desk: &Desk, preview: &Preview) {
    if desk.output.is_json {
        desk.output.json(preview);
    } else {
        let text = text(preview, &desk.when, desk.clock.now().wall);
        desk.output.result(&text);
    }
}

/// A plan, and what it was made from.
pub(super) struct Looked {
    pub(super) preview: Preview,
    pub(super) plan: Plan,
    pub(super) seen: Observations,
    pub(super) state: State,
    pub(super) memory: Option<Memory>,
}

pub(super) async fn look(
    desk: &Desk,
    loaded: &Loaded,
    name: &PlaybookName,
    sites: &[SiteName],
) -> Result<Looked, Failure> {
    let fleet = &loaded.fleet;
    for site in sites {
        known_site(fleet, site)?;
    }
    let playbook = playbook(loaded, name)?;
    let memory = Memory::open(desk, loaded)?;
    let state = memory
        .as_ref()
        .map(|memory| memory.state(loaded))
        .transpose()?;
    let state: State = state.unwrap_or_default();
    let adapters = desk.adapters(fleet)?;
    let all = fleet.sites.keys().cloned().collect();
    let seen = Box::pin(observe(
        &adapters,
        fleet,
        &all,
        ImageSource::Registry,
        &state,
    ))
    .await;
    let at = desk.clock.now().wall;
    let survey = seen.survey(fleet, at).map_err(Failure::unchanged)?;
    let wish = Wish {
        id: rotation_id(name.as_str(), at),
        mode: Mode::Rotate,
        sites: (!sites.is_empty()).then(|| sites.to_vec()),
        options: Options::default(),
        actor: desk.user(),
        reason: None,
    };
    let plan = plan(fleet, playbook, wish, &survey).map_err(|blocked| {
        let Blocked {
            reasons,
            is_transient,
        } = blocked;
        Failure {
            exit: Exit::unchanged(is_transient),
            said: Said::Problems(reasons),
        }
    })?;
    let typical = |site: &SiteName, step: &str| memory.as_ref()?.typical(site, step);
    let night = Night::new(fleet, playbook, typical);
    Ok(Looked {
        preview: preview(loaded, &plan, &seen, &night, at),
        plan,
        seen,
        state,
        memory,
    })
}

/// The playbook of that name.
pub(super) fn playbook<'l>(
    loaded: &'l Loaded,
    name: &PlaybookName,
) -> Result<&'l Playbook, Failure> {
    loaded.playbooks.get(name).ok_or_else(|| {
        let names: Vec<&str> = loaded.playbooks.keys().map(PlaybookName::as_str).collect();
        let what = format!("no playbook is called {name}");
        Failure::new(
            Exit::Usage,
            what,
            format!("use one of: {}", names.join(", ")),
        )
    })
}

pub(super) fn text(preview: &Preview, when: &When, now: Timestamp) -> String {
    let seconds = |seconds| span(Duration::from_secs(seconds));
    let mut parts = vec![format!(
        "{} on fleet {}: {} in {}, about {}",
        preview.playbook,
        preview.fleet,
        crate::api::words::counted(preview.sites.len() as u64, "site"),
        crate::api::words::counted(preview.waves.len() as u64, "wave"),
        seconds(preview.expected_seconds)
    )];
    parts.extend(preview.frozen.as_ref().map(|reason| {
        let playbook = &preview.playbook;
        format!(
            "frozen today: {reason}; all the same: `cleanslate rotate {playbook} --in-freeze \
             --reason TEXT`"
        )
    }));
    for (number, wave) in (1..).zip(&preview.waves) {
        for site in preview
            .sites
            .iter()
            .filter(|site| wave.contains(&site.site))
        {
            parts.push(site_text(number, site, when, now));
        }
    }
    parts.extend(
        preview
            .problems
            .iter()
            .map(|what| format!("not known: {what}")),
    );
    parts.join("\n\n")
}

fn site_text(wave: usize, site: &SitePreview, when: &When, now: Timestamp) -> String {
    let seconds = |seconds| span(Duration::from_secs(seconds));
    let head = format!(
        "wave {wave}: {}, in DNS: {}, about {}, {} of it out of DNS",
        site.site,
        site.in_dns,
        seconds(site.expected_seconds),
        seconds(site.out_of_dns_seconds)
    );
    let head = match &site.window {
        Some(window) => format!("{head}\n  {}", window_text(window, when, now)),
        None => head,
    };
    let head = match &site.pinned {
        Some(pinned) => format!("{head}\n  {} {pinned}", site.site),
        None => head,
    };
    let services = grid(
        ["  SERVICE", "SCALE", "DIGEST", "IMAGE"],
        site.services
            .iter()
            .map(|service| service_row(service, when, now))
            .collect(),
    );
    let records = grid(
        [
            "  RECORD",
            "LEAVE",
            "STAY",
            "FLOOR",
            "SHARE OF EACH THAT STAYS",
        ],
        site.records.iter().map(record_row).collect(),
    );
    let mut parts = vec![head, services];
    parts.extend(site.drifted.iter().map(|why| format!("  {why}")));
    if !site.drifted.is_empty() {
        let next = rebuild_kept(&site.site);
        parts.push(format!("  it stays as it is; next: {next}"));
    }
    parts.push(records);
    parts.join("\n")
}

/// In the site's own time, and in that of whoever asks.
fn window_text(window: &WindowPreview, when: &When, now: Timestamp) -> String {
    let (hours, zone) = (&window.hours, &window.timezone);
    let (what, at) = if window.opens <= now {
        ("open until", window.closes)
    } else {
        ("not before", window.opens)
    };
    let there = jiff::tz::db().get(zone).map(|zone| When { zone });
    let there = there.map_or(String::new(), |there| {
        format!(", {} there", there.at(at, now))
    });
    let here = when.ahead(at, now);
    format!("in its quiet hours, {hours} {zone}: {what} {here}{there}")
}

fn service_row(service: &ServicePreview, when: &When, now: Timestamp) -> [String; 4] {
    let old: Vec<&str> = service.old.iter().map(|digest| digest.short()).collect();
    let old = if old.is_empty() {
        "nothing".to_owned()
    } else {
        old.join("|")
    };
    let new = service
        .new
        .as_ref()
        .map_or("nothing", |digest| digest.short());
    let digest = match (service.is_unchanged(), service.since) {
        (true, Some(since)) => format!("{new}, no change since {}", when.at(since, now)),
        (true, None) => format!("{new}, no change"),
        (false, _) => format!("{old} → {new}"),
    };
    let fixed = if service.follows_channel {
        ""
    } else {
        " (follows no channel)"
    };
    [
        format!("  {}", service.service),
        format!("{} → {}", service.running, service.baseline),
        digest,
        format!("{}{fixed}", service.image),
    ]
}

fn record_row(record: &RecordPreview) -> [String; 5] {
    let leave: Vec<String> = record.leave.iter().map(ToString::to_string).collect();
    let share = |addresses: u64| match addresses {
        0 => "none is left".to_owned(),
        addresses => format!("{}%", 100 / addresses),
    };
    let before = share(record.stay + record.leave.len() as u64);
    [
        format!("  {}", record.rrset),
        leave.join(", "),
        record.stay.to_string(),
        format!("{} of {}", record.floor, record.members.saturating_sub(1)),
        format!("{before} → {}", share(record.stay)),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jiff::tz::TimeZone;

    use super::*;
    use crate::api::pinned::Pinned;
    use crate::coordinator::tests::world::digest;

    #[test]
    fn a_plan_shows_order_floors_digests_scale_dns_and_times() {
        let service = |name: &str, old: u8, new: u8, follows_channel| ServicePreview {
            service: format!("edge/{name}"),
            image: format!("registry.test:5000/{name}:master").parse().unwrap(),
            follows_channel,
            old: [digest(old)].into(),
            new: Some(digest(new)),
            since: Some("2026-06-30T03:00:00Z".parse().unwrap()),
            running: 3,
            baseline: 2,
        };
        let site = |name: &str| SitePreview {
            site: name.parse().unwrap(),
            in_dns: "yes".to_owned(),
            expected_seconds: 210,
            out_of_dns_seconds: 105,
            window: match name {
                "nyc" => Some(WindowPreview {
                    hours: "02:00-05:00".to_owned(),
                    timezone: "America/New_York".to_owned(),
                    opens: "2026-07-01T06:00:00Z".parse().unwrap(),
                    closes: "2026-07-01T09:00:00Z".parse().unwrap(),
                }),
                _ => None,
            },
            pinned: match name {
                "fra" => Some(Pinned {
                    services: [("proxy".parse().unwrap(), digest(3))].into(),
                    until: "2026-12-01".parse().unwrap(),
                    ended: false,
                }),
                _ => None,
            },
            services: vec![service("web", 1, 2, true), service("proxy", 3, 3, false)],
            drifted: match name {
                "fra" => vec!["fra1: edge-db-1 is kept and runs an old image".to_owned()],
                _ => Vec::new(),
            },
            records: vec![RecordPreview {
                rrset: "www.example.com. A".to_owned(),
                leave: ["192.0.2.1".parse().unwrap()].into(),
                stay: 2,
                floor: 2,
                members: 3,
            }],
        };
        let preview = Preview {
            v: 1,
            fleet: "edge".to_owned(),
            playbook: "nightly".parse().unwrap(),
            configuration: String::new(),
            epoch: 3,
            rrsets: BTreeMap::new(),
            pins: BTreeMap::new(),
            pinned: BTreeMap::new(),
            waves: vec![vec!["fra".parse().unwrap()], vec!["nyc".parse().unwrap()]],
            sites: vec![site("fra"), site("nyc")],
            expected_seconds: 420,
            frozen: Some("holidays (until 2026-07-02)".to_owned()),
            problems: vec!["nyc2: no answer from tcp://10.2.0.2:2375".to_owned()],
        };
        let when = When {
            zone: TimeZone::UTC,
        };
        let now = "2026-07-01T01:00:00Z".parse().unwrap();
        insta::assert_snapshot!(text(&preview, &when, now), @r"
        nightly on fleet edge: 2 sites in 2 waves, about 7m

        frozen today: holidays (until 2026-07-02); all the same: `cleanslate rotate nightly --in-freeze --reason TEXT`

        wave 1: fra, in DNS: yes, about 3m 30s, 1m 45s of it out of DNS
          fra is pinned to 030303030303 (proxy) until 2026-12-01
          SERVICE     SCALE  DIGEST                                                 IMAGE
          edge/web    3 → 2  010101010101 → 020202020202                            registry.test:5000/web:master
          edge/proxy  3 → 2  030303030303, no change since 2026-06-30 03:00:00 UTC  registry.test:5000/proxy:master (follows no channel)
          fra1: edge-db-1 is kept and runs an old image
          it stays as it is; next: cleanslate rebuild fra --kept --reason TEXT
          RECORD              LEAVE      STAY  FLOOR   SHARE OF EACH THAT STAYS
          www.example.com. A  192.0.2.1  2     2 of 2  33% → 50%

        wave 2: nyc, in DNS: yes, about 3m 30s, 1m 45s of it out of DNS
          in its quiet hours, 02:00-05:00 America/New_York: not before 06:00:00 UTC (in 5h), 2026-07-01 02:00:00 EDT there
          SERVICE     SCALE  DIGEST                                                 IMAGE
          edge/web    3 → 2  010101010101 → 020202020202                            registry.test:5000/web:master
          edge/proxy  3 → 2  030303030303, no change since 2026-06-30 03:00:00 UTC  registry.test:5000/proxy:master (follows no channel)
          RECORD              LEAVE      STAY  FLOOR   SHARE OF EACH THAT STAYS
          www.example.com. A  192.0.2.1  2     2 of 2  33% → 50%

        not known: nyc2: no answer from tcp://10.2.0.2:2375
        ");
    }
}
