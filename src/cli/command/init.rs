//! `init`: a first configuration; what is there already is left as it is.
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::Args;

use super::super::desk::Desk;
use super::super::exit::Exit;
use super::super::failure::{Failure, Outcome};
use crate::config::example::{EXAMPLE_COMPOSE, EXAMPLE_SITE};
use crate::dns::{Discovered, discover};
use crate::model::rrset::{Family, RecordName, RrSet};

/// Writes a first site.toml and compose.yaml; overwrites nothing
///
/// With --server and --record, zone, TTL, addresses and name servers are read from DNS. A Compose
/// file that is there already is adopted.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  cleanslate init
  cleanslate init --server 10.0.0.53 --record www.example.com")]
pub(crate) struct Init {
    /// The DNS primary
    #[arg(long, value_name = "ADDRESS", value_parser = server, requires = "record")]
    server: Option<SocketAddr>,
    /// A record whose addresses are the sites'
    #[arg(long, value_name = "NAME", requires = "server")]
    record: Option<RecordName>,
}

/// What Docker Compose looks for, in its order.
const COMPOSE_FILES: [&str; 4] = [
    "compose.yaml",
    "compose.yml",
    "docker-compose.yml",
    "docker-compose.yaml",
];

pub(crate) async fn run(desk: &Desk, args: &Init) -> Outcome {
    let site_file = &desk.global.config;
    let folder = site_file.parent().unwrap_or(Path::new("")).to_owned();
    let there = COMPOSE_FILES.iter().find(|name| folder.join(name).exists());
    let compose = there.copied().unwrap_or("compose.yaml");
    let text = match (&args.server, &args.record) {
        (Some(server), Some(record)) => {
            let found = discover(*server, record)
                .await
                .map_err(Failure::unchanged)?;
            discovered(*server, record, &found, compose)
        }
        _ => adopted(compose),
    };
    let mut written = Vec::new();
    if write_new(site_file, &text)? {
        written.push(site_file.clone());
    }
    let compose_file = folder.join(compose);
    if there.is_none() && write_new(&compose_file, EXAMPLE_COMPOSE)? {
        written.push(compose_file);
    }
    say(desk, &written, site_file);
    Ok(Exit::Done)
}

fn say(desk: &Desk, written: &[PathBuf], site_file: &Path) {
    if written.is_empty() {
        let text = format!(
            "{} is there already: nothing was written",
            site_file.display()
        );
        desk.output.progress(&text);
        return;
    }
    for path in written {
        desk.output.result(&format!("wrote {}", path.display()));
    }
    desk.output.progress(
        "next: put hosts and the TSIG key in, then\n  cleanslate check     reads it all, offline\n  \
         cleanslate doctor    asks every real thing\n  cleanslate plan      shows the first night",
    );
}

/// Whether the file was not there.
fn write_new(path: &Path, text: &str) -> Result<bool, Failure> {
    let file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path);
    let result = match file {
        Ok(mut file) => file.write_all(text.as_bytes()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => return Ok(false),
        Err(error) => Err(error),
    };
    result.map_err(|error| {
        let what = format!("cannot write {}: {error}", path.display());
        Failure::new(
            Exit::Usage,
            what,
            "name a file that this user may write, with --config",
        )
    })?;
    Ok(true)
}

/// The annotated example, with the Compose file that is there.
fn adopted(compose: &str) -> String {
    EXAMPLE_SITE.replacen("\"compose.yaml\"", &format!("{compose:?}"), 1)
}

/// What DNS tells: one site for each address, to be named and merged by whoever knows better.
fn discovered(
    server: SocketAddr,
    record: &RecordName,
    found: &Discovered,
    compose: &str,
) -> String {
    let ttls: BTreeSet<u32> = found
        .rrsets
        .values()
        .filter_map(|set| Some(set.ttl?.0))
        .collect();
    let mut text = format!(
        "# Written by `cleanslate init` from what {server} serves. Give the sites their names and\n\
         # hosts; merge those that are one. `cleanslate check` reads it, `cleanslate doctor` asks.\n\
         [fleet]\nname    = \"edge\"\ncompose = {compose:?}\n\n\
         [dns]\nserver  = \"{server}\"\nzone    = \"{}\"\nrecords = [\"{record}\"]\n\
         ttl     = \"{}s\"\nkey     = {{ file = \"tsig.key\" }}   # tsig-keygen -a hmac-sha256 \
         cleanslate > tsig.key; chmod 600 tsig.key\n",
        found.zone,
        ttls.last().unwrap_or(&30),
    );
    if let Ok(servers) = &found.nameservers {
        let servers: Vec<String> = servers
            .iter()
            .map(|server| format!("\"{server}\""))
            .collect();
        text += &format!("nameservers = [{}]\n", servers.join(", "));
    }
    text +=
        "\n[[probe]]\nname = \"front\"\nhttp = \"http://{address}/\"\n\n[traffic]\nengine = true\n";
    for (number, addresses) in (1..).zip(by_site(&found.rrsets)) {
        let addresses: Vec<String> = addresses.iter().map(|ip| format!("\"{ip}\"")).collect();
        let site = format!(
            "\n[site.site{number}]\naddresses = [{}]\nhosts     = [\"tcp://10.{number}.0.1:2375\"]\n",
            addresses.join(", ")
        );
        text += &site;
    }
    text
}

/// The n-th IPv4 and the n-th IPv6 address are taken for one site's.
fn by_site(rrsets: &BTreeMap<Family, RrSet>) -> Vec<Vec<IpAddr>> {
    let mut sites: Vec<Vec<IpAddr>> = Vec::new();
    for set in rrsets.values() {
        for (number, address) in set.addresses.iter().enumerate() {
            match sites.get_mut(number) {
                Some(site) => site.push(*address),
                None => sites.push(vec![*address]),
            }
        }
    }
    sites
}

fn server(text: &str) -> Result<SocketAddr, String> {
    super::rebuild::server(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Ttl;

    #[test]
    fn what_dns_tells_becomes_a_site_file() {
        let set = |addresses: &[&str]| RrSet {
            addresses: addresses.iter().map(|a| a.parse().unwrap()).collect(),
            ttl: Some(Ttl(60)),
        };
        let found = Discovered {
            zone: "example.com".parse().unwrap(),
            rrsets: BTreeMap::from([
                (Family::A, set(&["192.0.2.1", "192.0.2.2"])),
                (Family::Aaaa, set(&["2001:db8::1"])),
            ]),
            nameservers: Ok(BTreeSet::from(["10.0.0.53:53".parse().unwrap()])),
        };
        let record = "www.example.com".parse().unwrap();
        let text = discovered(
            "10.0.0.53:53".parse().unwrap(),
            &record,
            &found,
            "compose.yml",
        );
        insta::assert_snapshot!(text, @r#"
        # Written by `cleanslate init` from what 10.0.0.53:53 serves. Give the sites their names and
        # hosts; merge those that are one. `cleanslate check` reads it, `cleanslate doctor` asks.
        [fleet]
        name    = "edge"
        compose = "compose.yml"

        [dns]
        server  = "10.0.0.53:53"
        zone    = "example.com."
        records = ["www.example.com."]
        ttl     = "60s"
        key     = { file = "tsig.key" }   # tsig-keygen -a hmac-sha256 cleanslate > tsig.key; chmod 600 tsig.key
        nameservers = ["10.0.0.53:53"]

        [[probe]]
        name = "front"
        http = "http://{address}/"

        [traffic]
        engine = true

        [site.site1]
        addresses = ["192.0.2.1", "2001:db8::1"]
        hosts     = ["tcp://10.1.0.1:2375"]

        [site.site2]
        addresses = ["192.0.2.2"]
        hosts     = ["tcp://10.2.0.1:2375"]
        "#);
        let table: toml::Table = text.parse().unwrap();
        assert!(table.contains_key("site"));
    }

    #[test]
    fn a_file_that_is_there_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("site.toml");
        assert!(write_new(&path, "mine").unwrap());
        assert!(!write_new(&path, "other").unwrap());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
    }

    #[test]
    fn a_compose_file_under_another_name_is_adopted() {
        assert!(adopted("docker-compose.yml").contains("compose = \"docker-compose.yml\""));
    }
}
