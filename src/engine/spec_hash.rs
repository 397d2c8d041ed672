//! The value of `cleanslate.spec`: one hash of everything a container or a network is made from,
//! except the image's digest.
//!
//! Every struct is taken apart field by field, so a new field does not compile until somebody
//! says whether it belongs in here. Each value is preceded by its length, so no two specs can run
//! into the same bytes.
use std::collections::BTreeMap;
use std::time::Duration;

use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest as _, Sha256};

use crate::model::service::{
    Attachment, Blkio, BlkioRate, BlkioWeight, ContainerSpec, Device, DeviceRequest, Dns,
    ExternalLink, FileMount, Healthcheck, IpamConfig, LifecycleHook, Limits, Link, Logging, Mount,
    MountSource, Namespaces, Network, NetworkMode, Port, Project, Protocol, PublishedPort, Restart,
    Service, SharedVolumes, Tmpfs, Ulimit, Volume,
};

/// The spec of a service's containers, keyed: the values of its secrets are part of it, and a
/// label that anybody may read must not let them be guessed.
pub(super) fn of_service(key: &[u8; 32], project: &Project, service: &Service) -> String {
    let mut canon = Canon::default();
    canon.text(project.name.as_str());
    canon.text(service.name.as_str());
    canon.text(&service.image.to_string());
    canon.container(&service.container);
    for attachment in &service.container.networks {
        if let Some(network) = project.networks.get(&attachment.network) {
            canon.network(network);
        }
    }
    for mount in &service.container.mounts {
        if let MountSource::Volume { key, .. } = &mount.source
            && let Some(volume) = project.volumes.get(key)
        {
            canon.volume(volume);
        }
    }
    // A key of 32 bytes is always accepted; HMAC takes keys of any length.
    let mut mac =
        <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(&canon.0);
    HEXLOWER.encode(&mac.finalize().into_bytes())
}

/// The definition of a network. Not keyed: it holds no secret, and a store that was lost must not
/// make every network look changed.
pub(super) fn of_network(network: &Network) -> String {
    let mut canon = Canon::default();
    canon.network(network);
    HEXLOWER.encode(&Sha256::digest(&canon.0))
}

/// Bytes that are the same for equal values, and for these only.
#[derive(Default)]
struct Canon(Vec<u8>);

impl Canon {
    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn number(&mut self, number: u64) {
        self.0.extend_from_slice(&number.to_be_bytes());
    }

    fn flag(&mut self, flag: bool) {
        self.0.push(u8::from(flag));
    }

    fn option<T>(&mut self, option: Option<T>, write: impl FnOnce(&mut Canon, T)) {
        self.flag(option.is_some());
        if let Some(value) = option {
            write(self, value);
        }
    }

    fn list<T>(&mut self, items: &[T], mut write: impl FnMut(&mut Canon, &T)) {
        self.number(items.len() as u64);
        for item in items {
            write(self, item);
        }
    }

    fn texts(&mut self, texts: &[String]) {
        self.list(texts, |canon, text| canon.text(text));
    }

    fn map<V>(&mut self, map: &BTreeMap<String, V>, mut write: impl FnMut(&mut Canon, &V)) {
        self.number(map.len() as u64);
        for (key, value) in map {
            self.text(key);
            write(self, value);
        }
    }

    fn text_map(&mut self, map: &BTreeMap<String, String>) {
        self.map(map, |canon, value| canon.text(value));
    }

    fn duration(&mut self, duration: Duration) {
        self.number(duration.as_secs());
        self.number(u64::from(duration.subsec_nanos()));
    }

    fn shown(&mut self, value: impl std::fmt::Display) {
        self.text(&value.to_string());
    }

    fn container(&mut self, spec: &ContainerSpec) {
        let ContainerSpec {
            container_name,
            command,
            entrypoint,
            environment,
            labels,
            ports,
            expose,
            mounts,
            tmpfs,
            files,
            network_mode,
            networks,
            healthcheck,
            restart,
            user,
            working_dir,
            hostname,
            domainname,
            extra_hosts,
            dns,
            mac_address,
            links,
            external_links,
            limits,
            cap_add,
            cap_drop,
            is_privileged,
            is_read_only,
            security_opt,
            devices,
            device_cgroup_rules,
            device_requests,
            group_add,
            ulimits,
            sysctls,
            namespaces,
            cgroup_parent,
            init,
            has_tty,
            has_stdin,
            shm_size,
            stop_signal,
            stop_grace_period,
            logging,
            annotations,
            runtime,
            platform,
            storage_opt,
            volumes_from,
            post_start,
            // They are run by who stops it, from the declaration of that day.
            pre_stop: _,
            // How the image comes to the host is nothing of the container.
            pull_policy: _,
        } = spec;
        self.option(container_name.as_deref(), Canon::text);
        self.option(command.as_deref(), Canon::texts);
        self.option(entrypoint.as_deref(), Canon::texts);
        self.map(environment, |canon, value| {
            canon.option(value.as_ref(), |canon, value| canon.bytes(value.reveal()));
        });
        self.text_map(labels);
        self.list(ports, Canon::port);
        self.list(expose, |canon, (port, protocol)| {
            canon.number(u64::from(*port));
            canon.protocol(*protocol);
        });
        self.list(mounts, Canon::mount);
        self.list(tmpfs, |canon, Tmpfs { target, options }| {
            canon.text(target);
            canon.text(options);
        });
        self.list(files, Canon::file);
        self.network_mode(network_mode);
        self.list(networks, Canon::attachment);
        self.option(healthcheck.as_ref(), Canon::healthcheck);
        self.restart(*restart);
        self.option(user.as_deref(), Canon::text);
        self.option(working_dir.as_deref(), Canon::text);
        self.option(hostname.as_deref(), Canon::text);
        self.list(extra_hosts, |canon, (host, address)| {
            canon.text(host);
            canon.text(address);
        });
        self.limits(limits);
        self.texts(cap_add);
        self.texts(cap_drop);
        self.flag(*is_privileged);
        self.flag(*is_read_only);
        self.texts(security_opt);
        self.list(devices, Canon::device);
        self.map(ulimits, |canon, Ulimit { soft, hard }| {
            canon.shown(soft);
            canon.shown(hard);
        });
        self.text_map(sysctls);
        self.option(namespaces.pid.as_deref(), Canon::text);
        self.option(*init, Canon::flag);
        self.option(*shm_size, Canon::number);
        self.option(stop_signal.as_deref(), Canon::text);
        self.option(*stop_grace_period, Canon::duration);
        self.option(logging.as_ref(), |canon, Logging { driver, options }| {
            canon.option(driver.as_deref(), Canon::text);
            canon.text_map(options);
        });
        // Keys that came later are part of it where they are given: what was made before them
        // keeps its hash.
        self.given("domainname", domainname.as_ref(), |canon, text| {
            canon.text(text)
        });
        self.dns(dns);
        self.given("mac_address", mac_address.as_ref(), |canon, text| {
            canon.text(text)
        });
        self.given_list("links", links, |canon, Link { to, alias }| {
            canon.text(to.as_str());
            canon.text(alias);
        });
        self.given_list("external_links", external_links, Canon::external_link);
        self.given_list("device_cgroup_rules", device_cgroup_rules, |canon, rule| {
            canon.text(rule);
        });
        self.given_list("device_requests", device_requests, Canon::device_request);
        self.given_list("group_add", group_add, |canon, group| canon.text(group));
        self.namespaces(namespaces);
        let texts = [
            ("cgroup_parent", cgroup_parent),
            ("runtime", runtime),
            ("platform", platform),
        ];
        for (name, text) in texts {
            self.given(name, text.as_ref(), |canon, text| canon.text(text));
        }
        for (name, flag) in [("tty", has_tty), ("stdin_open", has_stdin)] {
            self.given(name, flag.then_some(()), |_, ()| ());
        }
        for (name, map) in [("annotations", annotations), ("storage_opt", storage_opt)] {
            self.given(name, (!map.is_empty()).then_some(map), Canon::text_map);
        }
        self.given_list("volumes_from", volumes_from, Canon::shared_volumes);
        self.given_list("post_start", post_start, Canon::hook);
    }

    /// A value of a key that may be absent, under its name: with a byte before it that no name of a
    /// network, a service or a path holds.
    fn given<T>(&mut self, name: &str, value: Option<T>, write: impl FnOnce(&mut Canon, T)) {
        if let Some(value) = value {
            self.text(&format!("\0{name}"));
            write(self, value);
        }
    }

    fn given_list<T>(&mut self, name: &str, items: &[T], write: impl FnMut(&mut Canon, &T)) {
        let some = (!items.is_empty()).then_some(items);
        self.given(name, some, |canon, items| canon.list(items, write));
    }

    fn dns(&mut self, dns: &Dns) {
        let Dns {
            servers,
            search,
            options,
        } = dns;
        self.given_list("dns", servers, |canon, server| canon.shown(server));
        self.given_list("dns_search", search, |canon, text| canon.text(text));
        self.given_list("dns_opt", options, |canon, text| canon.text(text));
    }

    fn external_link(&mut self, link: &ExternalLink) {
        let ExternalLink { container, alias } = link;
        self.text(container);
        self.text(alias);
    }

    fn device_request(&mut self, request: &DeviceRequest) {
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

    fn namespaces(&mut self, namespaces: &Namespaces) {
        let Namespaces {
            // Written where it always was.
            pid: _,
            ipc,
            uts,
            user,
            cgroup,
        } = namespaces;
        let all = [
            ("ipc", ipc),
            ("uts", uts),
            ("user", user),
            ("cgroup", cgroup),
        ];
        for (name, namespace) in all {
            self.given(name, namespace.as_ref(), |canon, text| canon.text(text));
        }
    }

    fn shared_volumes(&mut self, shared: &SharedVolumes) {
        match shared {
            SharedVolumes::OfService {
                service,
                is_read_only,
            } => {
                self.text("service");
                self.text(service.as_str());
                self.flag(*is_read_only);
            }
            SharedVolumes::OfContainer {
                container,
                is_read_only,
            } => {
                self.text("container");
                self.text(container);
                self.flag(*is_read_only);
            }
        }
    }

    fn hook(&mut self, hook: &LifecycleHook) {
        let LifecycleHook {
            command,
            user,
            is_privileged,
            working_dir,
            environment,
        } = hook;
        self.texts(command);
        self.option(user.as_deref(), Canon::text);
        self.flag(*is_privileged);
        self.option(working_dir.as_deref(), Canon::text);
        self.map(environment, |canon, value| {
            canon.option(value.as_ref(), |canon, value| canon.bytes(value.reveal()));
        });
    }

    fn port(&mut self, port: &Port) {
        let Port {
            host_ip,
            published,
            target,
            protocol,
        } = port;
        self.option(host_ip.as_ref(), |canon, ip| canon.shown(ip));
        self.option(published.as_ref(), |canon, published| match published {
            PublishedPort::Fixed(port) => canon.shown(port),
            PublishedPort::Range(first, last) => canon.shown(format_args!("{first}-{last}")),
        });
        self.number(u64::from(*target));
        self.protocol(*protocol);
    }

    fn protocol(&mut self, protocol: Protocol) {
        self.0.push(match protocol {
            Protocol::Tcp => 1,
            Protocol::Udp => 2,
            Protocol::Sctp => 3,
        });
    }

    fn mount(&mut self, mount: &Mount) {
        let Mount {
            source,
            target,
            is_read_only,
        } = mount;
        match source {
            MountSource::Bind {
                path,
                propagation,
                create_host_path,
                selinux,
            } => {
                self.text("bind");
                self.text(path);
                self.option(propagation.as_deref(), Canon::text);
                self.flag(*create_host_path);
                self.given("selinux", selinux.as_ref(), |canon, text| canon.text(text));
            }
            MountSource::Volume {
                key,
                nocopy,
                subpath,
            } => {
                self.text("volume");
                self.text(key);
                self.flag(*nocopy);
                self.given("subpath", subpath.as_ref(), |canon, text| canon.text(text));
            }
            MountSource::Anonymous => self.text("anonymous"),
        }
        self.text(target);
        self.flag(*is_read_only);
    }

    fn file(&mut self, file: &FileMount) {
        let FileMount {
            target,
            content,
            mode,
            uid,
            gid,
        } = file;
        self.text(target);
        self.bytes(content.reveal());
        for number in [mode, uid, gid] {
            self.number(u64::from(*number));
        }
    }

    fn network_mode(&mut self, mode: &NetworkMode) {
        match mode {
            NetworkMode::Project => self.text("project"),
            NetworkMode::Host => self.text("host"),
            NetworkMode::None => self.text("none"),
            NetworkMode::Bridge => self.text("bridge"),
            NetworkMode::Service(service) => {
                self.text("service");
                self.text(service.as_str());
            }
            NetworkMode::Container(name) => {
                self.text("container");
                self.text(name);
            }
        }
    }

    fn attachment(&mut self, attachment: &Attachment) {
        let Attachment {
            network,
            aliases,
            ipv4_address,
            ipv6_address,
            link_local_ips,
            mac_address,
            driver_opts,
            gw_priority,
        } = attachment;
        self.text(network);
        self.texts(aliases);
        self.option(ipv4_address.as_ref(), |canon, ip| canon.shown(ip));
        self.option(ipv6_address.as_ref(), |canon, ip| canon.shown(ip));
        self.given_list("link_local_ips", link_local_ips, |canon, ip| {
            canon.shown(ip)
        });
        self.given("mac_address", mac_address.as_ref(), |canon, text| {
            canon.text(text)
        });
        let options = (!driver_opts.is_empty()).then_some(driver_opts);
        self.given("driver_opts", options, Canon::text_map);
        self.given("gw_priority", gw_priority.as_ref(), |canon, one| {
            canon.shown(one)
        });
    }

    fn healthcheck(&mut self, healthcheck: &Healthcheck) {
        let Healthcheck {
            test,
            interval,
            timeout,
            start_period,
            start_interval,
            retries,
        } = healthcheck;
        self.texts(test);
        for duration in [interval, timeout, start_period] {
            self.option(*duration, Canon::duration);
        }
        self.option(retries.as_ref(), |canon, retries| canon.shown(retries));
        self.given("start_interval", *start_interval, Canon::duration);
    }

    fn restart(&mut self, restart: Restart) {
        match restart {
            Restart::No => self.text("no"),
            Restart::Always => self.text("always"),
            Restart::UnlessStopped => self.text("unless-stopped"),
            Restart::OnFailure(most) => self.shown(format_args!("on-failure:{most}")),
        }
    }

    fn limits(&mut self, limits: &Limits) {
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

    fn blkio(&mut self, blkio: &Blkio) {
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

    fn device(&mut self, device: &Device) {
        let Device {
            host,
            container,
            permissions,
        } = device;
        for text in [host, container, permissions] {
            self.text(text);
        }
    }

    fn network(&mut self, network: &Network) {
        let Network {
            name,
            is_external,
            driver,
            driver_opts,
            labels,
            is_internal,
            is_attachable,
            enable_ipv6,
            enable_ipv4,
            ipam,
            ipam_driver,
            ipam_options,
        } = network;
        self.text(name);
        self.flag(*is_external);
        self.option(driver.as_deref(), Canon::text);
        self.text_map(driver_opts);
        self.text_map(labels);
        self.flag(*is_internal);
        self.flag(*is_attachable);
        self.flag(*enable_ipv6);
        self.list(ipam, |canon, range| {
            let IpamConfig {
                subnet,
                gateway,
                ip_range,
                aux_addresses,
            } = range;
            for text in [subnet, gateway, ip_range] {
                canon.option(text.as_deref(), Canon::text);
            }
            let aux = (!aux_addresses.is_empty()).then_some(aux_addresses);
            canon.given("aux_addresses", aux, Canon::text_map);
        });
        self.given("enable_ipv4", *enable_ipv4, Canon::flag);
        self.given("ipam_driver", ipam_driver.as_ref(), |canon, text| {
            canon.text(text)
        });
        let options = (!ipam_options.is_empty()).then_some(ipam_options);
        self.given("ipam_options", options, Canon::text_map);
    }

    fn volume(&mut self, volume: &Volume) {
        let Volume {
            name,
            is_external,
            driver,
            driver_opts,
            labels,
        } = volume;
        self.text(name);
        self.flag(*is_external);
        self.option(driver.as_deref(), Canon::text);
        self.text_map(driver_opts);
        self.text_map(labels);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::tests::fixture::{bare_network, project, service};
    use crate::model::text::Secret;

    const KEY: [u8; 32] = [7; 32];

    fn hash(change: impl FnOnce(&mut ContainerSpec)) -> String {
        let mut service = service("web", "r.example.com/web:v1");
        change(&mut service.container);
        of_service(&KEY, &project("shop", vec![]), &service)
    }

    #[test]
    fn equal_specs_hash_alike_and_different_ones_do_not() {
        let plain = hash(|_| ());
        assert_eq!(plain, hash(|_| ()));
        let secret = |value: &str| {
            let value = Secret::from(value);
            hash(|spec| {
                spec.environment.insert("PASSWORD".to_owned(), Some(value));
            })
        };
        assert_ne!(secret("a"), secret("b"));
        let unset = hash(|spec| {
            spec.environment.insert("PASSWORD".to_owned(), None);
        });
        assert_ne!(secret(""), unset);
        let moved = |command: &[&str], user: Option<&str>| {
            hash(|spec| {
                spec.command = Some(command.iter().map(|word| (*word).to_owned()).collect());
                spec.user = user.map(str::to_owned);
            })
        };
        assert_ne!(moved(&["ab", "c"], None), moved(&["a", "bc"], None));
        assert_ne!(moved(&["a"], Some("b")), moved(&["a", "b"], None));
    }

    /// An upgrade must not make every kept service look changed.
    #[test]
    fn what_was_made_by_earlier_versions_keeps_its_hash() {
        assert_eq!(
            hash(|_| ()),
            "b9416ee4f95e95a0155296ed4568ae8bdb7c8d091fc2a0d1450e0bb888adca55"
        );
        let full = hash(|spec| {
            spec.command = Some(vec!["run".to_owned()]);
            let value = Some(Secret::from("b"));
            spec.environment.insert("A".to_owned(), value);
            spec.namespaces.pid = Some("host".to_owned());
            spec.limits.memory = Some(64);
            spec.limits.pids = Some(100);
            spec.mounts.push(Mount {
                source: MountSource::Volume {
                    key: "data".to_owned(),
                    nocopy: true,
                    subpath: None,
                },
                target: "/d".to_owned(),
                is_read_only: true,
            });
            spec.healthcheck = Some(Healthcheck {
                test: vec!["NONE".to_owned()],
                interval: None,
                timeout: None,
                start_period: None,
                start_interval: None,
                retries: Some(3),
            });
        });
        assert_eq!(
            full,
            "6cf54f3cec9770ed25eff612604c9483a833633e2a68f379808756b9753a0f29"
        );
        let network = Network {
            is_internal: true,
            ipam: vec![IpamConfig {
                subnet: Some("10.0.0.0/24".to_owned()),
                ..IpamConfig::default()
            }],
            ..bare_network("n")
        };
        assert_eq!(
            of_network(&network),
            "a7c91970f04b76bf1b880d59a72afa1d36519dc6f9c5a22b5d11c1451781cdcd"
        );
    }

    #[test]
    fn another_key_gives_another_hash() {
        let service = service("web", "r.example.com/web:v1");
        let project = project("shop", vec![]);
        assert_ne!(
            of_service(&KEY, &project, &service),
            of_service(&[8; 32], &project, &service)
        );
    }

    #[test]
    fn how_an_image_is_pulled_is_no_part_of_the_spec() {
        let pulled = hash(|spec| spec.pull_policy = crate::model::service::PullPolicy::Always);
        assert_eq!(pulled, hash(|_| ()));
    }
}
