//! The files of a fleet that is the lab: site.toml, compose.yaml, playbooks.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};

use super::options::{FleetOptions, Transport};
use crate::lab::Lab;
use crate::lab::ground::bind::Bind;
use crate::lab::spec::{RECORD, REGISTRY, SECONDARY, SiteSpec, ZONE};

/// The fleet's name, and that of its Compose project.
pub const FLEET: &str = "edge";

impl Lab {
    /// Writes site.toml, compose.yaml and the playbooks; `dir` is made.
    pub fn write_fleet(&self, dir: &Path, options: &FleetOptions) -> Result<()> {
        let playbooks = dir.join("playbooks");
        std::fs::create_dir_all(&playbooks)
            .with_context(|| format!("failed to make {}", playbooks.display()))?;
        let compose = options
            .compose
            .clone()
            .unwrap_or_else(|| compose_yaml(options));
        let nightly = options
            .nightly
            .clone()
            .unwrap_or_else(|| self.playbook(options));
        for (name, text) in [
            ("site.toml", self.site_toml(options)),
            ("compose.yaml", compose),
            ("playbooks/nightly.toml", nightly.clone()),
            ("playbooks/rebuild.toml", nightly),
        ] {
            std::fs::write(dir.join(name), text)
                .with_context(|| format!("failed to write {name}"))?;
        }
        let key = Bind::key_file(&self.dir, &options.key);
        let copy = dir.join("tsig.key");
        std::fs::copy(key, &copy).context("failed to copy the key")?;
        std::fs::set_permissions(copy, std::os::unix::fs::PermissionsExt::from_mode(0o600))
            .context("failed to keep the key from others")
    }

    /// [`Lab::write_fleet`] into [`Lab::fleet_dir`], where [`Lab::cleanslate`] looks.
    pub fn fleet(&self, options: &FleetOptions) -> Result<()> {
        self.write_fleet(&self.fleet_dir(), options)
    }

    fn site_toml(&self, options: &FleetOptions) -> String {
        let floor = options
            .min_in_service
            .map_or_else(String::new, |floor| format!("min_in_service = {floor}\n"));
        let mut text = format!(
            "[fleet]\nname = \"{FLEET}\"\ncompose = \"compose.yaml\"\nplaybooks = \"playbooks\"\n\
             {floor}channels = {:?}\n\n\
             [dns]\nserver = \"{}\"\nzone = \"{ZONE}\"\nrecords = [\"{RECORD}\"]\n\
             ttl = \"{}s\"\nkey = {{ file = \"tsig.key\" }}\n\
             nameservers = [\"{}\", \"{SECONDARY}\"]\n",
            options.channels,
            options.primary,
            self.spec.ttl,
            options.primary_as_name_server(),
        );
        for record in self
            .spec
            .records
            .iter()
            .filter(|record| record.name != RECORD)
        {
            let of = |site: &&SiteSpec| record.has(&site.name);
            let sites: Vec<_> = self
                .spec
                .sites
                .iter()
                .filter(of)
                .map(|site| &site.name)
                .collect();
            push(
                &mut text,
                &format!("[dns.record.\"{}\"]\nsites = {sites:?}", record.name),
            );
        }
        push(
            &mut text,
            &format!("\n[registry.\"{REGISTRY}\"]\ninsecure = true\n"),
        );
        push(
            &mut text,
            "[[probe]]\nname = \"front\"\nhttp = \"http://{address}/healthz\"\nexpect = 200\n\
             body = \"ok\"\ntimeout = \"2s\"\npasses = 2\nwithin = \"20s\"\n",
        );
        if options.meter {
            push(&mut text, "[traffic]\nengine = true\n");
        }
        self.spec
            .sites
            .iter()
            .for_each(|site| push(&mut text, &self.site_table(site, options)));
        text + &options.more_site_toml
    }

    fn site_table(&self, site: &SiteSpec, options: &FleetOptions) -> String {
        let addresses: Vec<_> = self
            .spec
            .addresses(&site.name)
            .iter()
            .map(ToString::to_string)
            .collect();
        let mut text = format!(
            "[site.{}]\naddresses = {addresses:?}\n{}",
            site.name, options.more_in_sites
        );
        for (i, engine) in self.engines_of(&site.name).into_iter().enumerate() {
            let by_tcp = match options.transport {
                Transport::Unix => false,
                Transport::Tcp => true,
                Transport::Mixed => i % 2 == 1 || self.spec.sites[0].name == site.name,
            };
            let url = match options.engines.get(&engine.host.name) {
                Some(address) => format!("tcp://{address}"),
                None if by_tcp => engine.tcp(),
                None => format!("unix://{}", engine.socket().display()),
            };
            let addresses = [
                Some(engine.host.v4.to_string()),
                engine.host.v6.map(|v6| v6.to_string()),
            ];
            let name = &engine.host.name;
            push(
                &mut text,
                &format!(
                    "[[site.{}.host]]\nname = \"{name}\"\nengine = \"{url}\"",
                    site.name
                ),
            );
            if let [Some(v4), None] = &addresses {
                push(&mut text, &format!("address = \"{v4}\""));
            }
        }
        text
    }

    fn playbook(&self, options: &FleetOptions) -> String {
        let sites: Vec<_> = self.spec.sites.iter().map(|site| &site.name).collect();
        let quiet = if options.meter {
            "quiet = { below = 10.0, or = \"5%\", for = \"2s\" }\n"
        } else {
            ""
        };
        format!(
            "description = \"Every site of the lab, one after another.\"\nsites = {sites:?}\n\
             max_unavailable = 1\n[drain]\nat_least = \"{}\"\nat_most = \"{}\"\n{quiet}\
             then = \"put_back\"\n[soak]\nfor = \"{}\"\ntraffic_within = \"30s\"\n\
             [failure]\npreflight = \"skip\"\nthen = \"quarantine\"\n",
            options.drain_at_least, options.drain_at_most, options.soak
        )
    }
}

/// The Compose file, in what both `cleanslate` and Debian's docker-compose read.
fn compose_yaml(options: &FleetOptions) -> String {
    let mut text = String::from("services:\n");
    for service in &options.services {
        push(
            &mut text,
            &format!("  {}:\n    image: {}", service.name, service.image),
        );
        push(
            &mut text,
            "    environment:\n      SITE: ${SITE}\n    stop_grace_period: 5s",
        );
        if service.replicas != 1 {
            push(
                &mut text,
                &format!("    deploy:\n      replicas: {}", service.replicas),
            );
        }
        if let Some(port) = service.publish {
            push(&mut text, &format!("    ports:\n      - \"{port}:80\""));
        }
        if !service.depends_on.is_empty() {
            push(
                &mut text,
                &format!("    depends_on: [{}]", service.depends_on.join(", ")),
            );
        }
        service
            .more
            .iter()
            .for_each(|line| push(&mut text, &format!("    {line}")));
    }
    text
}

fn push(text: &mut String, lines: &str) {
    writeln!(text, "{lines}").expect("writing into a String cannot fail");
}
