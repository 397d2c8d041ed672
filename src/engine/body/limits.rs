//! How much of its host a container may use, and which devices.
use bollard::models::{
    DeviceMapping, DeviceRequest as WireDeviceRequest, HostConfig, ResourcesBlkioWeightDevice,
    ResourcesUlimits, ThrottleDevice,
};

use super::{some, text_map, whole};
use crate::model::service::{BlkioRate, BlkioWeight, ContainerSpec, DeviceRequest, Limits};

pub(super) fn limits(limits: &Limits) -> HostConfig {
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

pub(super) fn device_request(request: &DeviceRequest) -> WireDeviceRequest {
    WireDeviceRequest {
        driver: request.driver.clone(),
        count: request.count,
        device_ids: some(request.ids.clone()),
        capabilities: Some(vec![request.capabilities.clone()]),
        options: text_map(&request.options),
    }
}

pub(super) fn devices(spec: &ContainerSpec) -> Vec<DeviceMapping> {
    let one = |device: &crate::model::service::Device| DeviceMapping {
        path_on_host: Some(device.host.clone()),
        path_in_container: Some(device.container.clone()),
        cgroup_permissions: Some(device.permissions.clone()),
    };
    spec.devices.iter().map(one).collect()
}

pub(super) fn ulimits(spec: &ContainerSpec) -> Vec<ResourcesUlimits> {
    let one = |(name, limit): (&String, &crate::model::service::Ulimit)| ResourcesUlimits {
        name: Some(name.clone()),
        soft: Some(limit.soft),
        hard: Some(limit.hard),
    };
    spec.ulimits.iter().map(one).collect()
}
