//! BIND grants what it should and no more, the secondary follows, and can be kept from it.

use std::io::Write as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::lab::ground::bind::{Bind, KEY, WEAK_KEY};
use crate::lab::ground::program::wait_until;
use crate::lab::spec::{PRIMARY, RECORD, SECONDARY};
use crate::lab::{Lab, LabSpec, Server};

const MARK: &str = "update add _cleanslate.www.example.com. 2 TXT v=1 seq=1";
const OUT: &str = "update delete www.example.com. A 10.53.1.1";

#[test]
fn the_key_may_change_the_record_and_its_marker_and_nothing_else() -> Result<()> {
    let lab = Lab::up(LabSpec::sites(&["fra", "nyc"]))?;
    for granted in [MARK, OUT, "update add www.example.com. 2 AAAA fd53::9"] {
        assert_eq!(update(&lab, KEY, granted)?, "", "{granted}");
    }
    for refused in [
        "update add www.example.com. 2 TXT no",
        "update add other.example.com. 2 A 10.53.9.9",
        "update add _cleanslate.other.example.com. 2 TXT no",
        "update add ns1.example.com. 2 A 10.53.9.9",
    ] {
        assert!(update(&lab, KEY, refused)?.contains("REFUSED"), "{refused}");
    }
    assert_eq!(
        update(&lab, WEAK_KEY, "update add www.example.com. 2 A 10.53.1.1")?,
        ""
    );
    assert!(update(&lab, WEAK_KEY, MARK)?.contains("REFUSED"));
    let answer = lab.query(PRIMARY.into(), RECORD)?;
    assert_eq!(
        (answer.marker_value("seq"), answer.marker_ttl),
        (Some("1"), Some(2))
    );
    Ok(())
}

#[test]
fn a_secondary_follows_at_once_unless_it_is_kept_from_it() -> Result<()> {
    let lab = Lab::up(LabSpec {
        soa_refresh: 5,
        ..LabSpec::sites(&["fra", "nyc"])
    })?;
    assert_eq!(update(&lab, KEY, MARK)?, "");
    let marked = || {
        lab.query(SECONDARY.into(), RECORD)
            .is_ok_and(|it| !it.marker.is_empty())
    };
    wait_until("the secondary follows", Duration::from_secs(1), marked)?;

    lab.deafen_secondary()?;
    assert_eq!(update(&lab, KEY, OUT)?, "");
    std::thread::sleep(Duration::from_millis(500));
    let [primary, secondary] = lab.query_both(RECORD)?;
    assert_eq!((primary.addresses.len(), secondary.addresses.len()), (1, 2));
    lab.unblock("ns2")?;
    let followed = || {
        lab.query(SECONDARY.into(), RECORD)
            .is_ok_and(|it| it.addresses.len() == 1)
    };
    wait_until(
        "the secondary asks by itself",
        Duration::from_secs(20),
        followed,
    )
}

#[test]
fn the_second_of_two_updates_reaches_the_secondary_only_after_the_notify_delay() -> Result<()> {
    let lab = Lab::up(LabSpec::sites(&["fra", "nyc"]).notify_delay(5))?;
    assert_eq!(update(&lab, KEY, MARK)?, "");
    assert_eq!(update(&lab, KEY, OUT)?, "");
    let started = Instant::now();
    let followed = || {
        lab.query(SECONDARY.into(), RECORD)
            .is_ok_and(|it| it.addresses.len() == 1)
    };
    wait_until("the secondary follows", Duration::from_secs(10), followed)?;
    assert!(
        started.elapsed() > Duration::from_secs(2),
        "after {:?}",
        started.elapsed()
    );
    Ok(())
}

#[test]
fn an_update_whose_answer_is_lost_was_carried_out() -> Result<()> {
    let lab = Lab::up(LabSpec::sites(&["fra", "nyc"]))?;
    lab.lose_answers("ns1")?;
    let said = update(&lab, KEY, OUT)?;
    assert!(
        said.contains("timed out") || said.contains("Communication"),
        "{said}"
    );
    assert_eq!(lab.query(PRIMARY.into(), RECORD)?.addresses.len(), 1);
    lab.unblock("ns1")?;
    assert_eq!(update(&lab, KEY, MARK)?, "");
    Ok(())
}

#[test]
fn a_primary_keeps_its_zone_over_a_kill_and_carries_out_late_what_it_got_while_frozen() -> Result<()>
{
    let lab = Lab::up(LabSpec::sites(&["fra", "nyc"]))?;
    assert_eq!(update(&lab, KEY, OUT)?, "");
    lab.kill_server(Server::Primary)?;
    assert!(lab.query(PRIMARY.into(), RECORD).is_err());
    lab.start_server(Server::Primary)?;
    assert_eq!(lab.query(PRIMARY.into(), RECORD)?.addresses.len(), 1);

    lab.freeze_server(Server::Primary)?;
    assert_ne!(update(&lab, KEY, MARK)?, "");
    lab.thaw_server(Server::Primary)?;
    let marked = || {
        lab.query(PRIMARY.into(), RECORD)
            .is_ok_and(|it| !it.marker.is_empty())
    };
    wait_until("the late UPDATE", Duration::from_secs(5), marked)
}

/// One UPDATE by `nsupdate`, once and over TCP; what it complained of.
fn update(lab: &Lab, key: &str, line: &str) -> Result<String> {
    let key = Bind::key_file(&lab.dir, key).display().to_string();
    let mut nsupdate = lab.in_core(&[
        "nsupdate", "-v", "-r", "0", "-t", "2", "-u", "2", "-k", &key,
    ]);
    nsupdate
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut nsupdate = nsupdate
        .spawn()
        .context("no nsupdate: run tests/lab/install.sh")?;
    let script = format!("server {PRIMARY}\nzone example.com.\n{line}\nsend\n");
    nsupdate
        .stdin
        .take()
        .context("a pipe")?
        .write_all(script.as_bytes())?;
    let output = nsupdate.wait_with_output()?;
    Ok(
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat())
            .trim()
            .to_owned(),
    )
}
