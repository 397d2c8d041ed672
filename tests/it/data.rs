//! Nothing is lost: data without a name stops a visit, what is kept is never stopped.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use bollard::exec::{CreateExecOptions, StartExecResults};
use bollard::query_parameters::ListVolumesOptions;
use futures_util::TryStreamExt as _;

use crate::lab::images::Push;
use crate::lab::inspect::block_on;
use crate::lab::{FleetOptions, ImageKind, Lab, LabSpec, Service};
use crate::program::Run;
use crate::scene::{Scene, check_at_rest, edit, ids, night, run};

const HOSTS: [&str; 3] = ["fra1", "nyc1", "sin1"];

#[test]
fn data_in_a_volume_without_a_name_stops_the_visit_until_it_gets_one() -> Result<()> {
    let lab = Lab::up(LabSpec::default())?;
    lab.push_as(&Push::new(ImageKind::WithVolume, "store", "master").version("v1"))?;
    let store = Service::new("store", "10.53.0.5:5000/store:${CHANNEL}");
    let options = FleetOptions {
        services: vec![Service::web("front"), store],
        ..FleetOptions::default()
    };
    lab.fleet(&options)?;
    HOSTS
        .iter()
        .try_for_each(|host| lab.compose_up(host, "edge"))?;
    lab.wait_serving()?;
    let lab = Scene::with_users(lab)?;
    let before = ids(&lab, &HOSTS)?;
    tell(&lab, "nyc1", "edge_store_1", "echo kept > /data/ours")?;
    let old = volumes(&lab, "nyc1")?;
    ensure!(old.len() == 1, "{old:?}");

    let ended = night(&lab)?.expect(3)?;
    for site in ["fra", "nyc", "sin"] {
        let skipped = ended.event_of("site_skipped", site)?;
        let (why, cure) = (skipped.text("why"), skipped.text("cure"));
        ensure!(
            why.contains("store") && why.contains("/data"),
            "{}",
            skipped.0
        );
        ensure!(
            cure.contains("anonymous = \"discard\"") || cure.contains("volumes"),
            "{cure}"
        );
    }
    ensure!(ids(&lab, &HOSTS)? == before, "nothing was touched");
    ensure!(tell(&lab, "nyc1", "edge_store_1", "cat /data/ours")?.contains("kept"));
    check_at_rest(&lab, &["fra", "nyc", "sin"])?;

    edit(
        &lab,
        "playbooks/nightly.toml",
        "[soak]",
        "[recreate]\nanonymous = \"discard\"\n[soak]",
    )?;
    night(&lab)?.expect(0)?;
    ensure!(ids(&lab, &HOSTS)?.is_disjoint(&before), "everything is new");
    for host in HOSTS {
        let left = volumes(&lab, host)?;
        ensure!(left.len() == 1, "{host}: the old one went: {left:?}");
        ensure!(host != "nyc1" || left != old, "{left:?}");
    }
    // One made by our own last visit of the service counts as said.
    edit(
        &lab,
        "playbooks/nightly.toml",
        "[recreate]\nanonymous = \"discard\"\n",
        "",
    )?;
    night(&lab)?.expect(0)?;
    check_at_rest(&lab, &["fra", "nyc", "sin"])?;
    lab.lost_nobody()
}

#[test]
fn a_named_volume_keeps_its_data_and_a_kept_service_is_never_stopped() -> Result<()> {
    let lab = Lab::up(LabSpec::default())?;
    lab.push_as(&Push::new(ImageKind::Worker, "worker", "master").version("v1"))?;
    lab.push_as(&Push::new(ImageKind::WithVolume, "store", "master").version("v1"))?;
    let store =
        Service::new("store", "10.53.0.5:5000/store:${CHANNEL}").with("volumes: [\"named:/data\"]");
    let cache = Service::new("cache", "10.53.0.5:5000/worker:${CHANNEL}")
        .with("x-cleanslate: { recreate: keep }");
    let options = FleetOptions {
        services: vec![Service::web("front"), store, cache],
        ..FleetOptions::default()
    };
    lab.fleet(&options)?;
    let compose = lab.fleet_dir().join("compose.yaml");
    let text = std::fs::read_to_string(&compose)? + "volumes:\n  named: {}\n";
    std::fs::write(&compose, text)?;
    HOSTS
        .iter()
        .try_for_each(|host| lab.compose_up(host, "edge"))?;
    lab.wait_serving()?;
    let lab = Scene::with_users(lab)?;
    tell(&lab, "nyc1", "edge_store_1", "echo kept > /data/ours")?;
    let cache = |host: &str| of_service(&lab, host, "cache");
    let kept = [cache("fra1")?, cache("nyc1")?, cache("sin1")?];

    let ended = night(&lab)?.expect(0)?;
    ensure!(
        [cache("fra1")?, cache("nyc1")?, cache("sin1")?] == kept,
        "{ended}"
    );
    let store = of_service(&lab, "nyc1", "store")?;
    ensure!(
        tell(&lab, "nyc1", &store.0, "cat /data/ours")?.contains("kept"),
        "{ended}"
    );
    check_at_rest(&lab, &["fra", "nyc", "sin"])?;
    drifted_is_told_and_left_alone(&lab, &kept)?;
    a_person_has_it_recreated(&lab, &kept)?;
    lab.lost_nobody()
}

/// Of the three sites: the kept container's id, and since when it runs.
type Kept = [(String, String); 3];

/// The tag of the kept service moves.
fn drifted_is_told_and_left_alone(lab: &Lab, kept: &Kept) -> Result<()> {
    let command = |site: &str| format!("cleanslate rebuild {site} --kept --reason TEXT");
    let cache = |host: &str| of_service(lab, host, "cache");
    lab.push_as(&Push::new(ImageKind::Worker, "worker", "master").version("v2"))?;
    let planned = run(lab, &["plan", "nightly"])?.expect(0)?;
    planned.says(&["nyc1: edge_cache_1 is kept and runs", &command("nyc")])?;
    let ended = night(lab)?.expect(0)?;
    for (site, host) in [("fra", "fra1"), ("nyc", "nyc1"), ("sin", "sin1")] {
        let drifted = ended.event_of("kept_drifted", site)?;
        ensure!(drifted.text("next") == command(site), "{}", drifted.0);
        ensure!(
            drifted.0["drifted"][0]
                .as_str()
                .is_some_and(|why| why.starts_with(&format!("{host}: edge_cache_1 is kept"))),
            "{}",
            drifted.0
        );
    }
    ensure!(
        [cache("fra1")?, cache("nyc1")?, cache("sin1")?] == *kept,
        "{ended}"
    );
    run(lab, &["status"])?
        .expect(0)?
        .says(&["edge_cache_1 is kept", &command("sin")])
}

/// `rebuild --kept`, once to its end and once interrupted.
fn a_person_has_it_recreated(lab: &Lab, kept: &Kept) -> Result<()> {
    let cache = |host: &str| of_service(lab, host, "cache");
    let args = ["rebuild", "nyc", "--kept", "--reason", "v2", "--json"];
    let ended = run(lab, &args)?.expect(0)?;
    ensure!(!ended.has("kept_drifted", "nyc"), "{ended}");
    let [fra, nyc, sin] = [cache("fra1")?, cache("nyc1")?, cache("sin1")?];
    ensure!(nyc.0 != kept[1].0, "{ended}");
    ensure!([&fra, &sin] == [&kept[0], &kept[2]], "{ended}");
    let store = of_service(lab, "nyc1", "store")?;
    ensure!(
        tell(lab, "nyc1", &store.0, "cat /data/ours")?.contains("kept"),
        "{ended}"
    );

    // Killed once all was recreated: whoever brings the site to safety makes it anew once more.
    let args = ["rebuild", "sin", "--kept", "--reason", "v2", "--json"];
    let mut killed = Run::start(lab, &args)?;
    killed.await_site("recreated", "sin")?;
    killed.kill()?;
    let half_way = cache("sin1")?;
    let args = ["rotate", "nightly", "--site", "fra", "--json"];
    let ended = run(lab, &args)?.expect(0)?;
    let sin = cache("sin1")?;
    ensure!(half_way.0 != kept[2].0 && sin.0 != half_way.0, "{ended}");

    // From now on it is kept again, as it is: a night neither stops it nor complains of it.
    let ended = night(lab)?.expect(0)?;
    ensure!(ended.has("kept_drifted", "fra"), "{ended}");
    for site in ["nyc", "sin"] {
        ensure!(!ended.has("kept_drifted", site), "{ended}");
    }
    ensure!(
        [cache("fra1")?, cache("nyc1")?, cache("sin1")?] == [fra, nyc, sin],
        "{ended}"
    );
    check_at_rest(lab, &["fra", "nyc", "sin"])
}

/// Id of the one container of a service, and since when it runs.
fn of_service(lab: &Lab, host: &str, service: &str) -> Result<(String, String)> {
    let mut found = lab.containers(host)?;
    found.retain(|it| {
        it.labels
            .get("com.docker.compose.service")
            .is_some_and(|it| it == service)
    });
    ensure!(found.len() == 1, "{host} has of {service}: {found:?}");
    let id = found.remove(0).id;
    let client = lab.docker(host)?;
    let inspected = block_on(async { client.inspect_container(&id, None).await })?;
    let state = inspected.state.context("a container has a state")?;
    Ok((id, state.started_at.unwrap_or_default()))
}

/// The names of all volumes of an engine.
fn volumes(lab: &Lab, host: &str) -> Result<BTreeSet<String>> {
    let client = lab.docker(host)?;
    let none = None::<ListVolumesOptions>;
    let listed = block_on(async { client.list_volumes(none).await })?;
    let volumes = listed.volumes.unwrap_or_default().into_iter();
    Ok(volumes.map(|volume| volume.name).collect())
}

/// Runs a line of shell in a container; what it printed.
/// Also what other tests leave behind in a container.
pub(crate) fn tell(lab: &Lab, host: &str, container: &str, script: &str) -> Result<String> {
    let client = lab.docker(host)?;
    let exec = CreateExecOptions {
        cmd: Some(vec![
            "/bin/sh".to_owned(),
            "-c".to_owned(),
            script.to_owned(),
        ]),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        ..Default::default()
    };
    block_on(async {
        let made = client.create_exec(container, exec).await?;
        let StartExecResults::Attached { output, .. } = client.start_exec(&made.id, None).await?
        else {
            anyhow::bail!("not attached");
        };
        let said: Vec<_> = output.try_collect().await?;
        Ok(said.iter().map(ToString::to_string).collect())
    })
}
