//! What somebody did to a site by day is found by `drift`, gone after the night, and in its report.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::lab::ground::program::wait_until;
use crate::lab::images::Push;
use crate::lab::spec::REGISTRY;
use crate::lab::{FleetOptions, ImageKind, Lab, LabSpec, Server, Service};
use crate::program::Run;
use crate::scene::{FRA, Scene, edit, run};

#[test]
fn what_was_done_to_a_site_is_found_gone_after_a_visit_and_told_in_its_report() -> Result<()> {
    let lab = fleet()?;
    run(&lab, &FRA)?.expect(0)?;
    let clean = run(&lab, &["drift", "fra"])?.expect(0)?;
    clean.says(&["fra: as declared; last recreated by nightly-"])?;

    tamper(&lab)?;
    let expected = [
        "programs edge-front-1",
        "other_digest edge-app-1",
        "by_hand edge-worker-2",
        "stray miner",
        "other_spec edge-cache-1",
        "extra edge/worker",
        "oom_killed edge-hungry-1",
        "not_running edge-hungry-1",
        "restarted edge-shaky-1",
        "missing edge/hungry",
        "missing edge/gone",
    ];
    let expected: BTreeSet<String> = expected.map(str::to_owned).into();
    let drift = run(&lab, &["drift", "fra", "--json"])?.expect(4)?;
    let site = drift.json()?["sites"][0].clone();
    ensure!(kinds(&site)? == expected, "{drift}");
    let programs = &site["findings"][0];
    ensure!(
        programs["changes"] == serde_json::json!(["D /bin/ps", "A /usr/bin/xmrig"]),
        "{programs}"
    );
    let text = run(&lab, &["drift", "fra", "--paths"])?.expect(4)?;
    text.says(&[
        "fra: 11 findings",
        "D /bin/ps, A /usr/bin/xmrig (mode 755,",
        "next: cleanslate rebuild fra --reason TEXT",
        "inside fra1 edge-front-1",
        "/srv/deep: 30 added",
        "and 10 more",
    ])?;

    let night = run(&lab, &FRA)?.expect(0)?;
    let clean = run(&lab, &["drift", "fra"])?.expect(0)?;
    clean.says(&["fra: as declared"])?;
    let id = night.event("rotation_planned")?.0["rotation"].clone();
    let id = id.as_str().context("a rotation has an id")?;
    let report = run(&lab, &["report", id, "--json"])?.expect(0)?;
    let told = report.json()?["sites"][0].clone();
    ensure!(kinds(&told)? == expected, "{report}");
    ensure!(told["findings"] == site["findings"], "{report}");
    run(&lab, &["report", id])?.expect(0)?.says(&[
        "found, and not as declared:",
        "fra1 miner: belongs to no declared service",
        "/srv/deep: 30 added",
    ])?;
    let page = lab.dir.join("night.html").display().to_string();
    run(&lab, &["report", id, "--html", &page])?.expect(0)?;
    let page = std::fs::read_to_string(page)?;
    for there in [
        "A /usr/bin/xmrig",
        "/srv/deep",
        "30 added",
        "class=\"timeline\"",
    ] {
        ensure!(page.contains(there), "{there}: {page}");
    }
    Ok(())
}

#[test]
fn what_cannot_be_asked_is_said_and_is_no_finding() -> Result<()> {
    let lab = fleet()?;
    let fresh = run(&lab, &["drift", "fra"])?.expect(4)?;
    fresh.says(&["no visit is remembered here", "was not made by cleanslate"])?;
    let wrong = run(&lab, &["drift", "par"])?.expect(2)?;
    wrong.says(&["no site is called par", "use one of: fra, nyc"])?;

    let mut night = Run::start(&lab, &FRA)?;
    night.await_site("draining", "fra")?;
    let meanwhile = run(&lab, &["drift", "fra"])?.expect(5)?;
    meanwhile.says(&["fra: not known", "is being visited by nightly-"])?;
    night.end()?.expect(0)?;

    // What was pinned is remembered.
    lab.kill_server(Server::Registry)?;
    let silent = run(&lab, &["drift", "fra"])?.expect(0)?;
    silent.says(&["fra: as declared", REGISTRY, "cure:"])?;
    lab.start_server(Server::Registry)?;

    // A tag that has moved since is for the night.
    lab.push_as(&Push::new(ImageKind::WebHealthcheck, "web", "master").version("v2"))?;
    let behind = run(&lab, &["drift", "fra"])?.expect(0)?;
    behind.says(&[
        "also, fra1 edge-front-1: runs",
        "which the next visit takes",
    ])?;

    lab.kill_engine("fra1")?;
    let down = run(&lab, &["drift"])?;
    // The other site was never visited.
    let down = down.expect(4)?;
    down.says(&["fra: not known", "fra1: cannot reach the engine"])?;
    run(&lab, &["drift", "fra"])?.expect(5)?;
    lab.start_engine("fra1")
}

/// Two sites whose services can be tampered with, and nights that remove strays.
fn fleet() -> Result<Scene> {
    let lab = Lab::up(LabSpec::sites(&["fra", "nyc"]))?;
    lab.push_all(&[
        Push::new(ImageKind::WebHealthcheck, "web", "master").version("v1"),
        Push::new(ImageKind::WebHealthcheck, "web", "other").version("other"),
        Push::new(ImageKind::Worker, "worker", "master").version("v1"),
    ])?;
    let web = |name: &str| Service {
        publish: None,
        ..Service::web(name)
    };
    let worker = |name: &str| Service::new(name, &format!("{REGISTRY}/worker:${{CHANNEL}}"));
    let options = FleetOptions {
        services: vec![
            Service::web("front"),
            web("app"),
            web("shaky").with("restart: always"),
            worker("worker"),
            worker("cache"),
            worker("hungry"),
            worker("gone"),
        ],
        min_in_service: Some(1),
        ..FleetOptions::default()
    };
    lab.fleet(&options)?;
    let strays = "[recreate]\nstrays = \"remove\"\n[drain]";
    edit(&lab, "playbooks/nightly.toml", "[drain]", strays)?;
    lab.start_services(&options)?;
    lab.wait_serving()?;
    Scene::with_users(lab)
}

/// Everything that `drift` has a word for.
fn tamper(lab: &Lab) -> Result<()> {
    let script = "busybox mkdir -p /usr/bin /srv/deep; busybox cp /bin/busybox /usr/bin/xmrig;
        busybox chmod 755 /usr/bin/xmrig; busybox rm /bin/ps;
        for n in $(busybox seq 30); do echo $n > /srv/deep/$n; done";
    docker(lab, &["exec", "edge-front-1", "sh", "-c", script])?;
    let worker = docker(
        lab,
        &["inspect", "-f", "{{.Config.Image}}", "edge-worker-1"],
    )?;
    let labelled = |service: &str| format!("com.docker.compose.service={service}");
    for (name, service) in [("edge-worker-2", "worker"), ("miner", "miner")] {
        let (project, service) = ("com.docker.compose.project=edge", labelled(service));
        let labels = ["--label", project, "--label", &service];
        docker(
            lab,
            &[&["run", "-d", "--name", name][..], &labels, &[&worker]].concat(),
        )?;
    }
    // As programs do that update containers: everything is copied but the image.
    let other = format!("{REGISTRY}/web@{}", lab.digest("web", "other")?);
    put_in_its_place(lab, "edge-app-1", None, &[&other])?;
    put_in_its_place(lab, "edge-cache-1", Some("0000"), &[&worker])?;
    let eats = "x=$(busybox head -c 60000000 /dev/zero | busybox tr '\\0' a)";
    let hungry = ["--memory", "16m", &worker, "sh", "-c", eats];
    put_in_its_place(lab, "edge-hungry-1", None, &hungry)?;
    docker(lab, &["wait", "edge-hungry-1"])?;
    docker(lab, &["rm", "-f", "edge-gone-1"])?;
    // Ends, and is started again as it is declared.
    docker(lab, &["exec", "edge-shaky-1", "kill", "1"])?;
    wait_until("shaky is started again", Duration::from_secs(30), || {
        let restarts = "{{.RestartCount}} {{.State.Health.Status}}";
        let told = docker(lab, &["inspect", "-f", restarts, "edge-shaky-1"]);
        told.is_ok_and(|told| told == "1 healthy")
    })?;
    // It is as healthy as the one before.
    wait_until("app is healthy", Duration::from_secs(30), || {
        let told = docker(
            lab,
            &["inspect", "-f", "{{.State.Health.Status}}", "edge-app-1"],
        );
        told.is_ok_and(|told| told == "healthy")
    })
}

/// A container made by hand, under the name and the labels of the one that a visit made.
fn put_in_its_place(lab: &Lab, name: &str, spec: Option<&str>, args: &[&str]) -> Result<()> {
    let containers = lab.containers("fra1")?;
    let old = containers.into_iter().find(|it| it.name == name);
    let mut labels = old.with_context(|| format!("{name} is there"))?.labels;
    if let Some(spec) = spec {
        labels.insert("cleanslate.spec".to_owned(), spec.to_owned());
    }
    docker(lab, &["rm", "-f", name])?;
    let labels = labels
        .iter()
        .map(|(key, value)| format!("--label={key}={value}"));
    let labels: Vec<String> = labels.collect();
    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    let run = ["run", "-d", "--name", name];
    docker(lab, &[&run[..], &labels, args].concat()).map(drop)
}

/// `docker`, at the engine of fra.
fn docker(lab: &Lab, args: &[&str]) -> Result<String> {
    let (flag, host) = (
        "-H",
        format!("unix://{}", lab.engine("fra1").socket().display()),
    );
    let told = crate::lab::ground::program::run(&[&["docker", flag, &host][..], args].concat())?;
    Ok(told.trim().to_owned())
}

/// `KIND CONTAINER` of each finding of a site.
fn kinds(site: &Value) -> Result<BTreeSet<String>> {
    let findings = site["findings"].as_array().context("a site has findings")?;
    let told = findings.iter().map(|it| {
        let whose = it["container"].as_str().or(it["service"].as_str());
        let kind = it["kind"].as_str().context("a finding has a kind")?;
        Ok(format!("{kind} {}", whose.unwrap_or_default()))
    });
    told.collect()
}
