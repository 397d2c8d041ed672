//! A lab with a fleet that serves, and what must be true of it after a night.

use std::collections::BTreeSet;
use std::ops::Deref;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::lab::images::Push;
use crate::lab::inspect::{Answer, block_on};
use crate::lab::spec::{PRIMARY, RECORD, SECONDARY};
use crate::lab::{FleetOptions, ImageKind, Lab, LabSpec, Load, Users};
use crate::program::{Ended, Run};

/// A lab whose sites have users: a site that is put back and that nobody uses has not come back.
pub(crate) struct Scene {
    /// Dropped before the lab is.
    users: Users,
    lab: Lab,
}

impl Scene {
    /// Sends users to a lab.
    pub(crate) fn with_users(lab: Lab) -> Result<Self> {
        let load = Load {
            rate: 40,
            users: 20,
            ..Load::default()
        };
        let users = Users::start_with(&lab, &load)?;
        Ok(Self { users, lab })
    }

    /// Ends it; fails where a single request of its users was lost.
    pub(crate) fn lost_nobody(self) -> Result<()> {
        let report = self.users.stop()?;
        ensure!(report.sent > 0 && report.lost.is_empty(), "{report}");
        Ok(())
    }
}

impl Deref for Scene {
    type Target = Lab;

    fn deref(&self) -> &Lab {
        &self.lab
    }
}

/// A lab whose fleet was written down and is in service, with users. Its images tell their health
/// themselves, so that a night need not watch each container for five seconds.
pub(crate) fn serving(spec: LabSpec, options: &FleetOptions) -> Result<Scene> {
    let lab = Lab::up(spec)?;
    lab.push_all(&[
        Push::new(ImageKind::WebHealthcheck, "web", "master").version("v1"),
        Push::new(ImageKind::Worker, "worker", "master").version("v1"),
    ])?;
    lab.fleet(options)?;
    lab.start_services(options)?;
    lab.wait_serving()?;
    Scene::with_users(lab)
}

/// Three sites with one published container each, and a second desk to work from, `ops1`.
pub(crate) fn three_sites() -> Result<(Scene, FleetOptions)> {
    let options = FleetOptions::default();
    Ok((serving(LabSpec::default().desks(1), &options)?, options))
}

/// Two sites with one published container each, of which one may be out: half the time of three.
pub(crate) fn two_sites() -> Result<(Scene, FleetOptions)> {
    two_sites_of(LabSpec::sites(&["fra", "nyc"]))
}

/// The same in a lab of another kind.
pub(crate) fn two_sites_of(spec: LabSpec) -> Result<(Scene, FleetOptions)> {
    let options = FleetOptions {
        min_in_service: Some(1),
        ..FleetOptions::default()
    };
    Ok((serving(spec, &options)?, options))
}

/// A night of one site, `--json`, to be started.
pub(crate) const FRA: [&str; 5] = ["rotate", "nightly", "--site", "fra", "--json"];

/// Runs the program to its end.
pub(crate) fn run(lab: &Lab, args: &[&str]) -> Result<Ended> {
    Run::start(lab, args)?.end()
}

/// `rotate nightly --json`, to its end.
pub(crate) fn night(lab: &Lab) -> Result<Ended> {
    run(lab, &["rotate", "nightly", "--json"])
}

/// Changes a file of the fleet: the one place where `from` stands becomes `to`.
pub(crate) fn edit(lab: &Lab, file: &str, from: &str, to: &str) -> Result<()> {
    let path = lab.fleet_dir().join(file);
    let text = std::fs::read_to_string(&path).with_context(|| format!("failed to read {file}"))?;
    ensure!(
        text.matches(from).count() == 1,
        "\"{from}\" once in {file}:\n{text}"
    );
    std::fs::write(path, text.replace(from, to)).with_context(|| format!("failed to write {file}"))
}

/// The ids of every container of some hosts.
pub(crate) fn ids(lab: &Lab, hosts: &[&str]) -> Result<BTreeSet<String>> {
    let mut ids = BTreeSet::new();
    for host in hosts {
        ids.extend(
            lab.containers(host)?
                .into_iter()
                .map(|container| container.id),
        );
    }
    Ok(ids)
}

/// Fails unless every host runs exactly what the options declare, all of it running, nothing with
/// an id from `before`, and every container on one of these digests.
pub(crate) fn check_recreated(
    lab: &Lab,
    hosts: &[&str],
    options: &FleetOptions,
    before: &BTreeSet<String>,
    digests: &[String],
) -> Result<()> {
    for host in hosts {
        let containers = lab.containers(host)?;
        let names: BTreeSet<_> = containers.iter().map(|it| it.name.clone()).collect();
        let declared: BTreeSet<_> = options
            .services
            .iter()
            .flat_map(|it| (1..=it.replicas).map(move |n| format!("edge-{}-{n}", it.name)))
            .collect();
        ensure!(
            names == declared,
            "{host} has {names:?}, declared is {declared:?}"
        );
        for container in containers {
            ensure!(
                !before.contains(&container.id),
                "{host}: {} was there before",
                container.name
            );
            ensure!(container.state == "running", "{host}: {container:?}");
            let pinned = container
                .digests
                .iter()
                .any(|digest| digests.contains(digest));
            ensure!(pinned, "{host}: {container:?} is on none of {digests:?}");
        }
    }
    Ok(())
}

/// Fails unless both name servers show exactly the addresses of these sites, and a marker that
/// nobody holds and that owes nothing.
pub(crate) fn check_at_rest(lab: &Lab, sites: &[&str]) -> Result<()> {
    check_in_dns(lab, sites)?;
    let answer = lab.query(PRIMARY.into(), RECORD)?;
    check_idle(&answer)?;
    for key in ["out", "dirty", "held", "cordon"] {
        ensure!(
            answer.marker_value(key) == Some("-"),
            "{key}: {:?}",
            answer.marker
        );
    }
    Ok(())
}

/// Fails unless nobody holds the marker.
pub(crate) fn check_idle(answer: &Answer) -> Result<()> {
    for key in ["holder", "rotation"] {
        ensure!(
            answer.marker_value(key) == Some("-"),
            "{key}: {:?}",
            answer.marker
        );
    }
    Ok(())
}

/// Fails unless both name servers show exactly the addresses of these sites.
pub(crate) fn check_in_dns(lab: &Lab, sites: &[&str]) -> Result<()> {
    let mut expected: Vec<_> = sites
        .iter()
        .flat_map(|site| lab.spec.addresses(site))
        .collect();
    expected.sort_unstable();
    for server in [PRIMARY, SECONDARY] {
        let shown = || {
            lab.query(server.into(), RECORD)
                .map(|answer| answer.addresses)
        };
        let same = || shown().is_ok_and(|shown| shown == expected);
        let what = format!("{server} shows {sites:?}");
        crate::lab::ground::program::wait_until(&what, Duration::from_secs(8), same)
            .with_context(|| format!("it shows {:?}", shown()))?;
    }
    Ok(())
}

/// Starts an engine that was killed, and the containers that it stopped when it came back.
pub(crate) fn serve_again(lab: &Lab, host: &str) -> Result<()> {
    lab.start_engine(host)?;
    let stopped = lab.containers(host)?;
    let client = lab.docker(host)?;
    block_on(async {
        for container in stopped {
            client.start_container(&container.id, None).await?;
        }
        anyhow::Ok(())
    })?;
    lab.wait_serving()
}

/// What the marker on the primary says under this key.
pub(crate) fn marker(lab: &Lab, key: &str) -> Result<String> {
    let answer = lab.query(PRIMARY.into(), RECORD)?;
    let value = answer.marker_value(key);
    Ok(value
        .with_context(|| format!("no {key} in {:?}", answer.marker))?
        .to_owned())
}

/// `status --json`.
pub(crate) fn status(lab: &Lab) -> Result<serde_json::Value> {
    run(lab, &["status", "--json"])?.expect(0)?.json()
}

/// One site's part of a status.
pub(crate) fn site_status<'a>(
    status: &'a serde_json::Value,
    site: &str,
) -> Result<&'a serde_json::Value> {
    let sites = status["sites"].as_array().context("a status lists sites")?;
    let found = sites.iter().find(|it| it["name"] == site);
    found.with_context(|| format!("no site {site} in {status}"))
}

/// An UPDATE of somebody else's.
pub(crate) fn nsupdate(lab: &Lab, line: &str) -> Result<()> {
    use crate::lab::ground::bind::{Bind, KEY};
    let key = Bind::key_file(&lab.dir, KEY).display().to_string();
    let script = lab.dir.join("nsupdate.txt");
    std::fs::write(
        &script,
        format!("server {PRIMARY}\nzone example.com.\n{line}\nsend\n"),
    )?;
    let script = script.display().to_string();
    crate::lab::ground::program::finish(&mut lab.in_core(&["nsupdate", "-v", "-k", &key, &script]))
        .map(drop)
}
