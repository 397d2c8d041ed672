//! A lab comes up whole and goes without a trace, however its owner ends.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};

use super::addresses;
use crate::lab::fleet::runner::lab_exe;
use crate::lab::ground::owner::tear_down_stale;
use crate::lab::ground::program::{command, run, wait_until};
use crate::lab::ground::teardown;
use crate::lab::spec::RECORD;
use crate::lab::{FleetOptions, Lab, LabSpec, Users, Watcher};

#[test]
fn a_lab_serves_its_record_and_its_sites_and_leaves_nothing() -> Result<()> {
    let lab = Lab::up(LabSpec::default())?;
    let id = lab.id.clone();
    lab.start_services(&FleetOptions::default())?;
    lab.wait_serving()?;
    for answer in lab.query_both(RECORD)? {
        assert_eq!(
            answer.addresses,
            addresses(&lab.spec, &["fra", "nyc", "sin"])
        );
        assert_eq!((answer.ttl, answer.marker), (Some(2), Vec::new()));
    }
    for site in ["fra", "nyc", "sin"] {
        let (status, body) = lab.get(&format!("http://{}/", lab.spec.addresses(site)[0]))?;
        assert_eq!(status, 200);
        assert!(
            body.starts_with(&format!("version=v1 site={site} host=")),
            "{body}"
        );
    }

    let watcher = Watcher::start(&lab)?;
    let users = Users::start(&lab, 300, 30)?;
    std::thread::sleep(Duration::from_secs(3));
    let report = users.stop()?;
    assert_eq!(
        (report.lost.as_slice(), report.sent),
        (&[][..], report.ok),
        "{report}"
    );
    assert!(
        report.sent > 850,
        "an open loop of 300 a second for 3 s: {report}"
    );
    assert_eq!(
        report.by_site.keys().collect::<Vec<_>>(),
        ["fra", "nyc", "sin"],
        "{report}"
    );
    assert_eq!(watcher.stop().min_size(RECORD, false), 3);

    assert!(
        !teardown::leftovers(&id).is_empty(),
        "what is there must be seen, or this is blind"
    );
    drop(lab);
    assert_eq!(teardown::leftovers(&id), Vec::<String>::new());
    Ok(())
}

#[test]
fn a_lab_of_two_hosts_a_site_serves_both_families() -> Result<()> {
    let lab = Lab::up(LabSpec::sites(&["fra", "nyc"]).hosts_each(2).dual_stack())?;
    lab.start_services(&FleetOptions::default())?;
    lab.wait_serving()?;
    assert_eq!(lab.query_both(RECORD)?[1].addresses.len(), 8);
    for host in ["fra1", "fra2", "nyc1", "nyc2"] {
        let v6 = lab
            .engine(host)
            .host
            .v6
            .context("a dual-stack host has an IPv6 address")?;
        assert_eq!(
            lab.get(&format!("http://[{v6}]/healthz"))?,
            (200, "ok\n\n".to_owned())
        );
    }
    Ok(())
}

#[test]
fn nothing_stays_behind_a_killed_owner() -> Result<()> {
    let (mut owner, _says, id) = start_owner()?;
    owner.kill()?;
    owner.wait()?;
    wait_until("the reaper is done", Duration::from_secs(20), || {
        teardown::leftovers(&id).is_empty()
    })
    .with_context(|| format!("left: {:?}", teardown::leftovers(&id)))
}

#[test]
fn nothing_stays_once_the_next_lab_comes_where_owner_and_reaper_were_killed() -> Result<()> {
    let (mut owner, _says, id) = start_owner()?;
    let reaper = run(&["pgrep", "--full", &format!("lab reap {id}")])?;
    run(&["kill", "-KILL", reaper.trim()])?;
    owner.kill()?;
    owner.wait()?;
    assert!(!teardown::leftovers(&id).is_empty());
    tear_down_stale();
    assert_eq!(teardown::leftovers(&id), Vec::<String>::new());
    Ok(())
}

/// `lab up` with running containers in a process of its own, what it has yet to say, and its id.
fn start_owner() -> Result<(Child, BufReader<ChildStdout>, String)> {
    let mut up = command(&[
        &lab_exe()?.display().to_string(),
        "up",
        "--sites",
        "fra,nyc",
    ]);
    let mut owner = up
        .stdout(Stdio::piped())
        .spawn()
        .context("failed to start `lab up`")?;
    let mut says = BufReader::new(owner.stdout.take().context("a pipe")?);
    let mut first = String::new();
    says.read_line(&mut first)?;
    let id = first
        .strip_prefix("lab ")
        .and_then(|rest| rest.split(' ').next());
    let id = id
        .with_context(|| format!("`lab up` said {first:?}"))?
        .to_owned();
    Ok((owner, says, id))
}
