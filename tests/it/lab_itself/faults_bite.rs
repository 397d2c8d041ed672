//! Faults do what they say, and can be mended.

use std::time::Duration;

use anyhow::Result;

use crate::lab::ground::program::wait_until;
use crate::lab::images::Push;
use crate::lab::inspect::{Answer, block_on};
use crate::lab::spec::{RECORD, SECONDARY};
use crate::lab::{FleetOptions, ImageKind, Lab, LabSpec, Server, Service};

const SITE: &str = "http://10.53.1.1/healthz";

#[test]
fn an_engine_is_killed_frozen_and_brought_back() -> Result<()> {
    let lab = Lab::up(LabSpec::sites(&["fra"]))?;
    lab.start_services(&FleetOptions::default())?;
    lab.wait_serving()?;
    assert_eq!(lab.get(SITE)?.0, 200);

    lab.freeze_host("fra1")?;
    assert!(lab.get(SITE).is_err());
    lab.thaw_host("fra1")?;
    assert_eq!(lab.get(SITE)?.0, 200);

    lab.kill_dockerd("fra1")?;
    assert_eq!(lab.get(SITE)?.0, 200, "containers outlive dockerd");
    assert!(lab.containers("fra1").is_err());
    lab.start_engine("fra1")?;

    lab.freeze_engine("fra1")?;
    let client = lab.docker("fra1")?;
    let asked = block_on(async {
        tokio::time::timeout(Duration::from_secs(1), client.list_containers(None))
            .await
            .is_err()
    });
    assert!(asked, "a frozen engine is mute");
    lab.thaw_engine("fra1")?;
    assert_eq!(lab.containers("fra1")?.len(), 1);

    lab.kill_engine("fra1")?;
    assert!(lab.get(SITE).is_err());
    lab.start_engine("fra1")?;
    let states: Vec<_> = lab
        .containers("fra1")?
        .into_iter()
        .map(|it| it.state)
        .collect();
    assert_eq!(
        states,
        ["exited"],
        "nothing starts by itself without a restart policy"
    );
    Ok(())
}

#[test]
fn a_host_loses_power_and_comes_back_with_its_disk() -> Result<()> {
    let lab = Lab::up(LabSpec::sites(&["fra"]))?;
    lab.start_services(&FleetOptions::default())?;
    lab.wait_serving()?;
    lab.power_off("fra1")?;
    assert!(lab.get(SITE).is_err());
    assert!(lab.containers("fra1").is_err());
    lab.power_on("fra1")?;
    let containers = lab.containers("fra1")?;
    assert_eq!(containers.len(), 1, "the disk survived: {containers:?}");
    block_on(async {
        lab.docker("fra1")?
            .start_container(&containers[0].id, None)
            .await
            .map_err(anyhow::Error::from)
    })?;
    wait_until("the site serves", Duration::from_secs(5), || {
        lab.get(SITE).is_ok()
    })
}

#[test]
fn cables_and_servers_are_cut_off_and_mended() -> Result<()> {
    let lab = Lab::up(LabSpec::sites(&["fra"]).desks(1))?;
    lab.start_services(&FleetOptions::default())?;
    lab.wait_serving()?;
    lab.unplug("fra1")?;
    assert!(lab.get(SITE).is_err());
    lab.plug("fra1")?;
    wait_until("the site serves", Duration::from_secs(5), || {
        lab.get(SITE).is_ok()
    })?;
    lab.block("fra1", crate::lab::spec::CORE.into())?;
    assert!(lab.get(SITE).is_err());
    lab.unblock("fra1")?;
    assert_eq!(lab.get(SITE)?.0, 200);

    lab.unplug("ns2")?;
    assert!(lab.query(SECONDARY.into(), RECORD).is_err());
    lab.plug("ns2")?;
    lab.block("ops1", crate::lab::spec::PRIMARY.into())?;
    let dig = [
        "dig",
        "+time=1",
        "+tries=1",
        "@10.53.0.53",
        "www.example.com",
    ];
    assert!(lab.on("core", &dig).output()?.status.success());
    assert!(
        !lab.on("ops1", &dig).output()?.status.success(),
        "a desk is cut off alone"
    );
    let answers = || -> Result<Answer> { lab.query(SECONDARY.into(), RECORD) };
    wait_until("the secondary answers", Duration::from_secs(5), || {
        answers().is_ok()
    })?;

    lab.kill_server(Server::Registry)?;
    assert!(lab.push(ImageKind::Web, "v3").is_err());
    lab.start_server(Server::Registry)?;
    lab.push(ImageKind::Web, "v3").map(drop)
}

#[test]
fn a_full_disk_takes_no_image_until_it_is_freed() -> Result<()> {
    let lab = Lab::up(LabSpec::sites(&["fra"]).disk("200m"))?;
    lab.fill_disk("fra1", 4 << 20)?;
    let service = Service::new("app", &lab.image("web", "v1"));
    let options = FleetOptions {
        services: vec![service],
        ..FleetOptions::default()
    };
    let refused = lab
        .start_services(&options)
        .expect_err("there is no space for the image");
    assert!(
        format!("{refused:#}").contains("no space left"),
        "{refused:#}"
    );
    lab.free_disk("fra1")?;
    lab.push_as(&Push::new(ImageKind::Web, "web", "v1"))?;
    block_on(crate::lab::fleet::first::pull(
        lab.engine("fra1"),
        &lab.image("web", "v1"),
    ))
}

#[test]
fn containers_that_others_started_are_there_too() -> Result<()> {
    let lab = Lab::up(LabSpec::sites(&["fra"]))?;
    lab.fleet(&FleetOptions::default())?;
    lab.compose_up("fra1", "edge")?;
    lab.run_foreign("fra1", "backup", Some(8080))?;
    let names: Vec<_> = lab
        .containers("fra1")?
        .into_iter()
        .map(|it| it.name)
        .collect();
    assert_eq!(names, ["backup", "edge_front_1"]);
    let serves = || lab.get("http://10.53.1.1:8080/healthz").is_ok();
    wait_until("the backup serves", Duration::from_secs(10), serves)?;
    let project = &lab.containers("fra1")?[1].labels["com.docker.compose.project"];
    assert_eq!(project, "edge");
    Ok(())
}
