//! Tags are promoted and rolled back, nights take them, and a promotion that is killed, fails or meets
//! somebody else ends with all tags old or all new.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::lab::faultd::{Flow, FlowProxy, Speaks};
use crate::lab::images::Push;
use crate::lab::spec::REGISTRY;
use crate::lab::{FleetOptions, ImageKind, Lab, LabSpec, Service, Watcher};
use crate::program::Run;
use crate::scene::{Scene, check_at_rest, check_recreated, edit, ids, night, run};

const HOSTS: [&str; 2] = ["fra1", "nyc1"];
const PROMOTE: [&str; 6] = ["release", "promote", "staging", "master", "--yes", "--json"];

#[test]
fn a_release_is_promoted_taken_by_a_night_rolled_back_and_taken_again() -> Result<()> {
    let (lab, options) = five_images()?;
    let scene = served(lab, &options)?;
    let watcher = Watcher::start(&scene)?;
    let old = digests(&scene, "master")?;
    let new = digests(&scene, "staging")?;
    ensure!(old != new);
    night(&scene)?.expect(0)?;

    let promoted = run(
        &scene,
        &[&PROMOTE[..], &["--reason", "good in staging"]].concat(),
    )?;
    let promoted = promoted.expect(0)?.json()?;
    ensure!(
        promoted["moves"].as_array().is_some_and(|it| it.len() == 5),
        "{promoted}"
    );
    ensure!(digests(&scene, "master")? == new, "byte for byte");
    ensure!(digests(&scene, "staging")? == new);
    let before = ids(&scene, &HOSTS)?;
    night(&scene)?.expect(0)?;
    check_recreated(&scene, &HOSTS, &options, &before, &new)?;
    let again = run(&scene, &PROMOTE)?.expect(0)?.json()?;
    ensure!(
        again["moves"].as_array().is_some_and(Vec::is_empty),
        "{again}"
    );

    // In the morning it is found bad; a coordinator runs.
    let server = crate::serving::serve(&scene)?;
    crate::serving::await_socket(&scene)?;
    let rollback = [
        "release",
        "rollback",
        "master",
        "--yes",
        "--reason",
        "checkout fails",
    ];
    run(&scene, &rollback)?.expect(0)?.says(&["5 tags moved"])?;
    ensure!(digests(&scene, "master")? == old, "what every site passed");
    let before = ids(&scene, &HOSTS)?;
    run(&scene, &["rotate", "nightly"])?.expect(0)?;
    check_recreated(&scene, &HOSTS, &options, &before, &old)?;
    // Neither what was given up, nor anything before it.
    run(&scene, &rollback)?
        .expect(4)?
        .says(&["no move that could be taken back"])?;

    let told = run(&scene, &["release", "history", "--json", "-n", "100"])?
        .expect(0)?
        .json()?;
    let moves = told["moves"].as_array().cloned().unwrap_or_default();
    let of = |cause: &str| moves.iter().filter(|it| it["cause"] == cause).count();
    ensure!((of("promote"), of("rollback")) == (5, 5), "{told}");
    let last = &moves[0];
    ensure!(
        last["reason"] == "checkout fails" && last["who"] == "root",
        "{last}"
    );
    ensure!(
        last["passed"]["fra"].is_string() && last["passed"]["nyc"].is_string(),
        "{last}"
    );
    let told = run(&scene, &["release", "status", "--json"])?
        .expect(0)?
        .json()?;
    ensure!(
        told["images"].as_array().is_some_and(|it| it.len() == 5),
        "{told}"
    );
    let tags = &told["images"][0]["tags"];
    ensure!(
        tags[0]["channel"] == "staging" && tags[1]["channel"] == "master",
        "{told}"
    );
    ensure!(tags[1]["moved"]["cause"] == "rollback", "{told}");
    ensure!(
        tags[1]["sites"][0]["digest"] == tags[1]["now"]["digest"],
        "{told}"
    );

    server.signal("TERM")?;
    server.end()?.expect(0)?;
    run(&scene, &["audit", "verify"])?.expect(0)?;
    check_at_rest(&scene, &["fra", "nyc"])?;
    watcher.stop().check(&scene.spec)?;
    scene.lost_nobody()
}

#[test]
fn a_promotion_of_five_images_that_is_killed_at_any_step_is_finished_by_the_next_start()
-> Result<()> {
    let (lab, proxy, _) = behind_a_proxy()?;
    let (old, new) = (digests(&lab, "master")?, digests(&lab, "staging")?);
    // Before each PUT, and before each is read back: what it asked of a tag before is three.
    let puts = REPOSITORIES.map(|name| (format!("PUT /v2/{name}/manifests/master"), 0));
    let reads = REPOSITORIES.map(|name| (format!("HEAD /v2/{name}/manifests/master"), 3));
    for (line, passes) in puts.iter().chain(&reads) {
        proxy.on(line, *passes, Flow::Pass);
        proxy.on(line, 1, Flow::Hold);
        let seen = count(&proxy, line);
        let promotion = Run::start(&lab, &PROMOTE)?;
        await_line(&proxy, line, seen + passes + 1)?;
        promotion.kill()?;
        proxy.mend();
        let half = digests(&lab, "master")?;
        let next = run(&lab, &PROMOTE)?.expect(0)?;
        next.says(&["was interrupted: it is finished or taken back first"])?;
        ensure!(
            digests(&lab, "master")? == new,
            "after {line}: from {half:?}\n{next}"
        );
        back_to(&lab, &old)?;
    }
    Ok(())
}

#[test]
fn a_promotion_that_cannot_be_finished_is_taken_back() -> Result<()> {
    let (lab, proxy, _) = behind_a_proxy()?;
    let old = digests(&lab, "master")?;
    let third = format!("PUT /v2/{}/manifests/master", REPOSITORIES[2]);
    proxy.on(&third, usize::MAX, broken());
    let promotion = Run::start(&lab, &PROMOTE)?;
    await_line(&proxy, &third, 2)?;
    promotion.kill()?;
    ensure!(digests(&lab, "master")? != old, "it was half done");
    let status = run(&lab, &["release", "status", "--json"])?
        .expect(0)?
        .json()?;
    ensure!(
        status["open"] == "promote staging master of root",
        "{status}"
    );
    let refused = run(&lab, &PROMOTE)?.expect(4)?;
    refused.says(&["500", "every tag is as it was before"])?;
    ensure!(digests(&lab, "master")? == old, "{refused}");
    proxy.mend();

    // One 500 is no reason: it is asked again.
    proxy.on(&third, 1, broken());
    run(&lab, &PROMOTE)?.expect(0)?;
    ensure!(digests(&lab, "master")? == digests(&lab, "staging")?);
    back_to(&lab, &old)?;
    // The registry does it, and its answer is lost.
    proxy.on(&third, 1, Flow::DropAnswer);
    run(&lab, &PROMOTE)?.expect(0)?;
    ensure!(digests(&lab, "master")? == digests(&lab, "staging")?);
    Ok(())
}

#[test]
fn somebody_else_who_moves_a_tag_meanwhile_is_named_and_given_way() -> Result<()> {
    let (lab, proxy, _) = behind_a_proxy()?;
    let old = digests(&lab, "master")?;
    let second = format!("PUT /v2/{}/manifests/master", REPOSITORIES[1]);
    proxy.on(&second, 1, Flow::Hold);
    let promotion = Run::start(&lab, &PROMOTE)?;
    await_line(&proxy, &second, 1)?;
    let theirs = lab.push_as(&Push::new(kind(3), REPOSITORIES[3], "master").version("theirs"))?;
    proxy.mend();
    let stopped = promotion.end()?.expect(3)?;
    stopped.says(&[
        "somebody else moved",
        REPOSITORIES[3],
        "as it was before, but for these",
    ])?;
    let mut expected = old;
    expected[3] = theirs;
    ensure!(digests(&lab, "master")? == expected, "{stopped}");
    // What was done is told; nothing is open.
    let told = run(&lab, &["release", "history", "--json"])?
        .expect(0)?
        .json()?;
    ensure!(told["moves"].to_string().contains("\"undo\""), "{told}");
    run(&lab, &PROMOTE)?.expect(0)?;
    ensure!(digests(&lab, "master")? == digests(&lab, "staging")?);
    Ok(())
}

#[test]
fn a_promotion_in_the_middle_of_a_night_is_told_and_taken_by_the_next() -> Result<()> {
    let (lab, options) = crate::scene::two_sites()?;
    lab.push_as(&Push::new(ImageKind::WebHealthcheck, "web", "staging").version("v2"))?;
    let (old, new) = (lab.digest("web", "master")?, lab.digest("web", "staging")?);
    let before = ids(&lab, &HOSTS)?;
    let mut first = Run::start(&lab, &["rotate", "nightly", "--json"])?;
    first.await_site("restored", "fra")?;
    run(&lab, &PROMOTE)?.expect(0)?;
    ensure!(lab.digest("web", "master")? == new);
    let ended = first.end()?.expect(0)?;
    ended.event("tag_moved")?;
    check_recreated(&lab, &HOSTS, &options, &before, &[old])?;
    let before = ids(&lab, &HOSTS)?;
    night(&lab)?.expect(0)?;
    check_recreated(&lab, &HOSTS, &options, &before, &[new])?;
    lab.lost_nobody()
}

#[test]
fn a_pinned_site_stays_where_it_is_until_its_pin_ends() -> Result<()> {
    let (lab, options) = crate::scene::two_sites()?;
    lab.push_as(&Push::new(ImageKind::WebHealthcheck, "web", "staging").version("v2"))?;
    let (old, new) = (lab.digest("web", "master")?, lab.digest("web", "staging")?);
    let pin = |until: &str| format!("pin = {{ front = \"{old}\", until = {until} }}\n");
    let (holds, ended) = (pin("2999-12-31"), pin("2026-01-31"));
    edit(
        &lab,
        "site.toml",
        "[site.fra]\n",
        &format!("[site.fra]\n{holds}"),
    )?;
    let promoted = run(&lab, &PROMOTE)?.expect(0)?;
    let stays = format!("fra is pinned to {} (front) until 2999-12-31", &old[7..19]);
    promoted.says(&[&format!("{stays}: it does not take it"), "nyc takes it"])?;
    let promoted = promoted.json()?;
    let takes = &promoted["takes"];
    ensure!(takes[0]["pinned"]["services"]["front"] == old, "{promoted}");
    ensure!(takes[1]["pinned"].is_null(), "{promoted}");

    let before = ids(&lab, &HOSTS)?;
    let planned = night(&lab)?.expect(0)?;
    let planned = planned.event("rotation_planned")?;
    ensure!(planned.0["pinned"]["fra"].is_object(), "{}", planned.0);
    check_recreated(&lab, &["fra1"], &options, &before, &[old])?;
    let of_tag = std::slice::from_ref(&new);
    check_recreated(&lab, &["nyc1"], &options, &before, of_tag)?;
    for command in [&["status"][..], &["plan"], &["release", "status"]] {
        run(&lab, command)?.expect(0)?.says(&[&stays])?;
    }

    edit(&lab, "site.toml", &holds, &ended)?;
    let check = run(&lab, &["check"])?.expect(0)?;
    check.says(&["fra takes tags again: its pin ended on 2026-01-31, remove it"])?;
    let before = ids(&lab, &HOSTS)?;
    night(&lab)?.expect(0)?;
    check_recreated(&lab, &HOSTS, &options, &before, &[new])?;
    check_at_rest(&lab, &["fra", "nyc"])?;
    lab.lost_nobody()
}

const REPOSITORIES: [&str; 5] = ["web", "one", "two", "three", "four"];

fn kind(at: usize) -> ImageKind {
    match at {
        0 => ImageKind::WebHealthcheck,
        _ => ImageKind::Worker,
    }
}

/// What a tag of each image names.
fn digests(lab: &Lab, tag: &str) -> Result<Vec<String>> {
    let digests = REPOSITORIES.iter().map(|name| lab.digest(name, tag));
    digests.collect()
}

fn back_to(lab: &Lab, old: &[String]) -> Result<()> {
    for (name, digest) in REPOSITORIES.iter().zip(old) {
        lab.retag(name, digest, "master")?;
    }
    Ok(())
}

fn pushed(lab: &Lab) -> Result<()> {
    let mut images = Vec::new();
    for (at, name) in REPOSITORIES.iter().enumerate() {
        for (tag, version) in [("master", "v1"), ("staging", "v2")] {
            images.push(Push::new(kind(at), name, tag).version(version));
        }
    }
    lab.push_all(&images).map(drop)
}

fn options(registry: &str) -> FleetOptions {
    let service = |(at, name): (usize, &&str)| {
        let image = format!("{registry}/{name}:${{CHANNEL}}");
        match at {
            0 => Service {
                image,
                ..Service::web("front")
            },
            _ => Service::new(name, &image),
        }
    };
    FleetOptions {
        services: REPOSITORIES.iter().enumerate().map(service).collect(),
        channels: vec!["staging".to_owned(), "master".to_owned()],
        min_in_service: Some(1),
        ..FleetOptions::default()
    }
}

/// Two sites that run five images each.
fn five_images() -> Result<(Lab, FleetOptions)> {
    let lab = Lab::up(LabSpec::sites(&["fra", "nyc"]))?;
    pushed(&lab)?;
    let options = options(REGISTRY);
    lab.fleet(&options)?;
    Ok((lab, options))
}

fn served(lab: Lab, options: &FleetOptions) -> Result<Scene> {
    lab.start_services(options)?;
    lab.wait_serving()?;
    Scene::with_users(lab)
}

/// A fleet whose registry is behind a proxy; nothing of it runs.
fn behind_a_proxy() -> Result<(Lab, FlowProxy, FleetOptions)> {
    let lab = Lab::up(LabSpec::sites(&["fra", "nyc"]))?;
    pushed(&lab)?;
    let proxy = FlowProxy::before(&lab, REGISTRY.parse()?, Speaks::Http)?;
    let at = proxy.address;
    let options = FleetOptions {
        more_site_toml: format!("[registry.\"{at}\"]\ninsecure = true\n"),
        ..options(&at.to_string())
    };
    lab.fleet(&options)?;
    Ok((lab, proxy, options))
}

fn broken() -> Flow {
    Flow::Say {
        status: "500 Internal Server Error",
        header: "X-Why: none",
    }
}

fn count(proxy: &FlowProxy, line: &str) -> usize {
    proxy.seen().iter().filter(|it| it.contains(line)).count()
}

fn await_line(proxy: &FlowProxy, line: &str, times: usize) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(60);
    while count(proxy, line) < times {
        ensure!(Instant::now() < deadline, "no {line}: {:?}", proxy.seen());
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
