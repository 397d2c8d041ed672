//! What a rotation would do: for people, for files, and to be compared with later.
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::super::desk::Desk;
use super::super::exit::Exit;
use super::super::failure::{Failure, Said};
use super::super::follow::Night;
use crate::api::pinned::Pinned;
use crate::api::when::between;
use crate::config::Loaded;
use crate::coordinator::outcome::Problem;
use crate::coordinator::plan::Plan;
use crate::coordinator::safety::{self, Presence, presence, present_addresses};
use crate::daemon::Session;
use crate::daemon::survey::{ImageSource, Observations};
use crate::model::fleet::{Fleet, Host, Site};
use crate::model::id::{PlaybookName, SiteName};
use crate::model::image::{Digest, ImageRef};
use crate::model::inventory::{Container, ContainerState, Role};
use crate::model::rrset::{MarkerSeen, ZoneView};

/// A plan with what it was made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Preview {
    pub(super) v: u8,
    pub(super) fleet: String,
    pub(super) playbook: PlaybookName,
    /// SHA-256 of every configuration file.
    pub(super) configuration: String,
    /// Of the marker; 0: there is none yet.
    pub(super) epoch: u64,
    /// As the primary serves them.
    pub(super) rrsets: BTreeMap<String, BTreeSet<IpAddr>>,
    pub(super) pins: BTreeMap<ImageRef, Digest>,
    /// What sites are visited with instead, that are pinned.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) pinned: BTreeMap<SiteName, BTreeMap<ImageRef, Digest>>,
    pub(super) waves: Vec<Vec<SiteName>>,
    pub(super) sites: Vec<SitePreview>,
    pub(super) expected_seconds: u64,
    /// Why a person's rotation is refused today.
    #[serde(default)]
    pub(super) frozen: Option<String>,
    /// What could not be asked.
    pub(super) problems: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct SitePreview {
    pub(super) site: SiteName,
    pub(super) in_dns: String,
    pub(super) expected_seconds: u64,
    pub(super) out_of_dns_seconds: u64,
    /// In which its visit begins; null: at any hour.
    #[serde(default)]
    pub(super) window: Option<WindowPreview>,
    /// What it is pinned to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) pinned: Option<Pinned>,
    pub(super) services: Vec<ServicePreview>,
    /// Containers of kept services that run, and not as declared: they are left alone.
    #[serde(default)]
    pub(super) drifted: Vec<String>,
    pub(super) records: Vec<RecordPreview>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct WindowPreview {
    /// As they are written: `02:00-05:00`.
    pub(super) hours: String,
    pub(super) timezone: String,
    pub(super) opens: Timestamp,
    pub(super) closes: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct ServicePreview {
    pub(super) service: String,
    pub(super) image: ImageRef,
    /// Whether it follows its channel's tag.
    pub(super) follows_channel: bool,
    /// What runs; several where containers differ.
    pub(super) old: BTreeSet<Digest>,
    pub(super) new: Option<Digest>,
    /// The earliest start of what runs.
    pub(super) since: Option<Timestamp>,
    pub(super) running: u32,
    pub(super) baseline: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct RecordPreview {
    pub(super) rrset: String,
    pub(super) leave: BTreeSet<IpAddr>,
    pub(super) stay: u64,
    pub(super) floor: u32,
    pub(super) members: u64,
}

/// What a plan comes to, seen as things are.
pub(super) fn preview(
    loaded: &Loaded,
    plan: &Plan,
    seen: &Observations,
    night: &Night,
    at: Timestamp,
) -> Preview {
    let fleet = &loaded.fleet;
    let view = seen.zone.as_ref().ok();
    let sites = plan.sites().filter_map(|name| fleet.sites.get(name));
    let inventories = seen.inventories.values();
    let problems = inventories.filter_map(|seen| Some(seen.as_ref().err()?.what.clone()));
    Preview {
        v: 1,
        fleet: fleet.name.to_string(),
        playbook: plan.playbook.clone(),
        configuration: configuration(loaded),
        epoch: view.map_or(0, epoch),
        rrsets: view.map(rrsets).unwrap_or_default(),
        pins: plan.pins.clone(),
        pinned: plan.pinned(),
        waves: plan.waves.clone(),
        sites: sites
            .map(|site| of_site((fleet, site), plan, seen, night, at))
            .collect(),
        expected_seconds: between(at, night.course(&plan.outline(), at).ends).as_secs(),
        frozen: frozen(loaded, plan, at),
        problems: problems.collect(),
    }
}

fn frozen(loaded: &Loaded, plan: &Plan, at: Timestamp) -> Option<String> {
    let playbook = loaded.playbooks.get(&plan.playbook)?;
    let freeze = loaded.fleet.freeze(playbook, at)?;
    Some(format!("{} (until {})", freeze.reason, freeze.until))
}

/// Compares `plan` with the one in `file`.
///
/// # Errors
/// Every difference of configuration, RRsets, epoch, sites and digests: nothing was changed.
pub(super) async fn refuse_if_changed(
    desk: &Desk,
    session: &Session,
    plan: &Plan,
    file: &Path,
) -> Result<(), Failure> {
    let sites = plan.sites().cloned().collect();
    let seen = Box::pin(session.observe(&sites, ImageSource::LastGood)).await;
    let night = super::act::night(session, &plan.playbook)?;
    let at = desk.clock.now().wall;
    let now = preview(&session.config, plan, &seen, &night, at);
    refuse_unless_same(desk, file, &now)
}

/// Compares `now` with the plan in `file`.
///
/// # Errors
/// As [`refuse_if_changed`].
pub(super) fn refuse_unless_same(desk: &Desk, file: &Path, now: &Preview) -> Result<(), Failure> {
    let reasons = differences(&read(file)?, now);
    if reasons.is_empty() {
        return Ok(());
    }
    desk.output
        .progress(&format!("{} does not hold any more", file.display()));
    Err(Failure {
        exit: Exit::Refused,
        said: Said::Problems(reasons),
    })
}

fn read(file: &Path) -> Result<Preview, Failure> {
    let usage = |why: String| {
        let what = format!("{} cannot be used as a plan: {why}", file.display());
        Failure::new(
            Exit::Usage,
            what,
            "write one with `cleanslate plan --out FILE`",
        )
    };
    let text = std::fs::read(file).map_err(|error| usage(error.to_string()))?;
    serde_json::from_slice(&text).map_err(|error| usage(error.to_string()))
}

fn differences(then: &Preview, now: &Preview) -> Vec<Problem> {
    let mut reasons = Vec::new();
    let mut note = |what: String| {
        reasons.push(Problem {
            what,
            cure: "plan anew, and look at what it says: `cleanslate plan --out FILE`".to_owned(),
            is_transient: false,
        });
    };
    if then.playbook != now.playbook {
        note(format!("the plan is of the playbook {}", then.playbook));
    }
    if then.configuration != now.configuration {
        note("the configuration files are others than when it was planned".to_owned());
    }
    if then.epoch != now.epoch {
        let (then, now) = (then.epoch, now.epoch);
        note(format!(
            "the marker's epoch was {then} and is {now}: somebody rotated since"
        ));
    }
    for (key, addresses) in &now.rrsets {
        let before = then.rrsets.get(key);
        if before != Some(addresses) {
            let before = before.map_or("nothing".to_owned(), listed);
            note(format!(
                "{key} held {before} and holds {}",
                listed(addresses)
            ));
        }
    }
    if then.waves != now.waves {
        note("the sites, or their order, are others than planned".to_owned());
    }
    for (image, digest) in &now.pins {
        let before = then.pins.get(image);
        if before != Some(digest) {
            let before = before.map_or("not planned", |before| before.short());
            note(format!("{image} was {before} and is {}", digest.short()));
        }
    }
    // A pin that ends leaves the files as they are.
    for site in then
        .pinned
        .keys()
        .chain(now.pinned.keys())
        .collect::<BTreeSet<_>>()
    {
        if then.pinned.get(site) != now.pinned.get(site) {
            note(format!(
                "{site} is pinned otherwise than when it was planned"
            ));
        }
    }
    reasons
}

/// One hash over every file's path and content.
fn configuration(loaded: &Loaded) -> String {
    let mut sum = Sha256::new();
    for (path, content) in &loaded.snapshot.files {
        let path = path.to_string_lossy();
        for part in [path.as_bytes(), content] {
            sum.update(part.len().to_be_bytes());
            sum.update(part);
        }
    }
    data_encoding::HEXLOWER.encode(&sum.finalize())
}

fn epoch(view: &ZoneView) -> u64 {
    let epochs = view.markers.values().map(|seen| match seen {
        MarkerSeen::Here(marker) => marker.epoch.0,
        MarkerSeen::Absent | MarkerSeen::Foreign { .. } => 0,
    });
    epochs.max().unwrap_or(0)
}

fn rrsets(view: &ZoneView) -> BTreeMap<String, BTreeSet<IpAddr>> {
    let sets = view.rrsets.iter();
    sets.map(|(key, set)| (key.to_string(), set.addresses.clone()))
        .collect()
}

fn of_site(
    (fleet, site): (&Fleet, &Site),
    plan: &Plan,
    seen: &Observations,
    night: &Night,
    at: Timestamp,
) -> SitePreview {
    let view = seen.zone.as_ref().ok();
    let in_dns = match view.map(|view| presence(fleet, view, &site.name)) {
        Some(Presence::All) => "yes",
        Some(Presence::Partly) => "partly",
        Some(Presence::None) => "no",
        None => "unknown",
    };
    SitePreview {
        site: site.name.clone(),
        in_dns: in_dns.to_owned(),
        expected_seconds: night.visit(&site.name).as_secs(),
        out_of_dns_seconds: night.out_of_dns(&site.name).as_secs(),
        window: plan.windows.get(&site.name).map(|window| WindowPreview {
            hours: window.hours.clone(),
            timezone: window.zone.clone(),
            opens: window.opens,
            closes: window.closes,
        }),
        pinned: Pinned::of(site, at),
        services: services(site, plan, seen),
        drifted: drifted(site, plan, seen),
        records: view
            .map(|view| records(fleet, view, &site.name))
            .unwrap_or_default(),
    }
}

fn drifted(site: &Site, plan: &Plan, seen: &Observations) -> Vec<String> {
    let of_host = |host: &Host| {
        let key = (site.name.clone(), host.name.clone());
        let inventory = seen.inventories.get(&key)?.as_ref().ok()?;
        Some(safety::drifted(host, inventory, plan.pins_for(&site.name)))
    };
    site.hosts.iter().filter_map(of_host).flatten().collect()
}

fn services(site: &Site, plan: &Plan, seen: &Observations) -> Vec<ServicePreview> {
    let mut found: BTreeMap<(String, ImageRef), ServicePreview> = BTreeMap::new();
    for host in &site.hosts {
        let inventory = seen
            .inventories
            .get(&(site.name.clone(), host.name.clone()));
        let containers = match inventory {
            Some(Ok(inventory)) => inventory.containers.as_slice(),
            Some(Err(_)) | None => &[],
        };
        for project in &host.projects {
            for service in project.services.iter().filter(|service| !service.is_kept()) {
                let name = format!("{}/{}", project.name, service.name);
                let key = (name.clone(), service.image.clone());
                let entry = found.entry(key).or_insert_with(|| ServicePreview {
                    service: name,
                    image: service.image.clone(),
                    follows_channel: service.follows_channel,
                    old: BTreeSet::new(),
                    new: plan.pins_for(&site.name).get(&service.image).cloned(),
                    since: None,
                    running: 0,
                    baseline: 0,
                });
                entry.baseline += service.replicas;
                let is_of = |container: &&Container| {
                    container.project == project.name
                        && container.service == service.name
                        && container.role == Role::Recreated
                        && container.is_running()
                };
                for container in containers.iter().filter(is_of) {
                    entry.take(container);
                }
            }
        }
    }
    found.into_values().collect()
}

impl ServicePreview {
    fn take(&mut self, container: &Container) {
        self.running += 1;
        // A host may know one image by several digests; the pinned one among them is what runs.
        let pinned = self
            .new
            .as_ref()
            .filter(|new| container.digests.contains(new));
        self.old
            .extend(pinned.or(container.digests.first()).cloned());
        if let ContainerState::Running {
            since: Some(since), ..
        } = container.state
        {
            self.since = Some(self.since.map_or(since, |earliest| earliest.min(since)));
        }
    }

    /// Whether the visit brings no other image.
    pub(super) fn is_unchanged(&self) -> bool {
        self.old.len() == 1 && self.old.first() == self.new.as_ref()
    }
}

fn records(fleet: &Fleet, view: &ZoneView, site: &SiteName) -> Vec<RecordPreview> {
    let leaving = present_addresses(fleet, view, site).into_iter();
    let record = leaving.map(|(key, leave)| {
        let served = view.rrsets.get(&key).map_or(0, |set| set.addresses.len());
        RecordPreview {
            rrset: key.to_string(),
            stay: served.saturating_sub(leave.len()) as u64,
            leave,
            floor: fleet.floor(&key),
            members: fleet.members(&key).len() as u64,
        }
    });
    record.collect()
}

fn listed(addresses: &BTreeSet<IpAddr>) -> String {
    let texts: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    texts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_difference_is_named_at_once() {
        let then = of(3, "192.0.2.1", 1);
        assert_eq!(differences(&then, &then), []);
        let mut now = of(4, "192.0.2.9", 2);
        now.configuration = "b".to_owned();
        now.waves.push(Vec::new());
        let whats: Vec<String> = differences(&then, &now)
            .into_iter()
            .map(|p| p.what)
            .collect();
        insta::assert_snapshot!(whats.join("\n"), @r"
        the configuration files are others than when it was planned
        the marker's epoch was 3 and is 4: somebody rotated since
        www.example.com. A held 192.0.2.1 and holds 192.0.2.9
        the sites, or their order, are others than planned
        registry.test:5000/web:master was 010101010101 and is 020202020202
        ");
    }

    #[test]
    fn a_plan_is_read_back_from_its_file() {
        let then = of(3, "192.0.2.1", 1);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("night.json");
        std::fs::write(&file, serde_json::to_string(&then).unwrap()).unwrap();
        assert_eq!(read(&file).unwrap(), then);
        std::fs::write(&file, "{}").unwrap();
        assert_eq!(read(&file).unwrap_err().exit, Exit::Usage);
    }

    fn of(epoch: u64, address: &str, digest: u8) -> Preview {
        let digest = crate::coordinator::tests::world::digest(digest);
        let image: ImageRef = "registry.test:5000/web:master".parse().unwrap();
        let addresses = BTreeSet::from([address.parse().unwrap()]);
        Preview {
            v: 1,
            fleet: "edge".to_owned(),
            playbook: "nightly".parse().unwrap(),
            configuration: "a".to_owned(),
            epoch,
            rrsets: BTreeMap::from([("www.example.com. A".to_owned(), addresses)]),
            pins: BTreeMap::from([(image, digest)]),
            pinned: BTreeMap::new(),
            waves: vec![vec!["fra".parse().unwrap()]],
            sites: Vec::new(),
            expected_seconds: 60,
            frozen: None,
            problems: Vec::new(),
        }
    }
}
