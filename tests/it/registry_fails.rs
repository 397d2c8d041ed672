//! The registry fails while images are on their way: a site whose images are not whole stays.

use anyhow::{Result, ensure};

use crate::lab::faultd::{Flow, FlowProxy, Speaks};
use crate::lab::images::Push;
use crate::lab::spec::{RECORD, REGISTRY};
use crate::lab::{FleetOptions, ImageKind, Lab, LabSpec, Server, Service, Watcher};
use crate::program::Run;
use crate::scene::{FRA, Scene, check_at_rest, check_recreated, ids, run, two_sites};

const SITES: [&str; 2] = ["fra", "nyc"];

#[test]
fn images_that_come_spoiled_are_fetched_again_and_a_registry_that_says_no_costs_no_site()
-> Result<()> {
    let (lab, proxy, options) = behind_a_proxy()?;
    let watcher = Watcher::start(&lab)?;
    let before = ids(&lab, &["fra1"])?;
    lab.push_as(&Push::new(ImageKind::WebHealthcheck, "web", "master").version("v2"))?;
    let digests = [lab.digest("web", "master")?];

    let busy = Flow::Say {
        status: "429 Too Many Requests",
        header: "Retry-After: 60",
    };
    proxy.on("/manifests/master", usize::MAX, busy);
    run(&lab, &FRA)?.expect(5)?.says(&["429"])?;
    proxy.mend();

    let broken = Flow::Say {
        status: "500 Internal Server Error",
        header: "X-Why: none",
    };
    proxy.on("/manifests/sha256", usize::MAX, broken);
    let refused = run(&lab, &FRA)?.expect(3)?;
    refused.event_of("site_skipped", "fra")?.text("why");
    proxy.mend();
    ensure!(ids(&lab, &["fra1"])? == before, "nothing of ours is left");
    let address = lab.spec.addresses("fra")[0];
    let servers = [crate::lab::spec::PRIMARY, crate::lab::spec::SECONDARY];
    let left = |server: &std::net::Ipv4Addr| {
        let history = watcher.history();
        !history
            .absences((*server).into(), RECORD, address)
            .is_empty()
    };
    ensure!(!servers.iter().any(left), "fra left DNS");

    proxy.on("/blobs/", 1, Flow::CutAfter(100));
    proxy.on("/blobs/", 1, Flow::FlipAt(50));
    // Which blob it hits says whether the engine fetches it again by itself.
    let spoiled = run(&lab, &FRA)?;
    let fetched = spoiled.code == Some(0) && spoiled.has("images_pulled", "fra");
    let refused = spoiled.code == Some(3) && !spoiled.has("withdrawn", "fra");
    ensure!(fetched || refused, "{spoiled}");
    proxy.mend();

    let mut night = Run::start(&lab, &FRA)?;
    night.await_site("images_pulled", "fra")?;
    // From here on nobody needs it.
    lab.kill_server(Server::Registry)?;
    let ended = night.end()?;
    lab.start_server(Server::Registry)?;
    ended.expect(0)?;
    check_recreated(&lab, &["fra1"], &options, &before, &digests)?;
    watcher.stop().check(&lab.spec)?;
    check_at_rest(&lab, &SITES)?;
    lab.lost_nobody()
}

#[test]
fn a_tag_that_moves_between_two_sites_is_told_and_the_night_ends_on_what_it_began_with()
-> Result<()> {
    let (lab, options) = two_sites()?;
    let before = ids(&lab, &["fra1", "nyc1"])?;
    let digests = [lab.digest("web", "master")?];
    let mut night = Run::start(&lab, &["rotate", "nightly", "--json"])?;
    night.await_site("restored", "fra")?;
    lab.push_as(&Push::new(ImageKind::WebHealthcheck, "web", "master").version("v2"))?;
    let ended = night.end()?.expect(0)?;
    ended.event("tag_moved")?;
    check_recreated(&lab, &["fra1", "nyc1"], &options, &before, &digests)?;
    check_at_rest(&lab, &SITES)?;
    lab.lost_nobody()
}

/// Two sites whose images come through a proxy.
fn behind_a_proxy() -> Result<(Scene, FlowProxy, FleetOptions)> {
    let lab = Lab::up(LabSpec::sites(&SITES))?;
    lab.push_as(&Push::new(ImageKind::WebHealthcheck, "web", "master").version("v1"))?;
    let proxy = FlowProxy::before(&lab, REGISTRY.parse()?, Speaks::Http)?;
    let at = proxy.address;
    let front = Service {
        image: format!("{at}/web:${{CHANNEL}}"),
        ..Service::web("front")
    };
    let options = FleetOptions {
        services: vec![front],
        min_in_service: Some(1),
        more_site_toml: format!("[registry.\"{at}\"]\ninsecure = true\n"),
        ..FleetOptions::default()
    };
    lab.fleet(&options)?;
    lab.start_services(&options)?;
    lab.wait_serving()?;
    Ok((Scene::with_users(lab)?, proxy, options))
}
