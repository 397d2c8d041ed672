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

/// Three sites of one host, one record, a web service of two replicas.
pub(crate) fn fleet() -> Fleet {
    fleet_of(&["fra", "nyc", "sin"], 1)
}

/// Sites of so many hosts each, with an address a host.
pub(crate) fn fleet_of(names: &[&str], hosts: u8) -> Fleet {
    let record: RecordName = "www.example.com".parse().unwrap();
    let (mut sites, mut addresses) = (BTreeMap::new(), BTreeMap::new());
    for (n, name) in (1_u8..).zip(names) {
        let name: SiteName = name.parse().unwrap();
        let address = |host: u8| IpAddr::from([192, 0, host + 1, n]);
        let host = |number: u8| Host {
            name: format!("{name}{number}").parse().unwrap(),
            engine: EngineAddress::Unix(format!("/{name}{number}.sock").into()),
            channel: "master".parse().unwrap(),
            address: Some(address(number)),
            projects: vec![project("edge", vec![service("web", 2)])],
        };
        let of_site: BTreeSet<IpAddr> = (1..=hosts).map(address).collect();
        addresses.insert(name.clone(), of_site.clone());
        let site = Site {
            name: name.clone(),
            channel: "master".parse().unwrap(),
            in_floor: true,
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
        name: "edge".parse().unwrap(),
        channels: vec!["master".parse().unwrap()],
        dns: dns(BTreeMap::from([(record, policy)])),
        sites,
        probes: Vec::new(),
        measures_traffic: true,
        registries: BTreeMap::new(),
    }
}

fn dns(records: BTreeMap<RecordName, RecordPolicy>) -> Dns {
    Dns {
        server: "10.0.0.53:53".parse().unwrap(),
        zone: "example.com".parse().unwrap(),
        ttl: Ttl(30),
        ttl_was: Ttl(30),
        key: TsigKey {
            name: "cleanslate".parse().unwrap(),
            algorithm: TsigAlgorithm::HmacSha256,
            secret: Secret::from("k"),
        },
        nameservers: None,
        records,
    }
}

pub(crate) fn project(name: &str, services: Vec<Service>) -> Project {
    Project {
        name: name.parse().unwrap(),
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
        name: name.parse().unwrap(),
        image: format!("registry.test:5000/{name}:master").parse().unwrap(),
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
        name: "nightly".parse().unwrap(),
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
