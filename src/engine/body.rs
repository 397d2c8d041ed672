//! The create request: a service's spec in the words of the Docker API, as Docker Compose says it.
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use bollard::models::{
    ContainerCreateBody, DeviceMapping, EndpointIpamConfig, EndpointSettings, HealthConfig,
    HostConfig, HostConfigLogConfig, Mount as WireMount, MountBindOptions,
    MountBindOptionsPropagationEnum as Propagation, MountType, MountVolumeOptions,
    NetworkingConfig, PortBinding, ResourcesUlimits, RestartPolicy, RestartPolicyNameEnum,
};

use super::labels::Labels;
use crate::model::service::{
    Attachment, ContainerSpec, Healthcheck, Mount, MountSource, Port, Protocol, PublishedPort,
    Restart, Service,
};

/// Everything of one container that is settled when it is made and not by its spec alone.
pub(super) struct Blueprint<'a> {
    pub(super) service: &'a Service,
    /// `NAME@DIGEST`.
    pub(super) image: String,
    pub(super) labels: Labels,
    /// Names on the engine of the project's volumes, by key.
    pub(super) volumes: BTreeMap<String, String>,
    pub(super) network: Place,
    /// `--pid`, with a service's container already named by id.
    pub(super) pid: Option<String>,
}

/// Where a container's network interface is at its creation. Further networks are connected
/// afterwards: engines before API 1.44 take one only.
pub(super) enum Place {
    /// `host`, `none`, `bridge` or `container:ID`.
    Mode(String),
    Network {
        id: String,
        endpoint: Box<EndpointSettings>,
    },
}

/// The body of `POST /containers/create`.
pub(super) fn create_body(blueprint: Blueprint<'_>) -> ContainerCreateBody {
    let Blueprint {
        service,
        image,
        labels,
        volumes,
        network: place,
        pid,
    } = blueprint;
    let spec = &service.container;
    let (network_mode, networking_config) = network(place);
    let host_config = HostConfig {
        network_mode: Some(network_mode),
        pid_mode: pid,
        ..host_config(spec, &volumes)
    };
    ContainerCreateBody {
        image: Some(image),
        labels: Some(labels.into_iter().collect()),
        env: some(environment(spec)),
        cmd: spec.command.clone(),
        entrypoint: spec.entrypoint.clone(),
        exposed_ports: some(exposed_ports(spec)),
        healthcheck: spec.healthcheck.as_ref().map(healthcheck),
        user: spec.user.clone(),
        working_dir: spec.working_dir.clone(),
        hostname: spec.hostname.clone(),
        stop_signal: spec.stop_signal.clone(),
        stop_timeout: spec.stop_grace_period.map(seconds),
        host_config: Some(host_config),
        networking_config,
        ..ContainerCreateBody::default()
    }
}

/// A container's endpoint on a network. `names`: its service and its own name, which the engine
/// cannot know while it carries a temporary one.
pub(super) fn endpoint(attachment: &Attachment, names: [&str; 2]) -> EndpointSettings {
    let own = names.into_iter().map(str::to_owned);
    let addresses = (attachment.ipv4_address, attachment.ipv6_address);
    EndpointSettings {
        aliases: Some(own.chain(attachment.aliases.iter().cloned()).collect()),
        ipam_config: (addresses != (None, None)).then(|| EndpointIpamConfig {
            ipv4_address: attachment.ipv4_address.map(|ip| ip.to_string()),
            ipv6_address: attachment.ipv6_address.map(|ip| ip.to_string()),
            link_local_ips: None,
        }),
        ..EndpointSettings::default()
    }
}

fn host_config(spec: &ContainerSpec, volumes: &BTreeMap<String, String>) -> HostConfig {
    HostConfig {
        binds: some(spec.mounts.iter().filter_map(bind).collect()),
        mounts: some(
            spec.mounts
                .iter()
                .filter_map(|one| mount(one, volumes))
                .collect(),
        ),
        tmpfs: some(tmpfs(spec)).map(|all| all.into_iter().collect()),
        port_bindings: some(port_bindings(spec)).map(|all| all.into_iter().collect()),
        restart_policy: Some(restart(spec.restart)),
        extra_hosts: some(extra_hosts(spec)),
        nano_cpus: spec.limits.nano_cpus.map(whole),
        memory: spec.limits.memory.map(whole),
        pids_limit: spec.limits.pids.map(whole),
        cap_add: some(spec.cap_add.clone()),
        cap_drop: some(spec.cap_drop.clone()),
        privileged: Some(spec.is_privileged),
        readonly_rootfs: Some(spec.is_read_only),
        security_opt: some(spec.security_opt.clone()),
        devices: some(devices(spec)),
        ulimits: some(ulimits(spec)),
        sysctls: (!spec.sysctls.is_empty()).then(|| spec.sysctls.clone().into_iter().collect()),
        init: spec.init,
        shm_size: spec.shm_size.map(whole),
        log_config: spec.logging.as_ref().map(|logging| HostConfigLogConfig {
            typ: logging.driver.clone(),
            config: Some(logging.options.clone().into_iter().collect()),
        }),
        ..HostConfig::default()
    }
}

fn network(place: Place) -> (String, Option<NetworkingConfig>) {
    match place {
        Place::Mode(mode) => (mode, None),
        Place::Network { id, endpoint } => {
            let config = NetworkingConfig {
                endpoints_config: Some([(id.clone(), *endpoint)].into_iter().collect()),
            };
            (id, Some(config))
        }
    }
}

/// `KEY` alone unsets what the image sets.
fn environment(spec: &ContainerSpec) -> Vec<String> {
    let one = |(key, value): (&String, &Option<crate::model::text::Secret>)| match value {
        Some(value) => format!("{key}={}", value.reveal_text()),
        None => key.clone(),
    };
    spec.environment.iter().map(one).collect()
}

fn exposed_ports(spec: &ContainerSpec) -> Vec<String> {
    let published = spec.ports.iter().map(|port| (port.target, port.protocol));
    let mut all: Vec<String> = published
        .chain(spec.expose.iter().copied())
        .map(|(port, protocol)| port_key(port, protocol))
        .collect();
    all.sort();
    all.dedup();
    all
}

fn port_bindings(spec: &ContainerSpec) -> BTreeMap<String, Option<Vec<PortBinding>>> {
    let mut all: BTreeMap<String, Option<Vec<PortBinding>>> = BTreeMap::new();
    for port in &spec.ports {
        let key = port_key(port.target, port.protocol);
        all.entry(key)
            .or_default()
            .get_or_insert_default()
            .push(port_binding(port));
    }
    all
}

fn port_binding(port: &Port) -> PortBinding {
    PortBinding {
        host_ip: port.host_ip.as_ref().map(IpAddr::to_string),
        host_port: Some(match port.published {
            None => String::new(),
            Some(PublishedPort::Fixed(port)) => port.to_string(),
            Some(PublishedPort::Range(first, last)) => format!("{first}-{last}"),
        }),
    }
}

/// `80/tcp`.
fn port_key(port: u16, protocol: Protocol) -> String {
    format!("{port}/{}", protocol_name(protocol))
}

/// As the engine writes it.
pub(super) fn protocol_name(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
        Protocol::Sctp => "sctp",
    }
}

/// Host paths that are to be made where they are missing: only the old form of binds does that.
fn bind(mount: &Mount) -> Option<String> {
    let MountSource::Bind {
        path,
        propagation,
        create_host_path: true,
    } = &mount.source
    else {
        return None;
    };
    let mode = if mount.is_read_only { "ro" } else { "rw" };
    let propagation = propagation.iter().map(|mode| format!(",{mode}"));
    Some(format!(
        "{path}:{}:{mode}{}",
        mount.target,
        propagation.collect::<String>()
    ))
}

fn mount(mount: &Mount, volumes: &BTreeMap<String, String>) -> Option<WireMount> {
    let base = WireMount {
        target: Some(mount.target.clone()),
        read_only: Some(mount.is_read_only),
        ..WireMount::default()
    };
    match &mount.source {
        MountSource::Bind {
            create_host_path: true,
            ..
        } => None,
        MountSource::Bind {
            path, propagation, ..
        } => Some(WireMount {
            typ: Some(MountType::BIND),
            source: Some(path.clone()),
            bind_options: propagation.as_deref().map(|mode| MountBindOptions {
                propagation: mode.parse::<Propagation>().ok(),
                ..MountBindOptions::default()
            }),
            ..base
        }),
        MountSource::Volume { key, nocopy } => Some(WireMount {
            typ: Some(MountType::VOLUME),
            source: volumes.get(key).cloned(),
            volume_options: nocopy.then(|| MountVolumeOptions {
                no_copy: Some(true),
                ..MountVolumeOptions::default()
            }),
            ..base
        }),
        MountSource::Anonymous => Some(WireMount {
            typ: Some(MountType::VOLUME),
            ..base
        }),
    }
}

fn tmpfs(spec: &ContainerSpec) -> BTreeMap<String, String> {
    let one = |tmpfs: &crate::model::service::Tmpfs| (tmpfs.target.clone(), tmpfs.options.clone());
    spec.tmpfs.iter().map(one).collect()
}

fn restart(restart: Restart) -> RestartPolicy {
    let (name, most) = match restart {
        Restart::No => (RestartPolicyNameEnum::NO, 0),
        Restart::Always => (RestartPolicyNameEnum::ALWAYS, 0),
        Restart::UnlessStopped => (RestartPolicyNameEnum::UNLESS_STOPPED, 0),
        Restart::OnFailure(most) => (RestartPolicyNameEnum::ON_FAILURE, most),
    };
    RestartPolicy {
        name: Some(name),
        maximum_retry_count: Some(i64::from(most)),
    }
}

fn healthcheck(healthcheck: &Healthcheck) -> HealthConfig {
    HealthConfig {
        test: some(healthcheck.test.clone()),
        interval: healthcheck.interval.map(nanoseconds),
        timeout: healthcheck.timeout.map(nanoseconds),
        start_period: healthcheck.start_period.map(nanoseconds),
        retries: healthcheck.retries.map(i64::from),
        start_interval: None,
    }
}

fn extra_hosts(spec: &ContainerSpec) -> Vec<String> {
    let one = |(host, address): &(String, String)| format!("{host}:{address}");
    spec.extra_hosts.iter().map(one).collect()
}

fn devices(spec: &ContainerSpec) -> Vec<DeviceMapping> {
    let one = |device: &crate::model::service::Device| DeviceMapping {
        path_on_host: Some(device.host.clone()),
        path_in_container: Some(device.container.clone()),
        cgroup_permissions: Some(device.permissions.clone()),
    };
    spec.devices.iter().map(one).collect()
}

fn ulimits(spec: &ContainerSpec) -> Vec<ResourcesUlimits> {
    let one = |(name, limit): (&String, &crate::model::service::Ulimit)| ResourcesUlimits {
        name: Some(name.clone()),
        soft: Some(limit.soft),
        hard: Some(limit.hard),
    };
    spec.ulimits.iter().map(one).collect()
}

fn nanoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// Rounded up: half a second of grace must not become none.
fn seconds(duration: Duration) -> i64 {
    let whole = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    i64::try_from(whole).unwrap_or(i64::MAX)
}

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Nothing where there is nothing to say: the engine's default holds.
fn some<T>(collection: T) -> Option<T>
where
    for<'a> &'a T: IntoIterator,
{
    let is_empty = (&collection).into_iter().next().is_none();
    (!is_empty).then_some(collection)
}
