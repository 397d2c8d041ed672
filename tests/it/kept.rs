//! Good releases are kept: by tags in the registry, on hosts, and so that one can go back to them.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bollard::query_parameters::ListImagesOptionsBuilder;

use crate::lab::ground::program::{finish, wait_until};
use crate::lab::images::Push;
use crate::lab::inspect::block_on;
use crate::lab::spec::REGISTRY;
use crate::lab::{FleetOptions, ImageKind, Lab, LabSpec, Server, Service};
use crate::program::Run;
use crate::scene::{Scene, check_at_rest, check_recreated, ids, night, run};

const HOSTS: [&str; 2] = ["fra1", "nyc1"];
const IMAGES: [&str; 2] = ["web", "worker"];

#[test]
fn the_last_two_good_releases_outlive_the_registry_s_cleaning_up_and_are_gone_back_to() -> Result<()>
{
    let (lab, options) = keeping(2)?;
    let staging = push(&lab, "staging", "v9")?;
    let mut releases = Vec::new();
    for version in ["v1", "v2", "v3"] {
        releases.push(push(&lab, "master", version)?);
        night(&lab)?.expect(0)?;
    }
    for (at, name) in IMAGES.iter().enumerate() {
        let kept = keep_tags(&lab, name)?;
        ensure!(kept.len() == 2, "{name}: {kept:?}");
        for (version, release) in [("v2", &releases[1]), ("v3", &releases[2])] {
            let tag = kept.iter().find(|tag| tag.contains(version));
            let tag = tag.with_context(|| format!("none of {version}: {kept:?}"))?;
            ensure!(lab.digest(name, tag)? == release[at], "{tag}");
        }
        ensure!(lab.digest(name, "master")? == releases[2][at]);
        ensure!(lab.digest(name, "staging")? == staging[at]);
    }
    for host in HOSTS {
        let held = on_host(&lab, host)?;
        let holds = |release: &Vec<String>| release.iter().all(|digest| held.contains(digest));
        ensure!(releases[1..].iter().all(holds), "{host}: {held:?}");
        // When fra's images were cleaned up, the third was not good yet: nyc had not passed it.
        let is_last = host == "nyc1";
        ensure!(holds(&releases[0]) != is_last, "{host}: {held:?}");
    }
    let told = run(&lab, &["release", "status"])?.expect(0)?;
    told.says(&["kept as release-v2.", "kept as release-v3."])?;
    let told = run(&lab, &["release", "status", "--json"])?.expect(0)?;
    let images = &told.json()?["images"];
    ensure!(
        images[0]["kept"][0]["digest"] == releases[2][0].as_str(),
        "{told}"
    );
    let audit = run(&lab, &["audit", "--json"])?.expect(0)?;
    audit.says(&["keep_tag_put", "keep_tag_removed"])?;

    collect_garbage(&lab)?;
    ensure!(
        lab.retag("web", &releases[0][0], "found").is_err(),
        "nothing kept the first"
    );
    // The good one before, though no channel has named it since.
    let back = [
        "release",
        "rollback",
        "master",
        "--service",
        "front",
        "--to",
    ];
    let back = [&back[..], &[releases[1][0].as_str(), "--yes"]].concat();
    run(&lab, &back)?.expect(0)?;
    ensure!(lab.digest("web", "master")? == releases[1][0]);
    let before = ids(&lab, &HOSTS)?;
    night(&lab)?.expect(0)?;
    let expected = [releases[1][0].clone(), releases[2][1].clone()];
    check_recreated(&lab, &HOSTS, &options, &before, &expected)?;
    check_at_rest(&lab, &["fra", "nyc"])?;
    lab.lost_nobody()
}

#[test]
fn a_registry_that_is_away_delays_keep_tags_and_no_night_and_names_of_others_stay() -> Result<()> {
    let (lab, _) = keeping(1)?;
    let day = jiff::Timestamp::now().strftime("%-m.%-d");
    let theirs = format!("release-v1.{day}.1");
    lab.push_as(&Push::new(ImageKind::WebHealthcheck, "web", &theirs).version("theirs"))?;
    let named = lab.digest("web", &theirs)?;
    let mut first = Run::start(&lab, &["rotate", "nightly", "--json"])?;
    first.await_site("withdrawn", "nyc")?;
    lab.kill_server(Server::Registry)?;
    first.end()?.expect(0)?.says(&["keep-tags: "])?;
    lab.start_server(Server::Registry)?;
    ensure!(keep_tags(&lab, "worker")?.is_empty());

    night(&lab)?.expect(0)?;
    ensure!(keep_tags(&lab, "web")?.len() == 2, "theirs, and ours");
    ensure!(lab.digest("web", &theirs)? == named);
    ensure!(keep_tags(&lab, "worker")?.len() == 1);

    // A coordinator does it beside whatever else it does.
    push(&lab, "master", "v2")?;
    let server = crate::serving::serve(&lab)?;
    crate::serving::await_socket(&lab)?;
    run(&lab, &["rotate", "nightly"])?.expect(0)?;
    let is_done = || {
        let kept = keep_tags(&lab, "web").unwrap_or_default();
        let has = |version: &str| kept.iter().any(|tag| tag.starts_with(version));
        kept.len() == 2 && kept.contains(&theirs) && has("release-v2.")
    };
    wait_until(
        "the coordinator keeps v2 alone",
        Duration::from_secs(30),
        is_done,
    )?;
    ensure!(lab.digest("web", &theirs)? == named);
    server.signal("TERM")?;
    server.end()?.expect(0)?;
    lab.lost_nobody()
}

/// Two sites that run two images each.
fn keeping(keep: u32) -> Result<(Scene, FleetOptions)> {
    let lab = Lab::up(LabSpec::sites(&["fra", "nyc"]))?;
    push(&lab, "master", "v1")?;
    let worker = format!("{REGISTRY}/worker:${{CHANNEL}}");
    let options = FleetOptions {
        services: vec![Service::web("front"), Service::new("worker", &worker)],
        channels: vec!["staging".to_owned(), "master".to_owned()],
        min_in_service: Some(1),
        more_site_toml: format!("[release]\nkeep = {keep}\n"),
        ..FleetOptions::default()
    };
    lab.fleet(&options)?;
    lab.start_services(&options)?;
    lab.wait_serving()?;
    Ok((Scene::with_users(lab)?, options))
}

/// The digests of both.
fn push(lab: &Lab, tag: &str, version: &str) -> Result<Vec<String>> {
    let kinds = [ImageKind::WebHealthcheck, ImageKind::Worker];
    let images = kinds.into_iter().zip(IMAGES);
    let images = images.map(|(kind, name)| Push::new(kind, name, tag).version(version));
    lab.push_all(&images.collect::<Vec<_>>())?;
    let digests = IMAGES.iter().map(|name| lab.digest(name, tag));
    digests.collect()
}

fn keep_tags(lab: &Lab, name: &str) -> Result<Vec<String>> {
    let (status, body) = lab.get(&format!("http://{REGISTRY}/v2/{name}/tags/list"))?;
    ensure!(status == 200, "{body}");
    let told: serde_json::Value = serde_json::from_str(&body)?;
    let tags = told["tags"].as_array().context("a list of tags")?;
    let tags = tags.iter().filter_map(|tag| tag.as_str());
    let kept = tags.filter(|tag| tag.starts_with("release-v"));
    Ok(kept.map(str::to_owned).collect())
}

/// The digests of every image that a host holds.
fn on_host(lab: &Lab, host: &str) -> Result<BTreeSet<String>> {
    let docker = lab.docker(host)?;
    let options = ListImagesOptionsBuilder::default().digests(true).build();
    let images = block_on(async { docker.list_images(Some(options)).await })?;
    let names = images.iter().flat_map(|image| &image.repo_digests);
    let digests = names.filter_map(|name| name.split_once('@'));
    Ok(digests.map(|(_, digest)| digest.to_owned()).collect())
}

/// As its owner does now and then, with the registry stopped.
fn collect_garbage(lab: &Lab) -> Result<()> {
    let config = lab.dir.join("registry/config.yml").display().to_string();
    let collect = [
        "docker-registry",
        "garbage-collect",
        "--delete-untagged",
        &config,
    ];
    lab.kill_server(Server::Registry)?;
    finish(&mut lab.in_core(&collect))?;
    lab.start_server(Server::Registry)
}
