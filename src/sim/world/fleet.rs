//! The fleets and playbooks that the world plays with.
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use crate::model::fleet::{
    Dns, EngineAddress, Fleet, Host, RecordPolicy, Site, TsigAlgorithm, TsigKey,
};
use crate::model::id::SiteName;
use crate::model::playbook::*;
use crate::model::rrset::RecordName;
use crate::model::service::{ContainerSpec, Keep, Project, Service};
use crate::model::text::Secret;
use crate::model::time::Ttl;

/// Sites of so many hosts each, with an address a host.
pub(crate) fn fleet_of(names: &[&str], hosts: u8) -> Fleet {
    let record: RecordName = "www.example.com".parse().expect("a name");
    let (mut sites, mut addresses) = (BTreeMap::new(), BTreeMap::new());
    for (n, name) in (1_u8..).zip(names) {
        let name: SiteName = name.parse().expect("a name");
        let address = |host: u8| IpAddr::from([192, 0, host + 1, n]);
        let host = |number: u8| Host {
            name: format!("{name}{number}").parse().expect("a name"),
            engine: EngineAddress::Unix(format!("/{name}{number}.sock").into()),
            channel: "master".parse().expect("a name"),
            address: Some(address(number)),
            projects: vec![project("edge", vec![service("web", 2)])],
        };
        let of_site: BTreeSet<IpAddr> = (1..=hosts).map(address).collect();
        addresses.insert(name.clone(), of_site.clone());
        let site = Site {
            name: name.clone(),
            channel: "master".parse().expect("a name"),
            in_floor: true,
            quiet: None,
            pin: None,
            addresses: of_site,
            hosts: (1..=hosts).map(host).collect(),
        };
        sites.insert(name, site);
    }
    let policy = RecordPolicy {
        addresses,
        min_in_service: None,
    };
    Fleet {
        name: "edge".parse().expect("a name"),
        channels: vec!["master".parse().expect("a name")],
        dns: dns(BTreeMap::from([(record, policy)])),
        sites,
        probes: Vec::new(),
        measures_traffic: true,
        freezes: Vec::new(),
        release: crate::model::release::Terms::default(),
        notifies: Vec::new(),
        hooks: Vec::new(),
        traces: None,
        api: None,
        on_push: BTreeMap::new(),
        registries: BTreeMap::new(),
    }
}

fn dns(records: BTreeMap<RecordName, RecordPolicy>) -> Dns {
    Dns {
        server: "10.0.0.53:53".parse().expect("a name"),
        zone: "example.com".parse().expect("a name"),
        ttl: Ttl(30),
        ttl_was: Ttl(30),
        key: TsigKey {
            name: "cleanslate".parse().expect("a name"),
            algorithm: TsigAlgorithm::HmacSha256,
            secret: Secret::from("k"),
        },
        nameservers: None,
        records,
    }
}

pub(crate) fn project(name: &str, services: Vec<Service>) -> Project {
    Project {
        name: name.parse().expect("a name"),
        after: BTreeSet::new(),
        services,
        networks: BTreeMap::new(),
        volumes: BTreeMap::new(),
        config_files: Vec::new(),
        working_dir: "/".into(),
    }
}

pub(crate) fn service(name: &str, replicas: u32) -> Service {
    Service {
        name: name.parse().expect("a name"),
        image: format!("registry.test:5000/{name}:master")
            .parse()
            .expect("a name"),
        follows_channel: true,
        keep: Keep::No,
        replicas,
        depends_on: BTreeMap::new(),
        container: ContainerSpec::default(),
    }
}

pub(crate) fn playbook() -> Playbook {
    let s = Duration::from_secs;
    Playbook {
        name: "nightly".parse().expect("a name"),
        description: String::new(),
        sites: None,
        max_unavailable: 1,
        recreate: Recreate {
            containers: true,
            volumes: Volumes::Keep,
            anonymous: Anonymous::Refuse,
            strays: Strays::Report,
            before: None,
            logs: 0,
        },
        schedule: None,
        drain: Drain {
            at_least: s(0),
            at_most: s(300),
            quiet: Quiet {
                below: 10.0,
                share: 0.05,
                for_at_least: s(10),
            },
            then: StillBusy::PutBack,
        },
        verify: Verify::default(),
        soak: Soak {
            for_at_least: s(60),
            traffic_within: s(120),
        },
        failure: Failure {
            preflight: Preflight::Skip,
            then: FailureThen::Quarantine,
        },
    }
}
