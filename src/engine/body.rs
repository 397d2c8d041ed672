//! The create request: a service's spec in the words of the Docker API, as Docker Compose says it.
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use bollard::models::{
    ContainerCreateBody, DeviceMapping, DeviceRequest as WireDeviceRequest, EndpointIpamConfig,
    EndpointSettings, HealthConfig, HostConfig, HostConfigLogConfig, Mount as WireMount,
    MountBindOptions, MountBindOptionsPropagationEnum as Propagation, MountType,
    MountVolumeOptions, NetworkingConfig, PortBinding, ResourcesBlkioWeightDevice,
    ResourcesUlimits, RestartPolicy, RestartPolicyNameEnum, ThrottleDevice,
};

use super::labels::Labels;
use crate::model::service::{
    Attachment, BlkioRate, BlkioWeight, ContainerSpec, DeviceRequest, Healthcheck, Limits, Mount,
    MountSource, Port, Protocol, PublishedPort, Restart, Service,
};
use crate::model::text::Secret;

/// Everything of one container that is settled when it is made and not by its spec alone.
pub(super) struct Blueprint<'a> {
    pub(super) service: &'a Service,
    /// `NAME@DIGEST`.
    pub(super) image: String,
    pub(super) labels: Labels,
    /// Names on the engine of the project's volumes, by key.
    pub(super) volumes: BTreeMap<String, String>,
    pub(super) network: Place,
    /// With a service's container already named by id.
    pub(super) pid: Option<String>,
    /// The same.
    pub(super) ipc: Option<String>,
    /// `CONTAINER[:ro]`, a service's container named by id.
    pub(super) volumes_from: Vec<String>,
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
        ipc,
        volumes_from,
    } = blueprint;
    let spec = &service.container;
    let (network_mode, networking_config) = network(place);
    let host_config = HostConfig {
        network_mode: Some(network_mode),
        pid_mode: pid,
        ipc_mode: ipc,
        volumes_from: some(volumes_from),
        ..host_config(spec, &volumes)
    };
    ContainerCreateBody {
        image: Some(image),
        labels: Some(labels.into_iter().collect()),
        env: some(environment(&spec.environment)),
        cmd: spec.command.clone(),
        entrypoint: spec.entrypoint.clone(),
        exposed_ports: some(exposed_ports(spec)),
        healthcheck: spec.healthcheck.as_ref().map(healthcheck),
        user: spec.user.clone(),
        working_dir: spec.working_dir.clone(),
        hostname: spec.hostname.clone(),
        domainname: spec.domainname.clone(),
        tty: spec.has_tty.then_some(true),
        open_stdin: spec.has_stdin.then_some(true),
        stop_signal: spec.stop_signal.clone(),
        stop_timeout: spec.stop_grace_period.map(seconds),
        host_config: Some(host_config),
        networking_config,
        ..ContainerCreateBody::default()
    }
}

/// What a container is called on a network, and whom it knows there.
pub(super) struct Names<'a> {
    /// Its service and its own name, which the engine cannot know while it carries a temporary one.
    pub(super) own: [&'a str; 2],
    /// `NAME:ALIAS`: others, by names that hold for it alone.
    pub(super) links: &'a [String],
    /// Where the network says none.
    pub(super) mac_address: Option<&'a str>,
}

/// A container's endpoint on a network.
pub(super) fn endpoint(attachment: &Attachment, names: &Names<'_>) -> EndpointSettings {
    let own = names.own.into_iter().map(str::to_owned);
    let mac_address = attachment.mac_address.as_deref().or(names.mac_address);
    EndpointSettings {
        aliases: Some(own.chain(attachment.aliases.iter().cloned()).collect()),
        links: some(names.links.to_vec()),
        ipam_config: addresses(attachment),
        mac_address: mac_address.map(str::to_owned),
        driver_opts: text_map(&attachment.driver_opts),
        gw_priority: attachment.gw_priority,
        ..EndpointSettings::default()
    }
}

fn addresses(attachment: &Attachment) -> Option<EndpointIpamConfig> {
    let given = EndpointIpamConfig {
        ipv4_address: attachment.ipv4_address.map(|ip| ip.to_string()),
        ipv6_address: attachment.ipv6_address.map(|ip| ip.to_string()),
        link_local_ips: some(
            attachment
                .link_local_ips
                .iter()
                .map(IpAddr::to_string)
                .collect(),
        ),
    };
    (given != EndpointIpamConfig::default()).then_some(given)
}

/// As whichever map the wire has; nothing where there is nothing to say.
fn text_map<M: FromIterator<(String, String)>>(map: &BTreeMap<String, String>) -> Option<M> {
    (!map.is_empty()).then(|| map.clone().into_iter().collect())
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
        dns: some(spec.dns.servers.iter().map(IpAddr::to_string).collect()),
        dns_search: some(spec.dns.search.clone()),
        dns_options: some(spec.dns.options.clone()),
        cap_add: some(spec.cap_add.clone()),
        cap_drop: some(spec.cap_drop.clone()),
        group_add: some(spec.group_add.clone()),
        privileged: Some(spec.is_privileged),
        readonly_rootfs: Some(spec.is_read_only),
        security_opt: some(spec.security_opt.clone()),
        devices: some(devices(spec)),
        device_cgroup_rules: some(spec.device_cgroup_rules.clone()),
        device_requests: some(spec.device_requests.iter().map(device_request).collect()),
        ulimits: some(ulimits(spec)),
        sysctls: text_map(&spec.sysctls),
        uts_mode: spec.namespaces.uts.clone(),
        userns_mode: spec.namespaces.user.clone(),
        cgroupns_mode: spec
            .namespaces
            .cgroup
            .as_deref()
            .and_then(|mode| mode.parse().ok()),
        cgroup_parent: spec.cgroup_parent.clone(),
        init: spec.init,
        shm_size: spec.shm_size.map(whole),
        runtime: spec.runtime.clone(),
        annotations: text_map(&spec.annotations),
        storage_opt: text_map(&spec.storage_opt),
        log_config: spec.logging.as_ref().map(|logging| HostConfigLogConfig {
            typ: logging.driver.clone(),
            config: Some(logging.options.clone().into_iter().collect()),
        }),
        ..limits(&spec.limits)
    }
}

fn limits(limits: &Limits) -> HostConfig {
    let blkio = &limits.blkio;
    HostConfig {
        nano_cpus: limits.nano_cpus.map(whole),
        cpu_shares: limits.cpu_shares.map(whole),
        cpu_period: limits.cpu_period.map(whole),
        cpu_quota: limits.cpu_quota,
        cpu_realtime_period: limits.cpu_rt_period.map(whole),
        cpu_realtime_runtime: limits.cpu_rt_runtime.map(whole),
        cpuset_cpus: limits.cpuset.clone(),
        memory: limits.memory.map(whole),
        memory_reservation: limits.memory_reservation.map(whole),
        memory_swap: limits.memory_swap,
        memory_swappiness: limits.memory_swappiness.map(i64::from),
        oom_kill_disable: limits.oom_kill_disable,
        oom_score_adj: limits.oom_score_adj.map(i64::from),
        pids_limit: limits.pids,
        blkio_weight: blkio.weight,
        blkio_weight_device: some(blkio.weight_device.iter().map(weight).collect()),
        blkio_device_read_bps: some(blkio.read_bps.iter().map(rate).collect()),
        blkio_device_write_bps: some(blkio.write_bps.iter().map(rate).collect()),
        blkio_device_read_iops: some(blkio.read_iops.iter().map(rate).collect()),
        blkio_device_write_iops: some(blkio.write_iops.iter().map(rate).collect()),
        ..HostConfig::default()
    }
}

fn weight(device: &BlkioWeight) -> ResourcesBlkioWeightDevice {
    ResourcesBlkioWeightDevice {
        path: Some(device.path.clone()),
        weight: Some(usize::from(device.weight)),
    }
}

fn rate(device: &BlkioRate) -> ThrottleDevice {
    ThrottleDevice {
        path: Some(device.path.clone()),
        rate: Some(whole(device.rate)),
    }
}

fn device_request(request: &DeviceRequest) -> WireDeviceRequest {
    WireDeviceRequest {
        driver: request.driver.clone(),
        count: request.count,
        device_ids: some(request.ids.clone()),
        capabilities: Some(vec![request.capabilities.clone()]),
        options: text_map(&request.options),
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
pub(super) fn environment(given: &BTreeMap<String, Option<Secret>>) -> Vec<String> {
    let one = |(key, value): (&String, &Option<Secret>)| match value {
        Some(value) => format!("{key}={}", value.reveal_text()),
        None => key.clone(),
    };
    given.iter().map(one).collect()
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
        create_host_path,
        selinux,
    } = &mount.source
    else {
        return None;
    };
    // Neither is known to the new form.
    if !create_host_path && selinux.is_none() {
        return None;
    }
    let mode = if mount.is_read_only { "ro" } else { "rw" };
    let options = propagation.iter().chain(selinux);
    let options = options.map(|option| format!(",{option}"));
    Some(format!(
        "{path}:{}:{mode}{}",
        mount.target,
        options.collect::<String>()
    ))
}

fn mount(mount: &Mount, volumes: &BTreeMap<String, String>) -> Option<WireMount> {
    let base = WireMount {
        target: Some(mount.target.clone()),
        read_only: Some(mount.is_read_only),
        ..WireMount::default()
    };
    match &mount.source {
        MountSource::Bind { .. } if bind(mount).is_some() => None,
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
        MountSource::Volume {
            key,
            nocopy,
            subpath,
        } => Some(WireMount {
            typ: Some(MountType::VOLUME),
            source: volumes.get(key).cloned(),
            volume_options: (*nocopy || subpath.is_some()).then(|| MountVolumeOptions {
                no_copy: Some(*nocopy),
                subpath: subpath.clone(),
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
        start_interval: healthcheck.start_interval.map(nanoseconds),
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
