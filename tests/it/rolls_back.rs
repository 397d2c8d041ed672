//! A release that fails, with `then = "last_good"`: its first site serves yesterday's images again, from
//! its hosts' own copies, and nobody else takes it.

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;

use crate::lab::images::Push;
use crate::lab::spec::RECORD;
use crate::lab::{FleetOptions, ImageKind, Lab, Server, Watcher};
use crate::program::{Ended, Run, check_complete};
use crate::scene::{FRA, Scene, check_at_rest, check_recreated, edit, ids, run, status, two_sites};

const SITES: [&str; 2] = ["fra", "nyc"];

#[test]
fn a_release_that_dies_at_once_is_rolled_back_without_a_registry_and_barred_until_it_is_cleared()
-> Result<()> {
    let (lab, options) = passed()?;
    let good = lab.digest("web", "master")?;
    let before = ids(&lab, &["fra1"])?;
    let rest = ids(&lab, &["nyc1"])?;
    lab.push_as(&Push::new(ImageKind::DiesAtOnce, "web", "master").version("v2"))?;
    let bad = lab.digest("web", "master")?;
    let watcher = Watcher::start(&lab)?;

    let ended = night_without_registry(&lab)?.expect(6)?;
    rolled_back(&ended, &bad)?;
    ended.says(&["release clear"])?;
    check_recreated(
        &lab,
        &["fra1"],
        &options,
        &before,
        std::slice::from_ref(&good),
    )?;
    ensure!(ids(&lab, &["nyc1"])? == rest, "nobody else was touched");
    let fra = run(&lab, &["history", "--json"])?.expect(0)?.to_string();
    ensure!(fra.contains("halted"), "{fra}");
    failed_ones_are_kept(&lab)?;

    // The next one is refused by name, until a person says that it was not the image.
    let refused = run(&lab, &["rotate", "nightly", "--json"])?.expect(4)?;
    refused.says(&["barred", bad.as_str(), "fra"])?;
    let told = status(&lab)?;
    ensure!(told["barred"][0]["digest"] == bad.as_str(), "{told}");
    ensure!(told["next"].to_string().contains("release clear"), "{told}");
    let clear = [
        "release",
        "clear",
        bad.as_str(),
        "--reason",
        "it was the network",
        "--yes",
    ];
    run(&lab, &clear)?.expect(0)?;
    run(&lab, &clear)?.expect(4)?.says(&["not barred"])?;
    let audit = run(&lab, &["audit", "--json"])?.expect(0)?;
    ensure!(audit.to_string().contains("digest_cleared"), "{audit}");
    let planned = run(&lab, &["plan", "nightly"])?;
    ensure!(planned.code == Some(0), "{planned}");

    // A release that works is taken by all.
    lab.push_as(&Push::new(ImageKind::WebHealthcheck, "web", "master").version("v3"))?;
    run(&lab, &["rotate", "nightly", "--json"])?.expect(0)?;
    check_at_rest(&lab, &SITES)?;
    drawn(&lab, &good, &bad)?;
    ensure!(
        watcher.stop().min_size(RECORD, false) == 1,
        "the floor did not hold"
    );
    lab.lost_nobody()
}

/// The nights as pictures: what fra went back to and from is there, and what nyc runs on with.
fn drawn(lab: &Scene, good: &str, bad: &str) -> Result<()> {
    let short = |digest: &str| digest["sha256:".len()..][..12].to_owned();
    let (good, bad) = (short(good), short(bad));
    let svg = run(lab, &["release", "history", "--svg", "-"])?.expect(0)?;
    let went_back = format!("{good}, rolled back from {bad}");
    svg.says(&["<svg ", &went_back, &format!("{good}, not visited")])?;
    let page = lab.dir.join("night.html");
    let page = page.to_str().context("a path")?;
    run(lab, &["report", "--html", page])?.expect(0)?;
    let text = std::fs::read_to_string(page)?;
    for there in ["class=\"timeline\"", went_back.as_str(), "completed"] {
        ensure!(text.contains(there), "{there}\n{text}");
    }
    let nowhere = "/nowhere/night.html";
    let refused = run(lab, &["report", "--html", nowhere])?.expect(2)?;
    refused.says(&["cannot write", nowhere])?;
    let told = drawn_elsewhere(lab)?;
    let here = svg.stdout.replace("edge: what ran", "What ran");
    ensure!(told == here, "{told}\n{here}");
    Ok(())
}

/// The same, read from a coordinator over its API.
fn drawn_elsewhere(lab: &Scene) -> Result<String> {
    let listen = "[api]\nlisten = \"127.0.0.1:8443\"\n\n[dns]";
    edit(lab, "site.toml", "[dns]", listen)?;
    let token = ["token", "create", "--role", "viewer", "--name", "ana"];
    let token = run(lab, &token)?.expect(0)?.stdout;
    let server = crate::serving::serve(lab)?;
    crate::serving::await_socket(lab)?;
    let api = ["--api", "http://127.0.0.1:8443"];
    let ask = |arguments: &[&str]| {
        let mut command = lab.cleanslate(&[&api[..], arguments].concat());
        let output = command.env("CLEANSLATE_TOKEN", token.trim()).output()?;
        ensure!(output.status.success(), "{output:?}");
        Ok(String::from_utf8(output.stdout)?)
    };
    let page = ask(&["report", "--html", "-"])?;
    ensure!(page.contains("rolled back from"), "{page}");
    let svg = ask(&["release", "history", "--svg", "-"])?;
    server.signal("TERM")?;
    server.end()?.expect(0)?;
    Ok(svg)
}

#[test]
fn one_that_answers_500_or_dies_after_20_seconds_is_met_by_nobody() -> Result<()> {
    let (lab, options) = passed()?;
    let playbook = "playbooks/nightly.toml";
    edit(&lab, playbook, "[soak]", "[verify]\nfor = \"30s\"\n[soak]")?;
    let good = [lab.digest("web", "master")?];
    for (version, kind) in [
        ("v2", ImageKind::Answers500),
        ("v3", ImageKind::DiesAfter(20)),
    ] {
        let before = ids(&lab, &["fra1"])?;
        lab.push_as(&Push::new(kind, "web", "master").version(version))?;
        let bad = lab.digest("web", "master")?;
        let ended = night_without_registry(&lab)?.expect(6)?;
        rolled_back(&ended, &bad)?;
        check_recreated(&lab, &["fra1"], &options, &before, &good)?;
        check_at_rest(&lab, &SITES)?;
    }
    lab.lost_nobody()
}

#[test]
fn one_that_dies_in_service_leaves_and_is_rolled_back_too() -> Result<()> {
    let (lab, options) = passed()?;
    let playbook = "playbooks/nightly.toml";
    let soak = "for = \"20s\"\ntraffic_within";
    edit(&lab, playbook, "for = \"2s\"\ntraffic_within", soak)?;
    let good = [lab.digest("web", "master")?];
    let before = ids(&lab, &["fra1"])?;
    lab.push_as(&Push::new(ImageKind::DiesAfter(14), "web", "master").version("v2"))?;
    let bad = lab.digest("web", "master")?;
    let ended = night_without_registry(&lab)?.expect(6)?;
    rolled_back(&ended, &bad)?;
    check_recreated(&lab, &["fra1"], &options, &before, &good)?;
    check_at_rest(&lab, &SITES)
}

/// What the failed containers wrote last and how they ended is read in the morning, of each attempt.
fn failed_ones_are_kept(lab: &Lab) -> Result<()> {
    let words = "cannot open /etc/app.conf";
    let report = run(lab, &["report", "--json"])?.expect(0)?.json()?;
    let fra = report["sites"].as_array().context("no sites")?;
    let fra = fra.iter().find(|site| site["site"] == "fra");
    let kept = fra.and_then(|fra| fra["evidence"].as_array());
    let kept = kept.context("nothing is kept of fra")?;
    let is_theirs = |one: &&serde_json::Value| {
        one["failed"] == true
            && one["state"] == "exited"
            && one["exit_code"] == 1
            && one["logs"].as_str().is_some_and(|log| log.contains(words))
    };
    let of_them = kept.iter().filter(is_theirs).count();
    ensure!(of_them >= 3, "of three attempts: {report}");
    let before = kept.iter().filter(|one| one["failed"] == false).count();
    ensure!(before > 0, "and what ran before: {report}");
    let shown = run(lab, &["report"])?.expect(0)?;
    shown.says(&["failed, exited with exit code 1", words])?;
    Ok(())
}

/// A night whose registry is switched off once its images are there.
fn night_without_registry(lab: &Lab) -> Result<Ended> {
    let mut night = Run::start(lab, &FRA)?;
    night.await_site("withdrawn", "fra")?;
    lab.kill_server(Server::Registry)?;
    let ended = night.end()?;
    lab.start_server(Server::Registry)?;
    Ok(ended)
}

/// It was, and served again soon after the verdict.
fn rolled_back(ended: &Ended, bad: &str) -> Result<()> {
    check_complete(&ended.events);
    let began = ended.event_of("rolling_back", "fra")?;
    ensure!(began.0["barred"].to_string().contains(bad), "{}", began.0);
    ended.event_of("rolled_back", "fra")?;
    ended.event("rotation_halted")?;
    let mut after = ended
        .events
        .iter()
        .skip_while(|it| !it.is("rolling_back", "fra"));
    let back = after.find(|it| it.is("restored", "fra"));
    let at = |text: &str| text.parse::<Timestamp>();
    let back = at(back.context("it was not restored")?.text("at"))?;
    let took = back.duration_since(at(began.text("at"))?);
    ensure!(took.as_secs() <= 30, "back after {took}");
    Ok(())
}

/// Two sites that have passed a night, and whose playbook has the last good images as a way back.
fn passed() -> Result<(Scene, FleetOptions)> {
    let (lab, options) = two_sites()?;
    let playbook = "playbooks/nightly.toml";
    edit(
        &lab,
        playbook,
        "then = \"quarantine\"",
        "then = \"last_good\"",
    )?;
    run(&lab, &["rotate", "nightly", "--json"])?.expect(0)?;
    Ok((lab, options))
}
