//! What the fleet of a lab is like: services, waits, transports.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::lab::ground::bind::KEY;
use crate::lab::spec::{PRIMARY, REGISTRY};

/// How the fleet of a lab is written down. Change fields, or put whole texts in their place.
#[derive(Clone, Debug)]
pub struct FleetOptions {
    pub services: Vec<Service>,
    pub channels: Vec<String>,
    /// `[fleet] min_in_service`; left to its default when `None`.
    pub min_in_service: Option<u32>,
    pub transport: Transport,
    /// Where site.toml says that the primary is: a proxy's address stands between.
    pub primary: SocketAddr,
    /// Where it says that a host's engine is, for hosts that are not reached at their own address.
    pub engines: BTreeMap<String, SocketAddr>,
    /// The key file that site.toml names; [`KEY`] or [`super::super::ground::bind::WEAK_KEY`].
    pub key: String,
    /// `[traffic] engine = true`; without it a site's traffic is unknown.
    pub meter: bool,
    pub drain_at_least: String,
    pub drain_at_most: String,
    pub soak: String,
    /// More lines at the end of site.toml.
    pub more_site_toml: String,
    /// More keys for every site's table, `KEY = VALUE` lines.
    pub more_in_sites: String,
    /// playbooks/nightly.toml instead of the one made from the fields above.
    pub nightly: Option<String>,
    /// compose.yaml instead of the one made from `services`.
    pub compose: Option<String>,
}

/// How the fleet's engines are reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Unix,
    Tcp,
    /// Both, host by host.
    Mixed,
}

/// A service of the Compose file.
#[derive(Clone, Debug)]
pub struct Service {
    pub name: String,
    pub image: String,
    pub replicas: u32,
    /// Publishes the container's port 80 here.
    pub publish: Option<u16>,
    pub depends_on: Vec<String>,
    /// More keys, each a line of YAML as it stands below the service.
    pub more: Vec<String>,
}

impl Default for FleetOptions {
    /// One published web service that follows its channel, and short waits.
    fn default() -> Self {
        Self {
            services: vec![Service::web("front")],
            channels: vec!["master".to_owned()],
            min_in_service: None,
            transport: Transport::Mixed,
            primary: (PRIMARY, 53).into(),
            engines: BTreeMap::new(),
            key: KEY.to_owned(),
            meter: true,
            drain_at_least: "0s".to_owned(),
            drain_at_most: "20s".to_owned(),
            soak: "2s".to_owned(),
            more_site_toml: String::new(),
            more_in_sites: String::new(),
            nightly: None,
            compose: None,
        }
    }
}

impl FleetOptions {
    /// The primary as `nameservers` lists it: without a port where that is DNS's own.
    pub fn primary_as_name_server(&self) -> String {
        match self.primary.port() {
            53 => self.primary.ip().to_string(),
            _ => self.primary.to_string(),
        }
    }

    /// Six containers a site: a front that users reach, two apps, two workers, one cache.
    pub fn six_containers() -> Self {
        let app = Service {
            replicas: 2,
            publish: None,
            ..Service::web("app")
        };
        let worker = Service::new("worker", &format!("{REGISTRY}/worker:${{CHANNEL}}")).replicas(2);
        let cache = Service::new("cache", &format!("{REGISTRY}/worker:${{CHANNEL}}"));
        let front = Service::web("front").after("app");
        Self {
            services: vec![front, app.after("cache"), worker.after("cache"), cache],
            ..Self::default()
        }
    }
}

impl Service {
    pub fn new(name: &str, image: &str) -> Self {
        Self {
            name: name.to_owned(),
            image: image.to_owned(),
            replicas: 1,
            publish: None,
            depends_on: Vec::new(),
            more: Vec::new(),
        }
    }

    /// The lab's `web` image, from the channel's tag, published on port 80.
    pub fn web(name: &str) -> Self {
        let image = format!("{REGISTRY}/web:${{CHANNEL}}");
        Self {
            publish: Some(80),
            ..Self::new(name, &image)
        }
    }

    pub fn replicas(mut self, count: u32) -> Self {
        self.replicas = count;
        self
    }

    pub fn after(mut self, other: &str) -> Self {
        self.depends_on.push(other.to_owned());
        self
    }

    /// A line of YAML below the service, `"hostname: a"` or `"x-cleanslate: { recreate: keep }"`.
    pub fn with(mut self, line: &str) -> Self {
        self.more.push(line.to_owned());
        self
    }
}
