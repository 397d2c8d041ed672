//! What a lab looks like: sites, hosts, records, and how quickly its DNS follows.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

/// The zone that every lab serves.
pub const ZONE: &str = "example.com.";
/// The record that every site is in unless the spec says otherwise.
pub const RECORD: &str = "www.example.com.";
/// Where users, the watcher and `cleanslate` live.
pub const CORE: Ipv4Addr = Ipv4Addr::new(10, 53, 0, 1);
/// The registry, as image references name it.
pub const REGISTRY: &str = "10.53.0.5:5000";
/// The BIND that takes the UPDATEs.
pub const PRIMARY: Ipv4Addr = Ipv4Addr::new(10, 53, 0, 53);
/// The BIND that follows it by NOTIFY and IXFR.
pub const SECONDARY: Ipv4Addr = Ipv4Addr::new(10, 53, 0, 54);

/// A lab to be laid. [`LabSpec::default`] is three sites of one host each, all in service.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LabSpec {
    pub sites: Vec<SiteSpec>,
    pub records: Vec<RecordSpec>,
    /// What the primary is; the secondary is always BIND.
    #[serde(default)]
    pub primary: Brand,
    /// Size of a disk of its own for the primary (`"4m"`), for tests that fill it.
    #[serde(default)]
    pub primary_disk: Option<String>,
    /// TTL of the records and of the marker, in seconds.
    pub ttl: u32,
    /// BIND's `notify-delay`, in seconds; BIND's own default is 5.
    pub notify_delay: u32,
    /// How often the secondary asks by itself, in seconds: the way back for one that lost a NOTIFY.
    pub soa_refresh: u32,
    /// Whether the sites are in the records when the lab comes up.
    pub in_service: bool,
    /// More lines for the zone file, in its own format.
    pub zone_lines: Vec<String>,
    /// Machines `ops1`, `ops2`, … to run `cleanslate` on, each of which can be cut off alone.
    pub desks: u8,
}

/// The name servers that a primary can be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Brand {
    #[default]
    Bind,
    Knot,
    /// Sends no NOTIFY: a zone of kind *native*, of which the secondary asks every second.
    PowerDns,
}

/// One site: `hosts` machines with an engine each, named `<site>1`, `<site>2`, …
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SiteSpec {
    pub name: String,
    pub hosts: usize,
    /// Hosts have an IPv6 address as well, and the records an AAAA of it.
    pub dual_stack: bool,
    /// Size of a disk of its own for each engine (`"300m"`), for tests that fill it.
    pub disk: Option<String>,
}

/// A name in the zone with the addresses of `sites` (all when `None`).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RecordSpec {
    pub name: String,
    pub sites: Option<Vec<String>>,
}

/// A host as the spec lays it out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPlan {
    pub site: String,
    pub name: String,
    pub v4: Ipv4Addr,
    pub v6: Option<Ipv6Addr>,
    pub disk: Option<String>,
}

impl Default for LabSpec {
    fn default() -> Self {
        Self::sites(&["fra", "nyc", "sin"])
    }
}

impl LabSpec {
    /// Sites of one IPv4 host each, all in `www.example.com.` with a TTL of 2 s.
    pub fn sites(names: &[&str]) -> Self {
        Self {
            sites: names.iter().map(|name| SiteSpec::new(name)).collect(),
            records: vec![RecordSpec {
                name: RECORD.to_owned(),
                sites: None,
            }],
            primary: Brand::Bind,
            primary_disk: None,
            ttl: 2,
            notify_delay: 0,
            soa_refresh: 60,
            in_service: true,
            zone_lines: Vec::new(),
            desks: 0,
        }
    }

    pub fn primary(mut self, brand: Brand) -> Self {
        self.primary = brand;
        self
    }

    /// How often the secondary asks by itself, in seconds.
    pub fn refresh(&self) -> u32 {
        match self.primary {
            Brand::Bind | Brand::Knot => self.soa_refresh,
            Brand::PowerDns => 1,
        }
    }

    pub fn ttl(mut self, seconds: u32) -> Self {
        self.ttl = seconds;
        self
    }

    pub fn notify_delay(mut self, seconds: u32) -> Self {
        self.notify_delay = seconds;
        self
    }

    /// Every site gets `count` hosts.
    pub fn hosts_each(mut self, count: usize) -> Self {
        self.sites.iter_mut().for_each(|site| site.hosts = count);
        self
    }

    /// Every site gets IPv6 addresses as well.
    pub fn dual_stack(mut self) -> Self {
        self.sites
            .iter_mut()
            .for_each(|site| site.dual_stack = true);
        self
    }

    /// Every engine gets a disk of its own of this size (`"300m"`).
    pub fn disk(mut self, size: &str) -> Self {
        self.sites
            .iter_mut()
            .for_each(|site| site.disk = Some(size.to_owned()));
        self
    }

    /// One more record, of these sites only.
    pub fn record(mut self, name: &str, sites: &[&str]) -> Self {
        let sites = Some(sites.iter().map(ToString::to_string).collect());
        self.records.push(RecordSpec {
            name: name.to_owned(),
            sites,
        });
        self
    }

    /// So many machines for coordinators, `ops1`, `ops2`, …, at 10.53.0.11 and on.
    pub fn desks(mut self, count: u8) -> Self {
        self.desks = count;
        self
    }

    /// No site is in DNS when the lab comes up, as in a new fleet.
    pub fn out_of_service(mut self) -> Self {
        self.in_service = false;
        self
    }

    /// Every host with its addresses: site *i*, host *j* is 10.53.*i*.*j* and fd53::*i*:*j*.
    pub fn hosts(&self) -> Vec<HostPlan> {
        let mut plans = Vec::new();
        for (i, site) in (1u8..).zip(&self.sites) {
            for j in 1..=u8::try_from(site.hosts).expect("a site of fewer than 256 hosts") {
                let v6 = Ipv6Addr::new(0xfd53, 0, 0, 0, 0, 0, u16::from(i), u16::from(j));
                plans.push(HostPlan {
                    site: site.name.clone(),
                    name: format!("{}{j}", site.name),
                    v4: Ipv4Addr::new(10, 53, i, j),
                    v6: site.dual_stack.then_some(v6),
                    disk: site.disk.clone(),
                });
            }
        }
        plans
    }

    /// The addresses of a site, IPv4 before IPv6.
    pub fn addresses(&self, site: &str) -> Vec<IpAddr> {
        let hosts: Vec<_> = self
            .hosts()
            .into_iter()
            .filter(|host| host.site == site)
            .collect();
        let v4 = hosts.iter().map(|host| IpAddr::V4(host.v4));
        let v6 = hosts.iter().filter_map(|host| host.v6.map(IpAddr::V6));
        v4.chain(v6).collect()
    }

    /// The site that has this address.
    pub fn site_of(&self, address: IpAddr) -> Option<String> {
        let of = |host: &HostPlan| host.v4 == address || host.v6.is_some_and(|v6| v6 == address);
        self.hosts().into_iter().find(of).map(|host| host.site)
    }
}

impl SiteSpec {
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            hosts: 1,
            dual_stack: false,
            disk: None,
        }
    }
}

impl RecordSpec {
    /// Whether the site's addresses belong into this record.
    pub fn has(&self, site: &str) -> bool {
        self.sites
            .as_ref()
            .is_none_or(|sites| sites.iter().any(|name| name == site))
    }
}
