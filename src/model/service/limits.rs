//! What a container may use of its host.
use std::collections::BTreeMap;

/// Bounds on processors, memory, processes and disks; `None`: none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Billionths of a processor.
    pub nano_cpus: Option<u64>,
    /// Relative to others; 1024 is usual.
    pub cpu_shares: Option<u64>,
    /// Microseconds.
    pub cpu_period: Option<u64>,
    /// Microseconds of each period; -1: none.
    pub cpu_quota: Option<i64>,
    /// Microseconds.
    pub cpu_rt_period: Option<u64>,
    /// Microseconds.
    pub cpu_rt_runtime: Option<u64>,
    /// `0-3` or `0,1`.
    pub cpuset: Option<String>,
    /// Bytes.
    pub memory: Option<u64>,
    /// Bytes.
    pub memory_reservation: Option<u64>,
    /// Bytes of memory and swap together; -1: none.
    pub memory_swap: Option<i64>,
    /// 0 to 100.
    pub memory_swappiness: Option<u8>,
    pub oom_kill_disable: Option<bool>,
    /// -1000 to 1000.
    pub oom_score_adj: Option<i16>,
    /// -1: none.
    pub pids: Option<i64>,
    pub blkio: Blkio,
}

/// Shares of, and bounds on, block devices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blkio {
    /// 10 to 1000.
    pub weight: Option<u16>,
    pub weight_device: Vec<BlkioWeight>,
    /// Bytes a second.
    pub read_bps: Vec<BlkioRate>,
    /// Bytes a second.
    pub write_bps: Vec<BlkioRate>,
    /// Operations a second.
    pub read_iops: Vec<BlkioRate>,
    /// Operations a second.
    pub write_iops: Vec<BlkioRate>,
}

/// The share of one device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlkioWeight {
    pub path: String,
    pub weight: u16,
}

/// The bound on one device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlkioRate {
    pub path: String,
    pub rate: u64,
}

/// A device that a runtime brings in: GPUs and their like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceRequest {
    pub driver: Option<String>,
    /// -1: all.
    pub count: Option<i64>,
    pub ids: Vec<String>,
    pub capabilities: Vec<String>,
    pub options: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    pub host: String,
    pub container: String,
    /// Of `rwm`.
    pub permissions: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ulimit {
    pub soft: i64,
    pub hard: i64,
}
