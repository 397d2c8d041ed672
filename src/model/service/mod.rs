//! What a host runs: Compose projects, resolved for that host. Every variable is filled in, every
//! file read, every name that Compose would derive is derived.
mod limits;
mod neighbours;
mod process;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub use limits::{Blkio, BlkioRate, BlkioWeight, Device, DeviceRequest, Limits, Ulimit};
pub use neighbours::{Attachment, Dns, ExternalLink, Link, NetworkMode, SharedVolumes};
pub use process::{LifecycleHook, Namespaces};

use super::id::{ProjectName, ServiceName};
use super::image::ImageRef;
use super::text::Secret;

/// A Compose project as one host runs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    pub name: ProjectName,
    /// Projects whose containers must all be healthy at the site before these start.
    pub after: BTreeSet<ProjectName>,
    /// In `depends_on` order: a service stands after those it waits for.
    pub services: Vec<Service>,
    /// By the key used in the Compose file.
    pub networks: BTreeMap<String, Network>,
    /// By the key used in the Compose file.
    pub volumes: BTreeMap<String, Volume>,
    /// The Compose files, for Compose's own labels.
    pub config_files: Vec<std::path::PathBuf>,
    pub working_dir: std::path::PathBuf,
}

/// A service: one or more containers of the same spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    pub name: ServiceName,
    pub image: ImageRef,
    /// Whether the reference contains `${CHANNEL}`: promoted and rolled back with the channel.
    pub follows_channel: bool,
    pub keep: Keep,
    /// Baseline scale on this host.
    pub replicas: u32,
    pub depends_on: BTreeMap<ServiceName, Dependency>,
    pub container: ContainerSpec,
}

/// Whether a service is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Every visit recreates it.
    No,
    /// It is never stopped.
    Yes,
    /// It is kept, and a person said that this visit recreates it all the same. What it holds is
    /// guarded as that of a kept service is: it is older than a night.
    Lifted,
}

/// What must hold of another service before this one starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    pub condition: Condition,
    /// `false`: a failure of the other one only warns.
    pub is_required: bool,
    pub restart: bool,
}

/// The conditions of `depends_on`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    Started,
    Healthy,
    CompletedSuccessfully,
}

/// Everything of a container that the Compose file says. A field that is `None` or empty was not
/// given: the image's own value holds.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a key of the Compose file"
)]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerSpec {
    pub container_name: Option<String>,
    pub command: Option<Vec<String>>,
    pub entrypoint: Option<Vec<String>>,
    /// `None`: the variable is unset in the container (Compose's `KEY` with no value anywhere).
    pub environment: BTreeMap<String, Option<Secret>>,
    pub labels: BTreeMap<String, String>,
    pub ports: Vec<Port>,
    pub expose: Vec<(u16, Protocol)>,
    pub mounts: Vec<Mount>,
    pub tmpfs: Vec<Tmpfs>,
    /// File `configs` and `secrets`, copied in.
    pub files: Vec<FileMount>,
    pub network_mode: NetworkMode,
    pub networks: Vec<Attachment>,
    pub healthcheck: Option<Healthcheck>,
    pub restart: Restart,
    pub user: Option<String>,
    pub working_dir: Option<String>,
    pub hostname: Option<String>,
    pub domainname: Option<String>,
    pub extra_hosts: Vec<(String, String)>,
    pub dns: Dns,
    /// Of its first network.
    pub mac_address: Option<String>,
    pub links: Vec<Link>,
    pub external_links: Vec<ExternalLink>,
    pub limits: Limits,
    pub cap_add: Vec<String>,
    pub cap_drop: Vec<String>,
    pub is_privileged: bool,
    pub is_read_only: bool,
    pub security_opt: Vec<String>,
    pub devices: Vec<Device>,
    pub device_cgroup_rules: Vec<String>,
    /// `gpus`, and the devices that `deploy` reserves.
    pub device_requests: Vec<DeviceRequest>,
    /// Names or numbers of groups.
    pub group_add: Vec<String>,
    pub ulimits: BTreeMap<String, Ulimit>,
    pub sysctls: BTreeMap<String, String>,
    pub namespaces: Namespaces,
    pub cgroup_parent: Option<String>,
    pub init: Option<bool>,
    pub has_tty: bool,
    pub has_stdin: bool,
    /// Bytes.
    pub shm_size: Option<u64>,
    pub stop_signal: Option<String>,
    /// Between the stop signal and SIGKILL; Compose's default is 10 s.
    pub stop_grace_period: Option<Duration>,
    pub logging: Option<Logging>,
    pub annotations: BTreeMap<String, String>,
    /// The engine's runtime: `runc`, `runsc`, `nvidia`, …
    pub runtime: Option<String>,
    /// `OS/ARCHITECTURE[/VARIANT]`.
    pub platform: Option<String>,
    pub storage_opt: BTreeMap<String, String>,
    pub volumes_from: Vec<SharedVolumes>,
    /// Run in the container once it was started, in this order; one that fails fails its start.
    pub post_start: Vec<LifecycleHook>,
    /// Run in the container before it is stopped, in this order.
    pub pre_stop: Vec<LifecycleHook>,
    pub pull_policy: PullPolicy,
}

/// A published port, or a range of host ports from which the engine takes one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Port {
    pub host_ip: Option<std::net::IpAddr>,
    /// `None`: the engine picks one.
    pub published: Option<PublishedPort>,
    pub target: u16,
    pub protocol: Protocol,
}

/// The host side of a published port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PublishedPort {
    Fixed(u16),
    Range(u16, u16),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    Tcp,
    Udp,
    Sctp,
}

/// A place in the container where something of the host appears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    pub source: MountSource,
    pub target: String,
    pub is_read_only: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MountSource {
    /// An absolute path of the host.
    Bind {
        path: String,
        propagation: Option<String>,
        create_host_path: bool,
        /// `z` or `Z`: SELinux relabels it.
        selinux: Option<String>,
    },
    /// A volume of the project, by its key.
    Volume {
        key: String,
        nocopy: bool,
        /// A folder of the volume, instead of its root.
        subpath: Option<String>,
    },
    /// A volume without a name.
    Anonymous,
}

/// A file system in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tmpfs {
    pub target: String,
    /// Mount options as the engine takes them (`size=64m,mode=1777`), empty: its defaults.
    pub options: String,
}

/// A file copied into the container before it starts.
#[derive(Clone, PartialEq, Eq)]
pub struct FileMount {
    /// Absolute path in the container.
    pub target: String,
    pub content: Secret,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
}

impl std::fmt::Debug for FileMount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} {:o} {}:{} {:?}",
            self.target, self.mode, self.uid, self.gid, self.content
        )
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Healthcheck {
    /// As the engine takes it: `["NONE"]`, `["CMD", …]`, `["CMD-SHELL", …]`; empty: the image's.
    pub test: Vec<String>,
    pub interval: Option<Duration>,
    pub timeout: Option<Duration>,
    pub start_period: Option<Duration>,
    /// Between checks until the first that passes.
    pub start_interval: Option<Duration>,
    pub retries: Option<u32>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Restart {
    #[default]
    No,
    Always,
    UnlessStopped,
    /// With the most attempts; 0: no bound.
    OnFailure(u32),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logging {
    pub driver: Option<String>,
    pub options: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PullPolicy {
    /// Pulled where the host lacks the pinned digest.
    #[default]
    Missing,
    Always,
    /// Must be on the host already.
    Never,
}

/// A network of a project.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a key of the Compose file"
)]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// Its name on the engine.
    pub name: String,
    pub is_external: bool,
    pub driver: Option<String>,
    pub driver_opts: BTreeMap<String, String>,
    pub labels: BTreeMap<String, String>,
    pub is_internal: bool,
    pub is_attachable: bool,
    pub enable_ipv6: bool,
    /// `None`: as the engine does.
    pub enable_ipv4: Option<bool>,
    pub ipam: Vec<IpamConfig>,
    /// Who hands its addresses out; `None`: the engine's own.
    pub ipam_driver: Option<String>,
    pub ipam_options: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IpamConfig {
    pub subnet: Option<String>,
    pub gateway: Option<String>,
    pub ip_range: Option<String>,
    /// Addresses of the driver's own, by what they are for.
    pub aux_addresses: BTreeMap<String, String>,
}

/// A named volume of a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// Its name on the engine.
    pub name: String,
    pub is_external: bool,
    pub driver: Option<String>,
    pub driver_opts: BTreeMap<String, String>,
    pub labels: BTreeMap<String, String>,
}

impl Project {
    /// The image of every service, kept ones too.
    pub fn images(&self) -> impl Iterator<Item = &ImageRef> {
        self.services.iter().map(|service| &service.image)
    }

    /// The service of that name.
    pub fn service(&self, name: &ServiceName) -> Option<&Service> {
        self.services.iter().find(|service| service.name == *name)
    }

    /// Whether others of the project wait for this service to exit with 0.
    pub fn is_one_shot(&self, service: &ServiceName) -> bool {
        self.services.iter().any(|other| {
            let dependency = other.depends_on.get(service);
            dependency.is_some_and(|on| on.condition == Condition::CompletedSuccessfully)
        })
    }
}

impl Service {
    /// Whether this visit leaves it alone.
    pub fn is_kept(&self) -> bool {
        self.keep == Keep::Yes
    }

    /// The name of replica `number` (from 1), as Docker Compose gives it.
    pub fn container_name(&self, project: &ProjectName, number: u32) -> String {
        match &self.container.container_name {
            Some(name) => name.clone(),
            None => format!("{project}-{}-{number}", self.name),
        }
    }
}
