//! Configurations that hold, and what they mean.
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::example::{EXAMPLE_COMPOSE, EXAMPLE_SITE};
use super::test_folder::Folder;
use super::{load, load_from};
use crate::model::fleet::{EngineAddress, Fleet, ProbeTarget};
use crate::model::id::{PlaybookName, SiteName};
use crate::model::playbook::{
    Anonymous, Drain, Failure, FailureThen, Playbook, Preflight, Quiet, Recreate, Soak, StillBusy,
    Strays, Verify, Volumes,
};
use crate::model::rrset::{Family, RrKey};
use crate::model::text::Secret;
use crate::model::time::Ttl;

#[test]
fn the_shipped_example_holds() {
    let folder = Folder::new();
    folder.write("site.toml", EXAMPLE_SITE);
    folder.write("compose.yaml", EXAMPLE_COMPOSE);
    let loaded = folder.loaded();
    assert_eq!(loaded.warnings.to_string(), "");
    let names: Vec<&str> = loaded.fleet.sites.keys().map(SiteName::as_str).collect();
    assert_eq!(names, ["fra", "nyc", "stg1"]);
    let web = &loaded.fleet.sites[&name("stg1")].hosts[0].projects[0].services;
    let images: Vec<String> = web
        .iter()
        .map(|service| service.image.to_string())
        .collect();
    assert!(
        images.contains(&"registry.example.com/edge/web:staging".to_owned()),
        "{images:?}"
    );
}

/// Whoever reads the example learns every key there is.
#[test]
fn the_shipped_example_names_every_key() {
    let keys = [
        "compose",
        "playbooks",
        "min_in_service",
        "channels",
        "vars",
        "server",
        "zone",
        "records",
        "ttl",
        "ttl_was",
        "key",
        "nameservers",
        "sites",
        "addresses",
        "username",
        "password",
        "insecure",
        "name",
        "http",
        "tcp",
        "host",
        "expect",
        "body",
        "timeout",
        "passes",
        "within",
        "ca",
        "engine",
        "after",
        "recreate",
        "hosts",
        "channel",
        "in_floor",
        "env_file",
        "projects",
        "address",
        "quiet",
        "timezone",
        "pin",
        "until",
        "keep",
        "tag",
    ];
    let words: BTreeSet<&str> = EXAMPLE_SITE.split_whitespace().collect();
    let missing: Vec<_> = keys.iter().filter(|key| !words.contains(**key)).collect();
    assert_eq!(missing, Vec::<&&str>::new());
}

/// The commented-out lines of the example are right as well.
#[test]
fn the_shipped_example_holds_with_its_optional_keys() {
    let folder = Folder::new();
    let key_line = |line: &str| {
        let code = line.strip_prefix("# ")?;
        let word = code.split([' ', '=']).next()?;
        let is_key =
            code.contains(" = ") && word.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        (is_key || code.starts_with('[')).then(|| code.to_owned())
    };
    let text: Vec<String> = EXAMPLE_SITE
        .lines()
        .map(|line| key_line(line).unwrap_or_else(|| line.to_owned()))
        .collect();
    let text = text.join("\n");
    // A program that was built without traces refuses them.
    let traces = if cfg!(feature = "otlp") {
        "[traces]"
    } else {
        "[x-traces]"
    };
    let text = text.replace("[traces]", traces);
    // Either form of project, and sites that the example does not have.
    let text = text
        .replace("compose = \"compose.yaml\"            #", "#")
        .replace("\"ams\"", "\"nyc\"")
        .replace("vars      = { REGION = \"eu-central\" }", "")
        .replace(
            "channel  = \"staging\"              # default: the site's",
            "",
        );
    folder.write("site.toml", text);
    for file in ["web.yaml", "data.yaml"] {
        folder.write(
            file,
            EXAMPLE_COMPOSE
                .replace("name: edge", "")
                .replace("80:8080", "8080"),
        );
    }
    folder.write("fra.env", "X=1\n");
    folder.write("fra-db.secret", "s");
    folder.write("chat.url", "https://chat.example.com/hook/1\n");
    folder.write("hook.key", "k\n");
    drop(rustls::crypto::ring::default_provider().install_default());
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    folder.write("api.pem", pair.cert.pem());
    folder.write("api.key", pair.signing_key.serialize_pem());
    folder.write("slack.token", "xoxb-1\n");
    folder.write("internal-ca.pem", "-----BEGIN CERTIFICATE-----\n");
    folder.write("playbooks/own.toml", "");
    let mut options = folder.options();
    options.environment = BTreeMap::from([("REGISTRY_PASSWORD".to_owned(), Secret::from("p"))]);
    let changed = [("http = \"http://", "http = \"https://")];
    folder.change(&changed);
    match load(&folder.site(), &options) {
        Ok(loaded) => {
            assert_eq!(loaded.fleet.registries.len(), 1);
            let notify = &loaded.fleet.notifies[0];
            let url = notify.url.reveal_text();
            assert_eq!(
                (notify.name.as_str(), url.as_str()),
                ("chat", "https://chat.example.com/hook/1")
            );
            assert!(!format!("{notify:?}").contains("example.com"));
            let api = loaded.fleet.api.unwrap();
            assert!(api.address.ip().is_loopback() && api.tls.is_some());
            assert!(!format!("{api:?}").contains("PRIVATE"));
            let bot = &loaded.fleet.notifies[1];
            let url = bot.url.reveal_text();
            assert_eq!(url, "https://slack.com/api/chat.postMessage");
            assert_eq!(bot.waiting, Duration::from_secs(900));
            assert!(!format!("{bot:?}").contains("xoxb"));
        }
        Err(report) => panic!("{report}"),
    }
}

const DESIGN: &str = r#"
[fleet]
name           = "edge"
playbooks      = "playbooks"
min_in_service = 2
channels       = ["staging", "master"]
vars           = { REGION = "nowhere", ROLE = "web" }

[dns]
server      = "10.0.0.53:5353"
zone        = "example.com."
records     = ["www.example.com."]
ttl         = "30s"
ttl_was     = "60s"
key         = { file = "tsig.key" }
nameservers = ["10.0.0.53", "[2001:db8::53]:5353", "2001:db8::54"]
[dns.record."eu.www.example.com."]
sites = ["fra", "ams"]
min_in_service = 1
[dns.record."api.example.com."]
addresses = { nyc = ["198.51.100.8"] }

[registry."registry.example.com"]
username = "robot"
password = { env = "REGISTRY_PASSWORD" }
insecure = false

[[probe]]
name    = "front"
http    = "https://{address}/healthz"
host    = "www.example.com"
expect  = 204
body    = "ok"
timeout = "2s"
passes  = 3
within  = "60s"
ca      = "internal-ca.pem"
sites   = ["fra"]
[[probe]]
name = "db"
tcp  = "{address}:5432"

[traffic]
engine = true

[project.web]
compose = ["web.yaml"]
after   = ["data"]
[project.data]
compose  = "data.yaml"
recreate = "keep"

[x-notes]
anything = "goes"

[site.fra]
addresses = ["192.0.2.10", "2001:db8::10"]
hosts     = ["tcp://10.1.0.1:2375", "unix:///var/run/docker.sock"]
channel   = "master"
in_floor  = true
quiet     = "22:30-02:00"
timezone  = "Asia/Singapore"
pin       = { web = "sha256:77b1c84bb88bb5b2bd4d8a0ef1c8ea3b1ea7cd4a2e8a1c8d4b1e7a9a1f0e6c55", dat = "sha256:77b1c84bb88bb5b2bd4d8a0ef1c8ea3b1ea7cd4a2e8a1c8d4b1e7a9a1f0e6c55", until = 2026-12-01 }
env_file  = "fra.env"
vars      = { REGION = "eu-central", DB_PASSWORD = { file = "fra-db.secret" } }
[site.ams]
addresses = ["192.0.2.20", "2001:db8::20"]
hosts     = ["tcp://10.4.0.1:2375"]
[site.nyc]
addresses = ["198.51.100.7", "198.51.100.14"]
[[site.nyc.host]]
name     = "nyc4"
engine   = "tcp://10.2.0.4:2376"
projects = ["data"]
channel  = "staging"
vars     = { ROLE = "db" }
address  = "198.51.100.14"
"#;

fn design() -> (Folder, super::Options) {
    let folder = Folder::new();
    folder.write("site.toml", DESIGN);
    let service = "image: registry.example.com/x:${CHANNEL}\n    environment:\n      \
                   SEEN: ${SITE} ${HOST} ${REGION} ${ROLE} ${FROM_FILE:-none} ${DB_PASSWORD:-none}\n";
    let optional = "    env_file: [{ path: none.env, required: false }]\n";
    for file in ["web.yaml", "data.yaml"] {
        let text = format!("services:\n  {}:\n    {service}{optional}", &file[..3]);
        folder.write(file, text);
    }
    folder.write(
        "fra.env",
        "# dotenv\nexport OF=\"fr\"\nFROM_FILE=${OF}a # as Compose\nREGION=loses\n",
    );
    folder.write("fra-db.secret", "hunter2\n");
    folder.write("internal-ca.pem", "-----BEGIN CERTIFICATE-----\n");
    folder.write(
        "playbooks/own.toml",
        "description = \"mine\"\nsites = [\"nyc\"]\n",
    );
    let mut options = folder.options();
    let password = ("REGISTRY_PASSWORD".to_owned(), Secret::from("hunter2"));
    options.environment.extend([password]);
    (folder, options)
}

#[test]
fn every_key_finds_its_place_in_the_fleet() {
    let (folder, options) = design();
    let loaded = load(&folder.site(), &options).unwrap_or_else(|report| panic!("{report}"));
    let fleet = &loaded.fleet;
    assert_eq!(fleet.dns.server.to_string(), "10.0.0.53:5353");
    let nameservers = fleet.dns.nameservers.clone().unwrap();
    let shown: Vec<String> = nameservers.iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        ["10.0.0.53:53", "[2001:db8::53]:5353", "[2001:db8::54]:53"]
    );
    assert_eq!((fleet.dns.ttl, fleet.dns.ttl_was), (Ttl(30), Ttl(60)));
    assert_eq!(fleet.dns.key.secret, Secret::from("hunter2"));
    assert!(fleet.measures_traffic);
    let (user, password) = fleet.registries["registry.example.com"]
        .credentials
        .clone()
        .unwrap();
    assert_eq!(
        (user.as_str(), password),
        ("robot", Secret::from("hunter2"))
    );
    assert_eq!(fleet.probes[0].sites, Some(BTreeSet::from([name("fra")])));
    assert_eq!(
        fleet.probes[0].target,
        ProbeTarget::Http {
            url: "https://{address}/healthz".to_owned(),
            host: Some("www.example.com".to_owned()),
            expect: 204,
            body: Some("ok".to_owned()),
            ca: Some(folder.path().join("internal-ca.pem")),
        }
    );
    assert_eq!(fleet.probes[1].timeout, Duration::from_secs(2));
    let quiet = fleet.sites[&name("fra")].quiet.as_ref().unwrap();
    let zone = quiet.zone().and_then(|zone| zone.iana_name());
    assert_eq!(
        (quiet.to_string().as_str(), zone),
        ("22:30-02:00", Some("Asia/Singapore"))
    );
    assert_eq!(fleet.sites[&name("nyc")].quiet, None);
    let pin = fleet.sites[&name("fra")].pin.as_ref().unwrap();
    let services: Vec<&str> = pin.services.keys().map(|it| it.as_str()).collect();
    assert_eq!(
        (services, pin.until.to_string().as_str()),
        (vec!["dat", "web"], "2026-12-01")
    );
    assert_eq!(fleet.sites[&name("nyc")].pin, None);
    let nyc = &fleet.sites[&name("nyc")].hosts[0];
    assert_eq!(nyc.address, Some("198.51.100.14".parse().unwrap()));
    assert_eq!(nyc.channel.as_str(), "staging");
    let fra: Vec<_> = fleet.sites[&name("fra")]
        .hosts
        .iter()
        .map(|host| &host.engine)
        .collect();
    assert_eq!(fra[1], &EngineAddress::Unix("/var/run/docker.sock".into()));
    assert_eq!(
        loaded.playbooks[&playbook("own")].sites,
        Some(vec![name("nyc")])
    );
    insta::assert_snapshot!(loaded.warnings, @"");
}

#[test]
fn records_have_the_addresses_and_floors_they_say() {
    let (folder, options) = design();
    let fleet = load(&folder.site(), &options).unwrap().fleet;
    let shown: Vec<String> = fleet.rrsets().map(|key| show_rrset(&fleet, &key)).collect();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    api.example.com. A floor 2: ams {192.0.2.20}, fra {192.0.2.10}, nyc {198.51.100.8}
    api.example.com. AAAA floor 1: ams {2001:db8::20}, fra {2001:db8::10}, nyc {}
    eu.www.example.com. A floor 1: ams {192.0.2.20}, fra {192.0.2.10}, nyc {}
    eu.www.example.com. AAAA floor 1: ams {2001:db8::20}, fra {2001:db8::10}, nyc {}
    www.example.com. A floor 2: ams {192.0.2.20}, fra {192.0.2.10}, nyc {198.51.100.7, 198.51.100.14}
    www.example.com. AAAA floor 1: ams {2001:db8::20}, fra {2001:db8::10}, nyc {}
    "#);
}

#[test]
fn a_hosts_variables_win_over_its_sites_and_those_over_the_fleets_and_those_over_the_env_file() {
    let (folder, options) = design();
    let fleet = load(&folder.site(), &options).unwrap().fleet;
    let mut shown = Vec::new();
    for site in fleet.sites.values() {
        for (host, project) in site
            .hosts
            .iter()
            .flat_map(|host| host.projects.iter().map(move |project| (host, project)))
        {
            let service = &project.services[0];
            let seen = service.container.environment["SEEN"]
                .as_ref()
                .unwrap()
                .reveal_text();
            let (kept, image) = (service.is_kept(), &service.image);
            shown.push(format!(
                "{}/{} {} kept={kept} {image}: {seen}",
                site.name, host.name, project.name
            ));
        }
    }
    insta::assert_snapshot!(shown.join("\n"), @r#"
    ams/10.4.0.1 data kept=true registry.example.com/x:master: ams 10.4.0.1 nowhere web none none
    ams/10.4.0.1 web kept=false registry.example.com/x:master: ams 10.4.0.1 nowhere web none none
    fra/10.1.0.1 data kept=true registry.example.com/x:master: fra 10.1.0.1 eu-central web fra hunter2
    fra/10.1.0.1 web kept=false registry.example.com/x:master: fra 10.1.0.1 eu-central web fra hunter2
    fra/local data kept=true registry.example.com/x:master: fra local eu-central web fra hunter2
    fra/local web kept=false registry.example.com/x:master: fra local eu-central web fra hunter2
    nyc/nyc4 data kept=true registry.example.com/x:staging: nyc nyc4 nowhere db none none
    "#);
}

#[test]
fn a_snapshot_gives_the_same_fleet_later_with_secrets_read_anew() {
    let (folder, options) = design();
    let first = load(&folder.site(), &options).unwrap();
    for file in [
        "site.toml",
        "web.yaml",
        "data.yaml",
        "fra.env",
        "playbooks/own.toml",
    ] {
        assert!(
            first.snapshot.files.contains_key(&folder.path().join(file)),
            "{file}"
        );
        folder.write(file, "spoilt");
    }
    let again = load_from(&first.snapshot, &options).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(again.fleet, first.fleet);
    assert_eq!(again.playbooks, first.playbooks);
    assert_eq!(again.snapshot, first.snapshot);

    for (path, bytes) in &first.snapshot.files {
        let text = String::from_utf8_lossy(bytes);
        assert!(!text.contains("hunter2"), "{path:?} holds a secret");
        assert!(!text.contains("aHVudGVyMg"), "{path:?} holds the key");
    }
    let key = "key other { algorithm hmac-sha512; secret \"bmV3\"; };";
    folder.write("tsig.key", key);
    let anew = load_from(&first.snapshot, &options).unwrap();
    assert_eq!(anew.fleet.dns.key.secret, Secret::from("new"));
}

#[test]
fn no_secret_is_in_anything_that_can_be_printed() {
    let (folder, options) = design();
    let loaded = load(&folder.site(), &options).unwrap();
    let printed = format!("{loaded:?} {options:?}");
    assert!(!printed.contains("hunter2"));
    assert!(!printed.contains(&format!("{:?}", b"hunter2")));
}

#[test]
fn what_a_playbook_leaves_out_is_as_in_nightly() {
    let folder = Folder::new();
    folder.write("playbooks/empty.toml", "");
    let playbooks = folder.loaded().playbooks;
    let empty = &playbooks[&playbook("empty")];
    let expected = Playbook {
        name: playbook("empty"),
        description: String::new(),
        sites: None,
        max_unavailable: 1,
        recreate: Recreate {
            containers: true,
            volumes: Volumes::Keep,
            anonymous: Anonymous::Refuse,
            strays: Strays::Report,
            before: None,
            logs: 1_048_576,
        },
        schedule: None,
        drain: Drain {
            at_least: Duration::ZERO,
            at_most: Duration::from_secs(300),
            quiet: Quiet {
                below: 10.0,
                share: 0.05,
                for_at_least: Duration::from_secs(10),
            },
            then: StillBusy::PutBack,
        },
        verify: Verify::default(),
        soak: Soak {
            for_at_least: Duration::from_secs(60),
            traffic_within: Duration::from_secs(120),
        },
        failure: Failure {
            preflight: Preflight::Skip,
            then: FailureThen::Quarantine,
        },
    };
    assert_eq!(empty, &expected);
    let nightly = playbooks[&playbook("nightly")].clone();
    let same = Playbook {
        name: expected.name.clone(),
        description: String::new(),
        ..nightly
    };
    assert_eq!(same, expected);
}

#[test]
fn a_playbook_says_everything_it_can_say() {
    let folder = Folder::new();
    let text = r#"
description = "d"
sites = ["nyc", "fra"]
max_unavailable = 2
[schedule]
cron = "0 3 * * MON-FRI"
timezone = "Europe/Berlin"
finish_by = "06:00"
catch_up = "2h"
rehearse = "4h"
[drain]
at_least = "1m"
at_most = "10m"
quiet = { below = 5, or = "1%", for = "20s" }
then = "proceed"
[recreate]
volumes = "wipe"
anonymous = "discard"
strays = "remove"
before = { command = ["/bin/backup", "{site}"], within = "1h" }
logs = "64KiB"
[verify]
for = "30s"
hold = true
[soak]
for = "5m"
traffic_within = "10m"
[failure]
preflight = "halt"
then = "quarantine"
"#;
    folder.write("playbooks/own.toml", text);
    let playbooks = folder.loaded().playbooks;
    insta::assert_debug_snapshot!(playbooks[&playbook("own")], @r#"
    Playbook {
        name: "own",
        description: "d",
        sites: Some(
            [
                "nyc",
                "fra",
            ],
        ),
        max_unavailable: 2,
        recreate: Recreate {
            containers: true,
            volumes: Wipe,
            anonymous: Discard,
            strays: Remove,
            before: Some(
                Before {
                    command: [
                        "/bin/backup",
                        "{site}",
                    ],
                    within: 3600s,
                },
            ),
            logs: 65536,
        },
        schedule: Some(
            Schedule {
                cron: Cron("0 3 * * MON-FRI" Europe/Berlin),
                finish_by: Some(
                    06:00:00,
                ),
                catch_up: 7200s,
                rehearse: Some(
                    14400s,
                ),
            },
        ),
        drain: Drain {
            at_least: 60s,
            at_most: 600s,
            quiet: Quiet {
                below: 5.0,
                share: 0.01,
                for_at_least: 20s,
            },
            then: Proceed,
        },
        verify: Verify {
            for_at_least: 30s,
            hold: true,
        },
        soak: Soak {
            for_at_least: 300s,
            traffic_within: 600s,
        },
        failure: Failure {
            preflight: Halt,
            then: Quarantine,
        },
    }
    "#);
}

#[test]
fn built_in_playbooks_are_there_and_a_file_takes_ones_place() {
    let folder = Folder::new();
    folder.write("playbooks/urgent.toml", "description = \"ours\"\n");
    let one_channel = folder.loaded().playbooks;
    assert!(!one_channel.contains_key(&playbook("staging")));
    folder.change(&[
        (
            "name = \"edge\"",
            "name = \"edge\"\nchannels = [\"staging\", \"master\"]",
        ),
        ("[site.sin]", "[site.sin]\nchannel = \"staging\""),
    ]);
    let playbooks = folder.loaded().playbooks;
    let names: Vec<&str> = playbooks.keys().map(PlaybookName::as_str).collect();
    assert_eq!(names, ["drill", "nightly", "rebuild", "staging", "urgent"]);
    assert_eq!(
        playbooks[&playbook("staging")].sites,
        Some(vec![name("sin")])
    );
    assert_eq!(playbooks[&playbook("nightly")].sites, None);
    assert_eq!(playbooks[&playbook("urgent")].description, "ours");
    assert!(!playbooks[&playbook("drill")].recreate.containers);
}

#[test]
fn what_is_doubtful_is_said_and_taken() {
    let folder = Folder::new();
    folder.chmod("tsig.key", 0o640);
    folder.change(&[
        (
            "name = \"edge\"",
            "name = \"edge\"\nmin_in_service = 4\nvars = { API_TOKEN = \"hunter2\" }",
        ),
        (
            "[[probe]]",
            "[dns.record.\"api.example.com.\"]\nmin_in_service = 0\n[[probe]]",
        ),
    ]);
    let shown = folder.loaded().warnings.to_string();
    let shown = shown.replace(&folder.path().display().to_string(), "/etc/cleanslate");
    insta::assert_snapshot!(shown, @r#"
    warning: www.example.com. A has 3 members, fewer than min_in_service = 4
     --> site.toml:3:18
      |
    3 | min_in_service = 4
      |                  ^
      |
      = help: its floor is 2

    warning: [fleet.vars].API_TOKEN looks like a secret
     --> site.toml:4:22
      |
    4 | vars = { API_TOKEN = ********* }
      |                      ^^^^^^^^^ not shown
      |
      = help: keep it out of this file: { file = "path" } or { env = "VARIABLE" }

    warning: the key file can be read by others (mode 640)
      --> site.toml:12:16
       |
    12 | key = { file = "tsig.key" }
       |                ^^^^^^^^^^
       |
       = help: chmod 600 /etc/cleanslate/tsig.key

    warning: a site may be withdrawn while no other one answers
      --> site.toml:15:18
       |
    15 | min_in_service = 0
       |                  ^
       |
       = help: leave min_in_service out for the safest floor, or write 1
    "#);
}

#[test]
fn the_same_finding_of_a_compose_file_is_told_once_for_all_hosts() {
    let folder = Folder::new();
    folder.write(
        "compose.yaml",
        "services:\n  web:\n    image: web\n    restrat: always\n",
    );
    let shown = folder.refused();
    assert_eq!(shown.matches("restrat").count(), 2, "{shown}");
}

fn show_rrset(fleet: &Fleet, key: &RrKey) -> String {
    let of_site = |site: &SiteName| format!("{site} {:?}", fleet.addresses_of(site, key));
    let sites: Vec<String> = fleet.sites.keys().map(of_site).collect();
    let family = match key.family {
        Family::A => "A",
        Family::Aaaa => "AAAA",
    };
    format!(
        "{} {family} floor {}: {}",
        key.name,
        fleet.floor(key),
        sites.join(", ")
    )
}

fn name(site: &str) -> SiteName {
    site.parse().unwrap()
}

fn playbook(name: &str) -> PlaybookName {
    name.parse().unwrap()
}
