//! Networks, and what a container is on them.
use super::canon::Canon;
use crate::model::service::{
    Attachment, Dns, ExternalLink, IpamConfig, Network, NetworkMode, Port, Protocol, PublishedPort,
};

impl Canon {
    pub(super) fn network_mode(&mut self, mode: &NetworkMode) {
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

    pub(super) fn attachment(&mut self, attachment: &Attachment) {
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

    pub(super) fn network(&mut self, network: &Network) {
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

    pub(super) fn dns(&mut self, dns: &Dns) {
        let Dns {
            servers,
            search,
            options,
        } = dns;
        self.given_list("dns", servers, |canon, server| canon.shown(server));
        self.given_list("dns_search", search, |canon, text| canon.text(text));
        self.given_list("dns_opt", options, |canon, text| canon.text(text));
    }

    pub(super) fn external_link(&mut self, link: &ExternalLink) {
        let ExternalLink { container, alias } = link;
        self.text(container);
        self.text(alias);
    }

    pub(super) fn port(&mut self, port: &Port) {
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

    pub(super) fn protocol(&mut self, protocol: Protocol) {
        self.0.push(match protocol {
            Protocol::Tcp => 1,
            Protocol::Udp => 2,
            Protocol::Sctp => 3,
        });
    }
}
