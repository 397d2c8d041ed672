//! A container, field by field.
use super::canon::Canon;
use crate::model::service::{ContainerSpec, Link, Logging, Tmpfs, Ulimit};

impl Canon {
    pub(super) fn container(&mut self, spec: &ContainerSpec) {
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
}
