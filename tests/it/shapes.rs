//! Fleets of other shapes: two families, two records, two hosts a site, two projects a host.

use anyhow::{Result, ensure};

use crate::lab::spec::{PRIMARY, RECORD};
use crate::lab::{FleetOptions, Lab, LabSpec, Load, Users, Watcher};
use crate::scene::{Scene, check_at_rest, check_recreated, ids, night, run, serving};

const EU: &str = "eu.www.example.com.";

#[test]
fn dual_stack_sites_beside_others_and_a_record_of_some_sites_keep_their_floors() -> Result<()> {
    let mut spec = LabSpec::default().record(EU, &["fra", "nyc"]);
    spec.sites[0].dual_stack = true;
    spec.sites[1].dual_stack = true;
    let options = FleetOptions::default();
    let lab = serving(spec, &options)?;
    let before = ids(&lab, &["fra1", "nyc1", "sin1"])?;
    let watcher = Watcher::start(&lab)?;
    let load = Load {
        rate: 100,
        users: 20,
        ipv6: 10,
        ..Load::default()
    };
    let users = Users::start_with(&lab, &load)?;
    let ended = night(&lab)?.expect(0)?;
    let report = users.stop()?;
    let history = watcher.stop();

    ensure!(report.lost.is_empty(), "{report}\n{ended}");
    ensure!(history.min_size(RECORD, false) == 2, "A of {RECORD}");
    ensure!(history.min_size(RECORD, true) == 1, "AAAA of {RECORD}");
    ensure!(
        history.min_size(EU, false) == 1 && history.min_size(EU, true) == 1,
        "{EU}"
    );
    history.check(&lab.spec)?;
    let withdrawn = ended.event_of("withdrawn", "nyc")?;
    for record in [RECORD, EU] {
        let left = withdrawn.0["addresses"][record]
            .as_array()
            .map_or(0, Vec::len);
        ensure!(
            left == 2,
            "both families of {record} in one UPDATE: {}",
            withdrawn.0
        );
    }
    let digests = [lab.digest("web", "master")?];
    check_recreated(&lab, &["fra1", "nyc1", "sin1"], &options, &before, &digests)?;
    check_at_rest(&lab, &["fra", "nyc", "sin"])?;
    let [www, eu] = [
        lab.query(PRIMARY.into(), RECORD)?,
        lab.query(PRIMARY.into(), EU)?,
    ];
    ensure!(
        www.marker == eu.marker,
        "all markers alike: {:?} and {:?}",
        www.marker,
        eu.marker
    );

    // The floor of one record alone says no: without nyc, eu.www would be left to a sick fra.
    lab.kill_engine("fra1")?;
    let refused = run(&lab, &["withdraw", "nyc", "--reason", "try"])?.expect(4)?;
    refused.says(&["floor", "fra"])?;
    Ok(())
}

#[test]
fn two_hosts_a_site_and_two_projects_a_host_start_in_order() -> Result<()> {
    let lab = Lab::up(LabSpec::sites(&["fra", "nyc"]).hosts_each(2))?;
    lab.push_all(&[
        crate::lab::images::Push::new(crate::lab::ImageKind::Worker, "worker", "master"),
        crate::lab::images::Push::new(crate::lab::ImageKind::WebHealthcheck, "data", "master"),
    ])?;
    lab.fleet(&FleetOptions::default())?;
    two_projects(&lab)?;
    let lab = Scene::with_users(lab)?;
    // Nothing runs yet on these hosts: both sites are found in DNS, and sick.
    for site in ["fra", "nyc"] {
        let args = [
            "rebuild",
            site,
            "--below-floor",
            "--reason",
            "first containers",
            "--json",
        ];
        run(&lab, &args)?.expect(0)?;
    }
    let hosts = ["fra1", "fra2", "nyc1", "nyc2"];
    let before = ids(&lab, &hosts)?;
    let watcher = Watcher::start(&lab)?;
    night(&lab)?.expect(0)?;
    ensure!(
        watcher.stop().min_size(RECORD, false) == 2,
        "two of four addresses"
    );
    ensure!(ids(&lab, &hosts)?.is_disjoint(&before));
    for host in hosts {
        let names: Vec<_> = lab
            .containers(host)?
            .into_iter()
            .map(|it| it.name)
            .collect();
        ensure!(
            names == ["data-store-1", "web-front-1"],
            "{host}: {names:?}"
        );
        // Healthy means: at least one look of its health check, so a second or more later.
        let gap = started(&lab, host, "web-front-1")? - started(&lab, host, "data-store-1")?;
        ensure!(
            gap >= 0.9,
            "{host}: the front started {gap} s after the data"
        );
    }
    check_at_rest(&lab, &["fra", "nyc"])
}

/// Instead of the short form's one project: `web` after `data`.
fn two_projects(lab: &Lab) -> Result<()> {
    crate::scene::edit(lab, "site.toml", "compose = \"compose.yaml\"\n", "")?;
    let path = lab.fleet_dir().join("site.toml");
    let projects = "[project.web]\ncompose = [\"web.yaml\"]\nafter = [\"data\"]\n\
                    [project.data]\ncompose = \"data.yaml\"\n";
    std::fs::write(&path, std::fs::read_to_string(&path)? + projects)?;
    let web = "services:\n  front:\n    image: 10.53.0.5:5000/web:${CHANNEL}\n    ports:\n      - \"80:80\"\n    environment:\n      SITE: ${SITE}\n";
    let data = "services:\n  store:\n    image: 10.53.0.5:5000/data:${CHANNEL}\n";
    std::fs::write(lab.fleet_dir().join("web.yaml"), web)?;
    std::fs::write(lab.fleet_dir().join("data.yaml"), data)?;
    Ok(())
}

/// When a container was started, in seconds.
fn started(lab: &Lab, host: &str, name: &str) -> Result<f64> {
    let client = lab.docker(host)?;
    let inspected =
        crate::lab::inspect::block_on(async { client.inspect_container(name, None).await })?;
    let at = inspected.state.and_then(|state| state.started_at);
    let at: jiff::Timestamp = at.unwrap_or_default().parse()?;
    Ok(at.duration_since(jiff::Timestamp::UNIX_EPOCH).as_secs_f64())
}
