//! The primary: BIND, or Knot or PowerDNS in its place, with the same zone and the same rights.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::bind::{Bind, KEY, WEAK_KEY, write_key, write_zone};
use super::children::Children;
use super::net::Net;
use super::program::{command, log_to, mount_disk, run, wait_until};
use crate::lab::spec::{Brand, CORE, LabSpec, PRIMARY, SECONDARY, ZONE};

/// The name server that takes the UPDATEs.
#[derive(Clone, Debug)]
pub struct Primary {
    pub address: Ipv4Addr,
    brand: Brand,
    net: Net,
    lab_dir: PathBuf,
}

impl Primary {
    /// Its machine.
    pub const NAME: &str = "ns1";

    pub fn new(net: &Net, lab_dir: &Path, brand: Brand) -> Self {
        Self {
            address: PRIMARY,
            brand,
            net: net.clone(),
            lab_dir: lab_dir.to_owned(),
        }
    }

    /// The name of its process.
    pub fn program(&self) -> &'static str {
        match self.brand {
            Brand::Bind => "named",
            Brand::Knot => "knotd",
            Brand::PowerDns => "pdns_server",
        }
    }

    /// Its folder: configuration, zone, journal, log.
    pub fn dir(&self) -> PathBuf {
        self.lab_dir.join(Self::NAME)
    }

    /// Writes configuration, zone and keys.
    pub fn write_files(&self, spec: &LabSpec) -> Result<()> {
        let dir = self.dir();
        std::fs::create_dir_all(&dir)
            .with_context(|| format!("failed to make {}", dir.display()))?;
        if let Some(size) = &spec.primary_disk {
            mount_disk(&dir, size)?;
        }
        if self.brand == Brand::Bind {
            return self.bind().write_files(spec, &self.lab_dir);
        }
        let secret = write_key(&self.lab_dir, KEY)?;
        let weak = write_key(&self.lab_dir, WEAK_KEY)?;
        write_zone(spec, &dir)?;
        if self.brand == Brand::Knot {
            let config = knot_config(spec, &dir, &secret, &weak);
            std::fs::write(dir.join("knot.conf"), config).context("failed to write knot.conf")
        } else {
            std::fs::write(dir.join("pdns.conf"), powerdns_config(&dir))
                .context("failed to write pdns.conf")?;
            fill_powerdns(&dir, &secret)
        }
    }

    /// Starts it and waits until it answers for the zone.
    pub fn start(&self, children: &Children) -> Result<()> {
        let dir = self.dir().display().to_string();
        let config = format!("{dir}/knot.conf");
        let folder = format!("--config-dir={dir}");
        let argv = match self.brand {
            Brand::Bind => return self.bind().start(children),
            Brand::Knot => ["setsid", "knotd", "-c", &config].to_vec(),
            Brand::PowerDns => ["setsid", "pdns_server", &folder].to_vec(),
        };
        let argv = self.net.enter(Self::NAME, &argv);
        let mut server = command(&argv.iter().map(String::as_str).collect::<Vec<_>>());
        log_to(&mut server, &self.dir().join("log"))?;
        children.spawn(&mut server)?;
        let what = format!("{:?} answers; see {dir}/log", self.brand);
        wait_until(&what, Duration::from_secs(20), || self.answers())
    }

    fn answers(&self) -> bool {
        let server = format!("@{PRIMARY}");
        let dig = ["dig", "+tcp", "+time=1", "+tries=1", "+short", &server];
        let asked = self
            .net
            .run_in("core", &[&dig[..], &[ZONE, "SOA"]].concat());
        asked.is_ok_and(|said| said.contains("hostmaster"))
    }

    fn bind(&self) -> Bind {
        Bind::primary(&self.net, &self.lab_dir)
    }
}

fn knot_config(spec: &LabSpec, dir: &Path, secret: &str, weak: &str) -> String {
    let names = spec.records.iter().map(|record| record.name.clone());
    let names: Vec<String> = names.collect();
    let markers: Vec<_> = names
        .iter()
        .map(|name| format!("_cleanslate.{name}"))
        .collect();
    let dir = dir.display();
    let rule = |id: &str, types: &str, names: &[String]| {
        let names = names.join(", ");
        format!(
            "  - id: {id}\n    key: {id}\n    action: update\n    update-type: [{types}]\n    \
             update-owner: name\n    update-owner-match: equal\n    update-owner-name: [{names}]\n"
        )
    };
    format!(
        "server:\n  listen: {PRIMARY}@53\n  rundir: {dir}\n  udp-workers: 1\n  tcp-workers: 2\n  \
         background-workers: 1\n\
         log:\n  - target: stderr\n    any: info\n\
         database:\n  storage: {dir}\n\
         key:\n  - id: {KEY}\n    algorithm: hmac-sha256\n    secret: {secret}\n  \
         - id: {WEAK_KEY}\n    algorithm: hmac-sha256\n    secret: {weak}\n\
         remote:\n  - id: ns2\n    address: {SECONDARY}\n\
         acl:\n{}{}  - id: transfer\n    address: [{SECONDARY}, {CORE}]\n    action: transfer\n\
         zone:\n  - domain: {ZONE}\n    acl: [{KEY}, {WEAK_KEY}, transfer]\n    notify: ns2\n    \
         storage: {dir}\n    file: zone.db\n    journal-content: changes\n",
        rule(KEY, "A, AAAA, TXT", &[names.clone(), markers].concat()),
        rule(WEAK_KEY, "A, AAAA", &names),
    )
}

fn powerdns_config(dir: &Path) -> String {
    let dir = dir.display();
    format!(
        "launch=gsqlite3\ngsqlite3-database={dir}/zones\nlocal-address={PRIMARY}\nsocket-dir={dir}\n\
         dnsupdate=yes\nallow-dnsupdate-from=10.53.0.0/16\nallow-axfr-ips={SECONDARY},{CORE}\n\
         daemon=no\nguardian=no\nsetuid=\nsetgid=\nchroot=\nreceiver-threads=1\n\
         distributor-threads=2\n\
         cache-ttl=0\nquery-cache-ttl=0\nnegquery-cache-ttl=0\nzone-cache-refresh-interval=0\n"
    )
}

/// The zone, the key and its right. PowerDNS grants a key the whole zone.
fn fill_powerdns(dir: &Path, secret: &str) -> Result<()> {
    let schema = "/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql";
    ensure!(
        Path::new(schema).exists(),
        "the lab needs {schema} (Debian package pdns-backend-sqlite3)"
    );
    let zone = ZONE.trim_end_matches('.');
    let pdnsutil = "pdnsutil --config-dir=.";
    let script = format!(
        "set -e; cd \"$0\"; sqlite3 zones < {schema}; {pdnsutil} load-zone {zone} zone.db; \
         {pdnsutil} import-tsig-key {KEY} hmac-sha256 '{secret}'; \
         {pdnsutil} set-meta {zone} TSIG-ALLOW-DNSUPDATE {KEY}; \
         {pdnsutil} set-meta {zone} SOA-EDIT-DNSUPDATE INCREASE"
    );
    run(&["sh", "-c", &script, &dir.display().to_string()]).map(drop)
}
