//! The create request: a service's spec in the words of the Docker API, as Docker Compose says it.
mod limits;
mod mounts;
mod networks;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use bollard::models::{
    ContainerCreateBody, EndpointSettings, HealthConfig, HostConfig, HostConfigLogConfig,
    RestartPolicy, RestartPolicyNameEnum,
};

use super::labels::Labels;
use crate::model::service::{ContainerSpec, Healthcheck, Restart, Service};
use crate::model::text::Secret;
use limits::{device_request, devices, limits, ulimits};
use mounts::{bind, mount, tmpfs};
pub(super) use networks::{Names, endpoint, protocol_name};
use networks::{exposed_ports, network, port_bindings};

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

/// `KEY` alone unsets what the image sets.
pub(super) fn environment(given: &BTreeMap<String, Option<Secret>>) -> Vec<String> {
    let one = |(key, value): (&String, &Option<Secret>)| match value {
        Some(value) => format!("{key}={}", value.reveal_text()),
        None => key.clone(),
    };
    given.iter().map(one).collect()
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
