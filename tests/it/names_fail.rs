//! Name servers fail in the middle of a night: they freeze, die, fill their disk, hear everything
//! twice, or come back with what they once had.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::lab::faultd::{Fault, Kind, NamesProxy};
use crate::lab::spec::{PRIMARY, RECORD};
use crate::lab::{ContainerView, FleetOptions, LabSpec, Server, Watcher};
use crate::program::Run;
use crate::scene::{
    FRA, Scene, check_at_rest, check_in_dns, ids, marker, nsupdate, run, two_sites, two_sites_of,
};

const SITES: [&str; 2] = ["fra", "nyc"];
const SOON: Duration = Duration::from_secs(30);

#[test]
fn a_primary_that_freezes_with_an_update_on_its_way_is_waited_for_and_nothing_else_is_sent()
-> Result<()> {
    let (lab, options) = two_sites()?;
    let proxy = behind_a_proxy(&lab, &options)?;
    let watcher = Watcher::start(&lab)?;

    // One name server is down: users of its stale answers would go on to the site.
    lab.kill_server(Server::Secondary)?;
    let refused = run(&lab, &FRA)?.expect(5)?;
    refused.says(&["10.53.0.54", "does not answer"])?;
    lab.start_server(Server::Secondary)?;

    let mut night = Run::start(&lab, &FRA)?;
    night.await_event("the plan", SOON, |event| event.name() == "rotation_planned")?;
    let sent = proxy.caught().len();
    proxy.next(Kind::Update, &[Fault::Pass, Fault::Hold]);
    proxy.await_updates(sent + 2, SOON)?;
    lab.freeze_server(Server::Primary)?;
    proxy.release();
    // Longer than an UPDATE is waited for, and several questions after it.
    std::thread::sleep(Duration::from_secs(10));
    ensure!(
        proxy.caught().len() == sent + 2,
        "another UPDATE went out while one was unknown"
    );
    lab.thaw_server(Server::Primary)?;
    let ended = night.end()?.expect(0)?;
    ensure!(proxy.caught()[sent + 1].codes == [0], "it was carried out");
    let history = watcher.stop();
    let absences = history.absences(PRIMARY.into(), RECORD, lab.spec.addresses("fra")[0]);
    ensure!(absences.len() == 1, "fra left once: {absences:?}\n{ended}");
    history.check(&lab.spec)?;
    check_at_rest(&lab, &SITES)?;
    lab.lost_nobody()
}

#[test]
fn updates_that_come_twice_and_those_of_last_night_change_nothing() -> Result<()> {
    let (lab, options) = two_sites()?;
    let proxy = behind_a_proxy(&lab, &options)?;
    let watcher = Watcher::start(&lab)?;
    proxy.all(Kind::Update, Fault::Double);
    run(&lab, &FRA)?.expect(0)?;
    let mut caught = proxy.caught();
    // The first proves the key, changes nothing, and may come as often as it likes.
    ensure!(caught.remove(0).codes == [0, 0] && caught.len() >= 5);
    for update in &caught {
        let twice = update.codes.as_slice();
        ensure!(matches!(twice, [0, 7 | 8]), "{twice:?}");
    }
    let replay = |when: &str| -> Result<()> {
        let before = lab.query(PRIMARY.into(), RECORD)?;
        for update in &caught {
            let code = proxy.replay(&lab, &update.message)?;
            // NXRRSET, or after a while NOTAUTH: it was signed too long ago.
            ensure!(matches!(code, 7..=9), "{when}: {code}");
        }
        let after = lab.query(PRIMARY.into(), RECORD)?;
        ensure!(after == before, "{when}: {before:?} became {after:?}");
        Ok(())
    };
    replay("the same night")?;
    proxy.all(Kind::Update, Fault::Pass);
    let mut night = Run::start(&lab, &FRA)?;
    night.await_site("draining", "fra")?;
    replay("in the next night")?;
    night.end()?.expect(0)?;
    replay("after it")?;
    watcher.stop().check(&lab.spec)?;
    check_at_rest(&lab, &SITES)?;
    lab.lost_nobody()
}

#[test]
fn a_primary_that_is_killed_again_and_again_and_has_no_space_forgets_nothing() -> Result<()> {
    let (lab, _) = two_sites_of(LabSpec {
        primary_disk: Some("8m".to_owned()),
        ..LabSpec::sites(&SITES)
    })?;
    let watcher = Watcher::start(&lab)?;
    let mut night = Run::start(&lab, &FRA)?;
    for event in [
        "visit_started",
        "ready",
        "withdrawn",
        "draining",
        "drained",
        "recreated",
    ] {
        night.await_site(event, "fra")?;
        lab.kill_server(Server::Primary)?;
        lab.start_server(Server::Primary)?;
    }
    let ended = night.end()?;
    ensure!(matches!(ended.code, Some(0 | 3)), "{ended}");
    run(&lab, &FRA)?.expect(0)?;
    check_at_rest(&lab, &SITES)?;

    let mut night = Run::start(&lab, &FRA)?;
    night.await_site("draining", "fra")?;
    lab.fill_primary_disk()?;
    use_up_the_last_page(&lab);
    let out = marker(&lab, "seq")?;
    night.await_site("drained", "fra")?;
    std::thread::sleep(Duration::from_secs(4));
    ensure!(marker(&lab, "seq")? == out, "nothing could be written");
    let stands = lab.containers("fra1")?;
    ensure!(stands.iter().any(|it| it.state == "running"), "{stands:?}");
    lab.free_primary_disk()?;
    nsupdate(&lab, "update delete www.example.com. AAAA")?;
    let ended = night.end()?;
    ensure!(matches!(ended.code, Some(0 | 3)), "{ended}");
    check_at_rest(&lab, &SITES)?;
    watcher.stop().check(&lab.spec)?;
    lab.lost_nobody()
}

#[test]
fn a_zone_that_was_restored_or_emptied_by_somebody_stops_everything_until_a_person_looks()
-> Result<()> {
    let (lab, _) = two_sites()?;
    run(&lab, &FRA)?.expect(0)?;
    let copy = lab.dir.join("ns1-copy");
    restart_primary(
        &lab,
        &["cp", "-r", &words(&lab.primary.dir()), &words(&copy)],
    )?;
    run(&lab, &FRA)?.expect(0)?;
    let before = ids(&lab, &["fra1", "nyc1"])?;

    let back = format!(
        "rm -r {0} && cp -r {1} {0}",
        words(&lab.primary.dir()),
        words(&copy)
    );
    restart_primary(&lab, &["sh", "-c", &back])?;
    let refused = run(&lab, &FRA)?;
    ensure!(matches!(refused.code, Some(3..=5)), "{refused}");
    refused.says(&["backwards", "take-over"])?;
    ensure!(
        ids(&lab, &["fra1", "nyc1"])? == before,
        "nothing was touched"
    );
    // The secondary has the newer zone, and keeps it until somebody takes it away.
    lab.kill_server(Server::Secondary)?;
    std::fs::remove_file(lab.dir.join("ns2/zone.db"))?;
    lab.start_server(Server::Secondary)?;
    run(&lab, &["take-over", "--reason", "the zone was restored"])?.expect(0)?;
    run(&lab, &FRA)?.expect(0)?;
    check_at_rest(&lab, &SITES)?;

    // Somebody empties the record while fra is out.
    let before = ids(&lab, &["fra1"])?;
    let mut night = Run::start(&lab, &FRA)?;
    night.await_site("draining", "fra")?;
    nsupdate(&lab, "update delete www.example.com. A")?;
    let ended = night.end()?.expect(3)?;
    ended.event_of("put_back", "fra")?;
    ended.says(&["somebody emptied the RRset www.example.com. A"])?;
    check_in_dns(&lab, &["fra"])?;
    let now: Vec<_> = lab.containers("fra1")?;
    let serves = |it: &ContainerView| it.state == "running" && before.contains(&it.id);
    ensure!(now.iter().any(serves), "as it was: {now:?}");
    nsupdate(&lab, "update add www.example.com. 2 A 10.53.2.1")?;
    check_at_rest(&lab, &SITES)
}

/// A full disk still takes what fits into the journal's last page.
fn use_up_the_last_page(lab: &Scene) {
    let lines = [
        "add www.example.com. 2 AAAA fd53::9",
        "delete www.example.com. AAAA",
    ];
    let mut lines = lines.iter().cycle();
    while lines
        .next()
        .is_some_and(|line| nsupdate(lab, &format!("update {line}")).is_ok())
    {}
}

/// The fleet's files name the proxy where the primary was.
fn behind_a_proxy(lab: &Scene, options: &FleetOptions) -> Result<NamesProxy> {
    let proxy = NamesProxy::before(lab, (PRIMARY, 53).into())?;
    lab.fleet(&FleetOptions {
        primary: proxy.address,
        ..options.clone()
    })?;
    Ok(proxy)
}

/// Kills the primary, does something to its folder, and starts it.
fn restart_primary(lab: &Scene, argv: &[&str]) -> Result<()> {
    lab.kill_server(Server::Primary)?;
    crate::lab::ground::program::run(argv)?;
    lab.start_server(Server::Primary)
}

fn words(path: &std::path::Path) -> String {
    path.display().to_string()
}
