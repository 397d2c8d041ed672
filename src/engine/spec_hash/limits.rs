//! How much of its host a container may use, and which devices.
use super::canon::Canon;
use crate::model::service::{Blkio, BlkioRate, BlkioWeight, Device, DeviceRequest, Limits};

impl Canon {
    pub(super) fn limits(&mut self, limits: &Limits) {
        let Limits {
            nano_cpus,
            cpu_shares,
            cpu_period,
            cpu_quota,
            cpu_rt_period,
            cpu_rt_runtime,
            cpuset,
            memory,
            memory_reservation,
            memory_swap,
            memory_swappiness,
            oom_kill_disable,
            oom_score_adj,
            pids,
            blkio,
        } = limits;
        self.option(*nano_cpus, Canon::number);
        self.option(*memory, Canon::number);
        self.option(*pids, |canon, pids| canon.number(pids.cast_unsigned()));
        let numbers = [
            ("cpu_shares", cpu_shares),
            ("cpu_period", cpu_period),
            ("cpu_rt_period", cpu_rt_period),
            ("cpu_rt_runtime", cpu_rt_runtime),
            ("memory_reservation", memory_reservation),
        ];
        for (name, number) in numbers {
            self.given(name, *number, Canon::number);
        }
        self.given("cpu_quota", cpu_quota.as_ref(), |canon, one| {
            canon.shown(one)
        });
        self.given("cpuset", cpuset.as_ref(), |canon, text| canon.text(text));
        self.given("memory_swap", memory_swap.as_ref(), |canon, one| {
            canon.shown(one)
        });
        let swappiness = memory_swappiness.as_ref();
        self.given("memory_swappiness", swappiness, |canon, one| {
            canon.shown(one)
        });
        self.given("oom_kill_disable", *oom_kill_disable, Canon::flag);
        self.given("oom_score_adj", oom_score_adj.as_ref(), |canon, one| {
            canon.shown(one)
        });
        self.blkio(blkio);
    }

    pub(super) fn blkio(&mut self, blkio: &Blkio) {
        let Blkio {
            weight,
            weight_device,
            read_bps,
            write_bps,
            read_iops,
            write_iops,
        } = blkio;
        self.given("blkio_weight", weight.as_ref(), |canon, one| {
            canon.shown(one)
        });
        self.given_list("weight_device", weight_device, |canon, one| {
            let BlkioWeight { path, weight } = one;
            canon.text(path);
            canon.shown(weight);
        });
        let rates = [
            ("read_bps", read_bps),
            ("write_bps", write_bps),
            ("read_iops", read_iops),
            ("write_iops", write_iops),
        ];
        for (name, rates) in rates {
            self.given_list(name, rates, |canon, BlkioRate { path, rate }| {
                canon.text(path);
                canon.number(*rate);
            });
        }
    }

    pub(super) fn device(&mut self, device: &Device) {
        let Device {
            host,
            container,
            permissions,
        } = device;
        for text in [host, container, permissions] {
            self.text(text);
        }
    }

    pub(super) fn device_request(&mut self, request: &DeviceRequest) {
        let DeviceRequest {
            driver,
            count,
            ids,
            capabilities,
            options,
        } = request;
        self.option(driver.as_deref(), Canon::text);
        self.option(count.as_ref(), |canon, count| canon.shown(count));
        self.texts(ids);
        self.texts(capabilities);
        self.text_map(options);
    }
}
