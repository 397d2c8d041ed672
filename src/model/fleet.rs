//! The fleet: every site, record, probe and policy of one `site.toml`, validated.
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;

use super::hook::{Gate, Hook, On};
use super::hours::QuietHours;
use super::id::{Channel, FleetName, HostName, ProjectName, SiteName};
use super::image::{ImageRef, Pins};
use super::notice::Severity;
use super::pin::SitePin;
use super::playbook::Playbook;
use super::release::Terms;
use super::rrset::{Family, RecordName, RrKey};
use super::service::{Keep, Project};
use super::template::Template;
use super::text::Secret;
use super::time::Ttl;

/// Everything one `site.toml` and its Compose files declare.
#[derive(Clone, Debug, PartialEq)]
pub struct Fleet {
    pub name: FleetName,
    /// In order of promotion.
    pub channels: Vec<Channel>,
    pub dns: Dns,
    pub sites: BTreeMap<SiteName, Site>,
    pub probes: Vec<Probe>,
    /// `false`: traffic is unknown everywhere.
    pub measures_traffic: bool,
    pub registries: BTreeMap<String, Registry>,
    pub freezes: Vec<Freeze>,
    pub notifies: Vec<Notify>,
    /// In the order in which they are asked.
    pub hooks: Vec<Hook>,
    pub release: Terms,
    /// `None`: no traces are sent.
    pub traces: Option<Traces>,
    /// `None`: the coordinator answers on its control socket only.
    pub api: Option<Listen>,
    /// Channels that are not named: they are reported.
    pub on_push: BTreeMap<Channel, OnPush>,
}

/// Days on which nothing runs by itself, and a person's rotation only with their word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Freeze {
    /// The first of the days, in the time of the schedule that would run.
    pub from: Date,
    /// The last of them.
    pub until: Date,
    pub reason: String,
}

impl Freeze {
    /// Whether it holds on that day.
    pub fn holds(&self, day: Date) -> bool {
        (self.from..=self.until).contains(&day)
    }
}

/// What follows when an image that a channel's sites run is pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnPush {
    /// People are told.
    Report,
    /// And the sites of the channel are rebuilt.
    Rebuild,
}

/// Where the coordinator answers over the network.
#[derive(Clone, Debug, PartialEq)]
pub struct Listen {
    pub address: SocketAddr,
    /// `None`: in the clear, to this machine only.
    pub tls: Option<ListenTls>,
}

/// Who the coordinator proves to be.
#[derive(Clone, Debug, PartialEq)]
pub struct ListenTls {
    /// PEM, those that signed it too.
    pub cert: Vec<u8>,
    /// PEM.
    pub key: Secret,
}

/// Who is told what happens.
#[derive(Clone, Debug, PartialEq)]
pub struct Notify {
    pub name: String,
    /// Whoever knows it can write there.
    pub url: Secret,
    pub format: NotifyFormat,
    /// Signs what is said.
    pub key: Option<Secret>,
    /// Nothing that matters less is said.
    pub from: Severity,
    /// What is about another site is not said; `None`: about all.
    pub sites: Option<BTreeSet<SiteName>>,
    /// The same, by the channel that a site follows.
    pub channels: Option<BTreeSet<Channel>>,
    /// A wait that lasts longer is told, once.
    pub waiting: Duration,
    /// `None`: the usual words.
    pub template: Option<Template>,
    /// Whether it is told where the audit ends, for safekeeping.
    pub audit: bool,
}

/// Where rotations are sent as traces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traces {
    /// The URL of a collector that speaks OTLP over HTTP.
    pub otlp: String,
}

/// How a message is written, and to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotifyFormat {
    /// The whole message, for programs.
    Json,
    /// An incoming webhook: each message for itself.
    Slack,
    /// Slack's `chat.postMessage`, by a bot: one thread a rotation.
    SlackApi { token: Secret, channel: String },
}

impl Notify {
    /// Whether something so severe is said of these channels.
    pub fn wants_of(&self, severity: Severity, of: &BTreeSet<Channel>) -> bool {
        let channels = self.channels.as_ref();
        severity >= self.from && channels.is_none_or(|channels| !channels.is_disjoint(of))
    }

    /// Whether something so severe is said; `about`: the site it is about and its channel, or the
    /// rotation as a whole, which is said to all.
    pub fn wants(&self, severity: Severity, about: Option<(&SiteName, &Channel)>) -> bool {
        let is_theirs = about.is_none_or(|(site, channel)| {
            self.sites.as_ref().is_none_or(|sites| sites.contains(site))
                && self
                    .channels
                    .as_ref()
                    .is_none_or(|channels| channels.contains(channel))
        });
        severity >= self.from && is_theirs
    }
}

/// One zone, one primary, one view.
#[derive(Clone, Debug, PartialEq)]
pub struct Dns {
    pub server: SocketAddr,
    pub zone: RecordName,
    pub ttl: Ttl,
    /// The largest TTL that may have been served during the last day.
    pub ttl_was: Ttl,
    pub key: TsigKey,
    /// All servers that must agree; `None`: the zone's NS records.
    pub nameservers: Option<Vec<SocketAddr>>,
    /// Every record of the fleet.
    pub records: BTreeMap<RecordName, RecordPolicy>,
}

/// A record: which addresses each site gives it, and how many others must remain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordPolicy {
    pub addresses: BTreeMap<SiteName, BTreeSet<IpAddr>>,
    /// As configured; [`Fleet::floor`] says what holds for one RRset.
    pub min_in_service: Option<u32>,
}

/// A TSIG key (RFC 8945).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TsigKey {
    pub name: RecordName,
    pub algorithm: TsigAlgorithm,
    /// Decoded.
    pub secret: Secret,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TsigAlgorithm {
    HmacSha256,
    HmacSha384,
    HmacSha512,
}

/// A datacenter that serves traffic.
#[derive(Clone, Debug, PartialEq)]
pub struct Site {
    pub name: SiteName,
    pub channel: Channel,
    /// Whether it counts for floors.
    pub in_floor: bool,
    /// When its visits begin; `None`: at any hour.
    pub quiet: Option<QuietHours>,
    /// What it runs instead of what tags name, for a while.
    pub pin: Option<SitePin>,
    /// What DNS carries for it where a record says nothing else.
    pub addresses: BTreeSet<IpAddr>,
    pub hosts: Vec<Host>,
}

/// A machine of a site with a container engine.
#[derive(Clone, Debug, PartialEq)]
pub struct Host {
    pub name: HostName,
    pub engine: EngineAddress,
    pub channel: Channel,
    /// The site's address that leaves with this host.
    pub address: Option<IpAddr>,
    /// Resolved for this host, in the order in which they start.
    pub projects: Vec<Project>,
}

/// Where an engine answers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EngineAddress {
    Unix(PathBuf),
    Tcp(SocketAddr),
}

impl std::fmt::Display for EngineAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            EngineAddress::Unix(path) => write!(f, "unix://{}", path.display()),
            EngineAddress::Tcp(address) => write!(f, "tcp://{address}"),
        }
    }
}

/// What healthy means: a site answers when every address passes every probe.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    pub name: String,
    pub target: ProbeTarget,
    /// One try.
    pub timeout: Duration,
    /// In a row, after a rebuild.
    pub passes: u32,
    /// And in this time.
    pub within: Duration,
    /// `None`: every site.
    pub sites: Option<BTreeSet<SiteName>>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum ProbeTarget {
    Http {
        /// With `{address}` and `{record}` still in it; one that holds `{record}` is asked for
        /// each record of the site.
        url: String,
        /// Host header and SNI; `None`: the record at hand, else the fleet's first.
        host: Option<String>,
        expect: u16,
        body: Option<String>,
        /// PEM file of a private authority.
        ca: Option<PathBuf>,
    },
    Tcp {
        /// `{address}:PORT`.
        address: String,
    },
}

/// How a registry is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registry {
    pub credentials: Option<(String, Secret)>,
    /// Plain HTTP.
    pub is_insecure: bool,
}

impl Fleet {
    /// The freeze that holds for a playbook at a moment, in the playbook's own time.
    pub fn freeze(&self, playbook: &Playbook, at: Timestamp) -> Option<&Freeze> {
        let day = playbook.zone().to_datetime(at).date();
        self.freezes.iter().find(|freeze| freeze.holds(day))
    }

    /// The hooks that have a word on `site` at a gate, in their order.
    pub fn gate(&self, gate: Gate, site: &SiteName) -> impl Iterator<Item = &Hook> {
        let is_there = move |hook: &&Hook| matches!(hook.on, On::Gate(theirs, _) if theirs == gate);
        let site = site.clone();
        self.hooks
            .iter()
            .filter(is_there)
            .filter(move |hook| hook.is_about(Some(&site)))
    }

    /// The addresses that `site` gives the RRset `key`; empty where it has none.
    pub fn addresses_of(&self, site: &SiteName, key: &RrKey) -> BTreeSet<IpAddr> {
        self.addresses(site, key).collect()
    }

    /// The same, one by one.
    pub fn addresses(&self, site: &SiteName, key: &RrKey) -> impl Iterator<Item = IpAddr> {
        let record = self.dns.records.get(&key.name);
        let addresses = record.and_then(|record| record.addresses.get(site));
        let family = key.family;
        let all = addresses.into_iter().flatten().copied();
        all.filter(move |address| Family::of(*address) == family)
    }

    /// Whether `site` has an address in the RRset `key`.
    fn has_part_in(&self, site: &SiteName, key: &RrKey) -> bool {
        self.addresses(site, key).next().is_some()
    }

    /// Every RRset that the fleet may touch, those that no site has an address for too: each is
    /// stated in every UPDATE, present or absent.
    pub fn rrsets(&self) -> impl Iterator<Item = RrKey> {
        self.dns.records.keys().flat_map(|name| {
            Family::BOTH.map(|family| RrKey {
                name: name.clone(),
                family,
            })
        })
    }

    /// The RRsets for which `site` has an address.
    pub fn rrsets_of(&self, site: &SiteName) -> Vec<RrKey> {
        self.rrsets()
            .filter(|key| self.has_part_in(site, key))
            .collect()
    }

    /// Every address of a site, over all records.
    pub fn all_addresses(&self, site: &SiteName) -> BTreeSet<IpAddr> {
        self.rrsets_of(site)
            .iter()
            .flat_map(|key| self.addresses(site, key))
            .collect()
    }

    /// The sites that count for the floor of `key`.
    pub fn members(&self, key: &RrKey) -> BTreeSet<SiteName> {
        self.counted(key).cloned().collect()
    }

    fn counted(&self, key: &RrKey) -> impl Iterator<Item = &SiteName> {
        let counts = |site: &&Site| site.in_floor && self.has_part_in(&site.name, key);
        let sites = self.sites.values().filter(counts);
        sites.map(|site| &site.name)
    }

    /// How many other members must be in `key` and answer when a site leaves it:
    /// `min_in_service`, or members − 1 where that is less.
    pub fn floor(&self, key: &RrKey) -> u32 {
        let members = u32::try_from(self.counted(key).count()).unwrap_or(u32::MAX);
        let most = members.saturating_sub(1);
        let configured = self
            .dns
            .records
            .get(&key.name)
            .and_then(|record| record.min_in_service);
        configured.map_or(most, |configured| configured.min(most))
    }

    /// Every project that some host of the site runs.
    pub fn projects_of(&self, site: &SiteName) -> BTreeSet<ProjectName> {
        let hosts = self
            .sites
            .get(site)
            .into_iter()
            .flat_map(|site| &site.hosts);
        hosts
            .flat_map(|host| &host.projects)
            .map(|project| project.name.clone())
            .collect()
    }

    /// Those of these digests that are of images that the site runs.
    pub fn pins_of(&self, site: &SiteName, pins: &Pins) -> Pins {
        let site = self.sites.get(site).into_iter();
        let images = site.flat_map(|site| &site.hosts).flat_map(Host::images);
        let pinned = images.filter_map(|image| Some((image.clone(), pins.get(&image)?.clone())));
        pinned.collect()
    }

    /// Every image of every site, once.
    pub fn images(&self) -> BTreeSet<ImageRef> {
        let hosts = self.sites.values().flat_map(|site| &site.hosts);
        let projects = hosts.flat_map(|host| &host.projects);
        projects
            .flat_map(|project| project.images().cloned())
            .collect()
    }

    /// This fleet for one visit that recreates the kept services of `site` too.
    #[must_use]
    pub fn with_kept_lifted(mut self, site: &SiteName) -> Fleet {
        let hosts = self.sites.get_mut(site).into_iter();
        let projects = hosts
            .flat_map(|site| &mut site.hosts)
            .flat_map(|host| &mut host.projects);
        for service in projects.flat_map(|project| &mut project.services) {
            if service.keep == Keep::Yes {
                service.keep = Keep::Lifted;
            }
        }
        self
    }

    /// The probes of one site.
    pub fn probes_of(&self, site: &SiteName) -> impl Iterator<Item = &Probe> {
        let site = site.clone();
        self.probes.iter().filter(move |probe| {
            probe
                .sites
                .as_ref()
                .is_none_or(|sites| sites.contains(&site))
        })
    }
}

impl Site {
    /// The host of that name.
    pub fn host(&self, name: &HostName) -> Option<&Host> {
        self.hosts.iter().find(|host| host.name == *name)
    }
}

impl Host {
    /// The images of what a visit makes anew on this host, once.
    pub fn remade_images(&self) -> BTreeSet<ImageRef> {
        let services = self.projects.iter().flat_map(|project| &project.services);
        let remade = services.filter(|service| !service.is_kept());
        remade.map(|service| service.image.clone()).collect()
    }

    /// Every image this host runs, once.
    pub fn images(&self) -> BTreeSet<ImageRef> {
        self.projects
            .iter()
            .flat_map(|project| project.images().cloned())
            .collect()
    }
}
