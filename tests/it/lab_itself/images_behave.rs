//! Every kind of image does what its name says.

use std::time::Duration;

use anyhow::Result;
use bollard::models::HealthStatusEnum;

use crate::lab::ground::program::wait_until;
use crate::lab::images::Push;
use crate::lab::inspect::block_on;
use crate::lab::{FleetOptions, ImageKind, Lab, LabSpec, Service};

/// One lab for all of them, one service each, so that it takes seconds.
#[test]
fn images_behave_as_their_kind() -> Result<()> {
    let lab = Lab::up(LabSpec::sites(&["fra"]))?;
    let kinds = [
        ("dies", ImageKind::DiesAtOnce),
        ("later", ImageKind::DiesAfter(1)),
        ("sick", ImageKind::Unhealthy),
        ("healthy", ImageKind::WebHealthcheck),
        ("slow", ImageKind::SlowStart(8)),
        ("volume", ImageKind::WithVolume),
        ("job", ImageKind::Job),
        ("worker", ImageKind::Worker),
        ("stubborn", ImageKind::IgnoresSigterm),
        ("errors", ImageKind::Answers500),
    ];
    let pushes: Vec<_> = kinds
        .iter()
        .map(|(name, kind)| Push::new(*kind, name, "v7"))
        .collect();
    let digests = lab.push_all(&pushes)?;
    let ports = [("slow", 81), ("errors", 82), ("volume", 83)];
    let service = |(name, _): &(&str, ImageKind)| {
        let port = ports
            .iter()
            .find(|(published, _)| published == name)
            .map(|(_, port)| *port);
        Service {
            publish: port,
            ..Service::new(name, &lab.image(name, "v7"))
        }
    };
    let services = kinds.iter().map(service).collect();
    lab.start_services(&FleetOptions {
        services,
        ..FleetOptions::default()
    })?;
    assert!(lab.get("http://10.53.1.1:81/").is_err(), "it starts slowly");

    let within = Duration::from_secs(20);
    let status = || {
        lab.get("http://10.53.1.1:82/healthz")
            .map_or(0, |(status, _)| status)
    };
    wait_until("errors answers 500", within, || status() == 500)?;
    wait_until("dies exits 1", within, || {
        exit_code(&lab, "dies") == Some(1)
    })?;
    wait_until("later exits 1", within, || {
        exit_code(&lab, "later") == Some(1)
    })?;
    wait_until("job exits 0", within, || exit_code(&lab, "job") == Some(0))?;
    wait_until("sick is so", within, || {
        health(&lab, "sick") == Some(HealthStatusEnum::UNHEALTHY)
    })?;
    wait_until("healthy is", within, || {
        health(&lab, "healthy") == Some(HealthStatusEnum::HEALTHY)
    })?;
    wait_until("slow serves", within, || {
        lab.get("http://10.53.1.1:81/").is_ok()
    })?;

    assert_ne!(stop(&lab, "worker", 60)?, Some(KILLED));
    assert_ne!(
        stop(&lab, "volume", 60)?,
        Some(KILLED),
        "nginx ends on SIGQUIT"
    );
    assert_eq!(
        stop(&lab, "stubborn", 2)?,
        Some(KILLED),
        "only SIGKILL ends it"
    );

    let volume = lab
        .containers("fra1")?
        .into_iter()
        .find(|it| it.name == "edge-volume-1");
    assert_eq!(volume.map(|it| it.digests), Some(vec![digests[5].clone()]));
    Ok(())
}

#[test]
fn a_tag_moves_byte_for_byte() -> Result<()> {
    let lab = Lab::up(LabSpec::sites(&["fra"]))?;
    let v1 = lab.digest("web", "v1")?;
    let v2 = lab.push(ImageKind::Web, "v2")?;
    assert_ne!(v1, v2);
    assert_eq!(lab.retag("web", "v2", "master")?, v2);
    assert_eq!(lab.retag("web", &v1, "master")?, v1);
    assert_eq!(lab.digest("web", "master")?, v1);
    Ok(())
}

fn inspect(lab: &Lab, service: &str) -> Result<bollard::models::ContainerState> {
    let client = lab.docker("fra1")?;
    let name = format!("edge-{service}-1");
    let inspected = block_on(async { client.inspect_container(&name, None).await })?;
    Ok(inspected.state.unwrap_or_default())
}

fn exit_code(lab: &Lab, service: &str) -> Option<i64> {
    let state = inspect(lab, service).ok()?;
    (state.running == Some(false))
        .then_some(state.exit_code)
        .flatten()
}

fn health(lab: &Lab, service: &str) -> Option<HealthStatusEnum> {
    inspect(lab, service).ok()?.health?.status
}

/// What a container exits with that SIGKILL has ended.
const KILLED: i64 = 137;

/// Stops a container with so many seconds of grace; what it exits with.
fn stop(lab: &Lab, service: &str, grace: i32) -> Result<Option<i64>> {
    let client = lab.docker("fra1")?;
    let grace = bollard::query_parameters::StopContainerOptionsBuilder::default()
        .t(grace)
        .build();
    block_on(async {
        client
            .stop_container(&format!("edge-{service}-1"), Some(grace))
            .await
    })?;
    Ok(exit_code(lab, service))
}
