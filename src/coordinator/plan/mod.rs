//! The plan of a rotation: sites, waves and pinned digests, settled before anything happens.
mod deadline;
mod pins;
mod sites;
mod timing;
mod windows;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use deadline::Deadline;
use pins::Settled;
pub use timing::Timing;
pub use windows::{Course, Outline, outline};

use super::outcome::Problem;
use super::safety::{Feet, barred, own_feet};
use super::state::Barred;
use crate::model::fleet::Fleet;
use crate::model::hours::Window;
use crate::model::id::{Channel, Epoch, HostName, PlaybookName, RotationId, SiteName};
use crate::model::image::{Digest, ImageRef, Pins};
use crate::model::marker::Marker;
use crate::model::playbook::Playbook;

/// What a rotation will do, with nothing left to choose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub id: RotationId,
    pub playbook: PlaybookName,
    pub mode: Mode,
    /// Sites of one wave are visited together.
    pub waves: Vec<Vec<SiteName>>,
    /// In which window the visit of a site begins; those without quiet hours are not in here.
    #[serde(default)]
    pub windows: BTreeMap<SiteName, Window>,
    /// What tags named when it was planned.
    pub pins: Pins,
    /// Of sites with a pin of their own: all digests that they are visited with. Every other site
    /// goes by `pins`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub site_pins: BTreeMap<SiteName, Pins>,
    /// The highest epoch label seen on any engine of the fleet.
    pub highest_epoch: Epoch,
    pub options: Options,
    pub actor: String,
    pub reason: Option<String>,
}

/// What kind of rotation it is: they differ in where a visit begins and how it ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// Every site of the playbook, in service.
    Rotate,
    /// One site now, sick or not.
    Rebuild,
    /// Puts one site in as it stands, verified unless `unverified`.
    Restore { unverified: bool },
    /// Brings back what the marker calls out or dirty.
    Recover,
    /// Takes one site out of DNS, and leaves its containers alone.
    Withdraw,
    /// Only changes the marker's list of cordoned sites.
    Cordon { cordoned: bool },
    /// Only takes the marker over.
    TakeOver,
}

/// What a person said beyond the plan. Each is audited.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag that a person sets or not, by itself"
)]
pub struct Options {
    /// Hosts that are not touched; their addresses stay out.
    pub without: BTreeSet<HostName>,
    /// Name servers that are not asked.
    pub without_ns: BTreeSet<SocketAddr>,
    pub below_floor: bool,
    /// A site that was found out of DNS is put in when it is verified.
    pub restore: bool,
    #[serde(default)]
    pub kept: Kept,
    /// Takes over another holder's marker at once.
    pub take_over: bool,
    /// How long to wait for another holder's marker, in seconds.
    pub wait_s: u64,
    /// Said by the schedule.
    #[serde(default)]
    pub deadline: Option<Deadline>,
    /// Sites that the last run of the schedule left for want of time: they come first, the longest
    /// left foremost.
    #[serde(default)]
    pub carried: Vec<SiteName>,
    /// A rotation visits its sites outside their quiet hours too.
    #[serde(default)]
    pub any_hour: bool,
    /// Why there is a freeze that a person set aside.
    #[serde(default)]
    pub in_freeze: Option<String>,
}

/// What a rotation does to the kept services of the sites it visits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kept {
    /// They are not stopped.
    #[default]
    Stay,
    /// They are recreated like all others, this once.
    Recreated,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    pub id: RotationId,
    pub mode: Mode,
    /// `None`: what the playbook says.
    pub sites: Option<Vec<SiteName>>,
    pub options: Options,
    pub actor: String,
    pub reason: Option<String>,
}

/// What was seen of the world before planning.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// When it was seen, or what is planned is to begin.
    pub at: Timestamp,
    pub marker: Option<Marker>,
    /// Of images by their tags, and by the digests that sites are pinned to.
    pub digests: BTreeMap<ImageRef, Result<Digest, Problem>>,
    /// The digests are those that the sites' own hosts have, on a person's word: no pin is asked for.
    pub from_hosts: bool,
    /// The digests that failed before.
    pub barred: Arc<BTreeMap<Digest, Barred>>,
    pub highest_epoch: Epoch,
    pub feet: Feet,
    /// The name servers that gave no answer, with their reasons.
    pub silent: Vec<(SocketAddr, String)>,
}

/// Why there is no plan: every reason, never just the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocked {
    pub reasons: Vec<Problem>,
    /// Whether later may do (a registry that does not answer), or a rule or the configuration
    /// said no.
    pub is_transient: bool,
}

impl Blocked {
    /// Every reason as one.
    pub fn problem(&self) -> Problem {
        let joined = |text: fn(&Problem) -> &str| {
            let texts: Vec<&str> = self.reasons.iter().map(text).collect();
            texts.join("; ")
        };
        Problem {
            what: joined(|reason| &reason.what),
            cure: joined(|reason| &reason.cure),
            is_transient: self.is_transient,
        }
    }
}

/// Settles sites, order, waves, windows and digests. Sites that the marker calls out come first.
///
/// # Errors
/// [`Blocked`] with every reason: an unknown or cordoned site, an image that no registry has, a
/// service that the visit itself stands on.
pub fn plan(
    fleet: &Fleet,
    playbook: &Playbook,
    wish: Wish,
    survey: &Survey,
) -> Result<Plan, Blocked> {
    let mut reasons = Vec::new();
    let sites = sites::chosen(fleet, playbook, &wish, survey, &mut reasons);
    let windows = windows::kept(fleet, playbook, &wish, &sites, survey.at);
    let recreated = sites::recreated(&sites, playbook, &wish.mode, survey);
    let fleet = &wish.options.kept.treat(fleet.clone(), &sites);
    let Settled { pins, site_pins } =
        pins::settle(fleet, &sites, &recreated, &wish, survey, &mut reasons);
    reasons.extend(barred((&pins, &site_pins), &survey.barred));
    let strays = playbook.recreate.strays;
    for site in &recreated {
        for reason in own_feet(fleet, site, &survey.feet, strays) {
            // What is not known of the servers is no other at the next site.
            if !reasons.contains(&reason) {
                reasons.push(reason);
            }
        }
    }
    unknown_hosts(fleet, &sites, &wish.options, &mut reasons);
    if wish.mode == Mode::Rotate {
        reasons.extend(survey.silent.iter().map(silent));
    }
    if !reasons.is_empty() {
        let is_transient = reasons.iter().all(|reason| reason.is_transient);
        return Err(Blocked {
            reasons,
            is_transient,
        });
    }
    Ok(Plan {
        id: wish.id,
        playbook: playbook.name.clone(),
        mode: wish.mode,
        waves: sites::waves(sites, &windows, playbook, survey),
        windows,
        pins,
        site_pins,
        highest_epoch: survey.highest_epoch,
        options: wish.options,
        actor: wish.actor,
        reason: wish.reason,
    })
}

/// Whether such a rotation destroys and recreates containers by itself. A dirty site is recreated
/// in every mode: it returns no other way.
pub fn recreates(playbook: &Playbook, mode: &Mode) -> bool {
    match mode {
        Mode::Rotate | Mode::Rebuild => playbook.recreate.containers,
        Mode::Restore { .. }
        | Mode::Recover
        | Mode::Withdraw
        | Mode::Cordon { .. }
        | Mode::TakeOver => false,
    }
}

impl Kept {
    /// The fleet as it is treated when these sites are visited.
    fn treat<'a>(self, fleet: Fleet, sites: impl IntoIterator<Item = &'a SiteName>) -> Fleet {
        match self {
            Kept::Stay => fleet,
            Kept::Recreated => sites.into_iter().fold(fleet, Fleet::with_kept_lifted),
        }
    }
}

impl Plan {
    /// The fleet as this plan treats it: the coordinator and the adapters of its rotation are made
    /// for this one, whenever it is gone on with.
    pub fn treat(&self, fleet: Fleet) -> Fleet {
        self.options.kept.treat(fleet, self.sites())
    }

    /// What of it does not depend on anything that was seen.
    pub fn outline(&self) -> Outline {
        Outline {
            waves: self.waves.clone(),
            windows: self.windows.clone(),
        }
    }

    /// Every site, in order.
    pub fn sites(&self) -> impl Iterator<Item = &SiteName> {
        self.waves.iter().flatten()
    }

    /// The digests that a site is visited with.
    pub fn pins_for(&self, site: &SiteName) -> &Pins {
        self.site_pins.get(site).unwrap_or(&self.pins)
    }

    /// The same, of what it runs only.
    pub fn pins_of(&self, fleet: &Fleet, site: &SiteName) -> Pins {
        fleet.pins_of(site, self.pins_for(site))
    }

    /// Of the sites with a pin of their own: the digests that are not those of tags.
    pub fn pinned(&self) -> BTreeMap<SiteName, Pins> {
        let is_own =
            |(image, digest): &(&ImageRef, &Digest)| self.pins.get(*image) != Some(*digest);
        let of_site = |(site, pins): (&SiteName, &Pins)| {
            let own = pins.iter().filter(is_own);
            let own: Pins = own
                .map(|(image, digest)| (image.clone(), digest.clone()))
                .collect();
            (!own.is_empty()).then(|| (site.clone(), own))
        };
        self.site_pins.iter().filter_map(of_site).collect()
    }

    /// What the tag of each image named, by the channel of the sites that run it.
    pub fn digests_by_channel(&self, fleet: &Fleet) -> BTreeMap<Channel, Pins> {
        let mut by_channel: BTreeMap<Channel, Pins> = BTreeMap::new();
        let sites = self.sites().filter_map(|name| fleet.sites.get(name));
        for host in sites.flat_map(|site| &site.hosts) {
            let pins = by_channel.entry(host.channel.clone()).or_default();
            let pinned = host
                .images()
                .into_iter()
                .filter_map(|image| self.pins.get(&image).map(|digest| (image, digest.clone())));
            pins.extend(pinned);
        }
        by_channel
    }
}

/// A night that begins beside a dead name server would take its first site out, wait for that
/// server in vain and put the site back. On-call decides for itself (`--without-ns`).
fn silent((server, why): &(SocketAddr, String)) -> Problem {
    Problem {
        what: format!("the name server {server} does not answer: {why}"),
        cure: format!(
            "bring it back, or take it out of the zone's NS records and [dns].nameservers; on-call \
             goes on without it: `cleanslate rebuild SITE --without-ns {} --reason TEXT`",
            server.ip()
        ),
        is_transient: true,
    }
}

fn unknown_hosts(fleet: &Fleet, sites: &[SiteName], options: &Options, reasons: &mut Vec<Problem>) {
    let known: BTreeSet<&HostName> = sites
        .iter()
        .filter_map(|site| fleet.sites.get(site))
        .flat_map(|site| site.hosts.iter().map(|host| &host.name))
        .collect();
    for host in options.without.iter().filter(|host| !known.contains(host)) {
        reasons.push(Problem {
            what: format!("--without {host}: no host of that name is visited"),
            cure: format!("use one of: {}", listed(known.iter().copied())),
            is_transient: false,
        });
    }
    if !known.is_empty() && known.iter().all(|host| options.without.contains(*host)) {
        reasons.push(Problem {
            what: "--without leaves out every host".to_owned(),
            cure: "leave at least one host to rebuild, or take the site out with `withdraw`"
                .to_owned(),
            is_transient: false,
        });
    }
}

fn listed<'a, T: ToString + 'a>(names: impl Iterator<Item = &'a T>) -> String {
    names
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}
