//! BIND, twice: a primary that takes signed UPDATEs and a secondary that follows it.

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use super::children::Children;
use super::net::Net;
use super::program::{command, length, log_to, wait_for_log};
use crate::lab::spec::{LabSpec, PRIMARY, RecordSpec, SECONDARY, ZONE};

/// One of the two name servers; it runs in the namespace of its name, `ns1` or `ns2`.
#[derive(Clone, Debug)]
pub struct Bind {
    pub name: &'static str,
    pub address: Ipv4Addr,
    net: Net,
    dir: PathBuf,
}

/// The key that may do all that `cleanslate` needs, and nothing else.
pub const KEY: &str = "cleanslate";
/// A key that may change addresses but not the marker.
pub const WEAK_KEY: &str = "addresses-only";

impl Bind {
    pub fn primary(net: &Net, dir: &Path) -> Self {
        Self {
            name: "ns1",
            address: PRIMARY,
            net: net.clone(),
            dir: dir.join("ns1"),
        }
    }

    pub fn secondary(net: &Net, dir: &Path) -> Self {
        Self {
            name: "ns2",
            address: SECONDARY,
            net: net.clone(),
            dir: dir.join("ns2"),
        }
    }

    /// The key file as `nsupdate -k` reads it.
    pub fn key_file(lab_dir: &Path, key: &str) -> PathBuf {
        lab_dir.join(format!("{key}.key"))
    }

    /// Writes configuration, zone and keys. The folder is also where BIND keeps its journal.
    pub fn write_files(&self, spec: &LabSpec, lab_dir: &Path) -> Result<()> {
        std::fs::create_dir_all(&self.dir)
            .with_context(|| format!("failed to make {}", self.dir.display()))?;
        let config = if self.address == PRIMARY {
            write_key(lab_dir, KEY)?;
            write_key(lab_dir, WEAK_KEY)?;
            write_zone(spec, &self.dir)?;
            primary_config(spec, &self.dir, lab_dir)
        } else {
            secondary_config(&self.dir)
        };
        std::fs::write(self.dir.join("named.conf"), config).context("failed to write named.conf")
    }

    /// Starts it and waits until it answers for the zone.
    pub fn start(&self, children: &Children) -> Result<()> {
        let log = self.dir.join("named.log");
        let from = length(&log);
        let config = self.dir.join("named.conf").display().to_string();
        // One worker: the machine has two cores, and everything else runs on them as well.
        let argv = ["setsid", "named", "-f", "-n", "1", "-c", &config];
        let argv = self.net.enter(self.name, &argv);
        let mut named = command(&argv.iter().map(String::as_str).collect::<Vec<_>>());
        log_to(&mut named, &log)?;
        children.spawn(&mut named)?;
        wait_for_log(&log, from, " running\n", Duration::from_secs(15))
            .with_context(|| format!("failed to start BIND as {}", self.name))
    }

    /// Waits until the secondary has the zone.
    pub fn wait_transferred(&self) -> Result<()> {
        let log = self.dir.join("named.log");
        wait_for_log(&log, 0, "transferred serial", Duration::from_secs(15))
            .context("the secondary did not get the zone from the primary")
    }
}

/// The zone file, in the format that all servers read.
pub(super) fn write_zone(spec: &LabSpec, dir: &Path) -> Result<()> {
    std::fs::write(dir.join("zone.db"), zone_text(spec)).context("failed to write the zone")
}

/// The zone as it starts: NS, the sites' addresses, whatever the spec adds. No marker.
fn zone_text(spec: &LabSpec) -> String {
    let mut zone = format!(
        "$TTL 60\n\
         @ IN SOA ns1.{ZONE} hostmaster.{ZONE} ( 1 {} 2 86400 1 )\n\
         @ IN NS ns1\n@ IN NS ns2\nns1 IN A {PRIMARY}\nns2 IN A {SECONDARY}\n",
        spec.refresh()
    );
    let members = |record: &RecordSpec| {
        let sites = spec.sites.iter().filter(|site| record.has(&site.name));
        sites.map(|site| site.name.clone()).collect::<Vec<_>>()
    };
    for record in spec.records.iter().filter(|_| spec.in_service) {
        for address in members(record).iter().flat_map(|site| spec.addresses(site)) {
            let kind = if address.is_ipv4() { "A" } else { "AAAA" };
            push_line(
                &mut zone,
                &format!("{} {} IN {kind} {address}", record.name, spec.ttl),
            );
        }
    }
    spec.zone_lines
        .iter()
        .for_each(|line| push_line(&mut zone, line));
    zone
}

fn primary_config(spec: &LabSpec, dir: &Path, lab_dir: &Path) -> String {
    let mut grants = String::new();
    for record in &spec.records {
        let name = &record.name;
        push_line(
            &mut grants,
            &format!("    grant {KEY}. name {name} A AAAA;"),
        );
        push_line(
            &mut grants,
            &format!("    grant {KEY}. name _cleanslate.{name} TXT;"),
        );
        push_line(
            &mut grants,
            &format!("    grant {WEAK_KEY}. name {name} A AAAA;"),
        );
    }
    format!(
        "{}\ninclude \"{}\";\ninclude \"{}\";\n\
         zone \"{ZONE}\" {{\n  type primary;\n  file \"zone.db\";\n  notify explicit;\n  \
         also-notify {{ {SECONDARY}; }};\n  allow-transfer {{ {SECONDARY}; {}; }};\n  \
         notify-delay {};\n  update-policy {{\n{grants}  }};\n}};\n",
        options(dir, PRIMARY),
        Bind::key_file(lab_dir, KEY).display(),
        Bind::key_file(lab_dir, WEAK_KEY).display(),
        crate::lab::spec::CORE,
        spec.notify_delay,
    )
}

fn secondary_config(dir: &Path) -> String {
    format!(
        "{}\nzone \"{ZONE}\" {{\n  type secondary;\n  file \"zone.db\";\n  \
         masterfile-format text;\n  primaries {{ {PRIMARY}; }};\n  notify no;\n  \
         allow-transfer {{ none; }};\n  min-refresh-time 1;\n  min-retry-time 1;\n}};\n",
        options(dir, SECONDARY)
    )
}

fn options(dir: &Path, address: Ipv4Addr) -> String {
    format!(
        "options {{\n  directory \"{}\";\n  pid-file none;\n  session-keyfile none;\n  \
         listen-on {{ {address}; }};\n  listen-on-v6 {{ none; }};\n  query-source address {address};\n  \
         transfer-source {address};\n  notify-source {address};\n  recursion no;\n  \
         empty-zones-enable no;\n  dnssec-validation no;\n  allow-query {{ any; }};\n  \
         notify-rate 1000;\n  startup-notify-rate 1000;\n  serial-query-rate 1000;\n}};\n\
         controls {{ }};\n\
         logging {{ channel out {{ stderr; severity info; print-time iso8601; }}; \
         category default {{ out; }}; }};\n",
        dir.display()
    )
}

/// A fresh secret for every lab, in BIND's own format; kept over restarts of the primary. Returns
/// the secret as configuration files have it.
pub(super) fn write_key(lab_dir: &Path, key: &str) -> Result<String> {
    let mut secret = [0u8; 32];
    getrandom::fill(&mut secret).context("failed to get random bytes")?;
    let secret = data_encoding::BASE64.encode(&secret);
    let text =
        format!("key \"{key}.\" {{\n\talgorithm hmac-sha256;\n\tsecret \"{secret}\";\n}};\n");
    let path = Bind::key_file(lab_dir, key);
    std::fs::write(&path, text).with_context(|| format!("failed to write {}", path.display()))?;
    Ok(secret)
}

fn push_line(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("writing into a String cannot fail");
}
