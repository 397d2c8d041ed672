//! Users and watcher see what is wrong: a judge that never says no proves nothing.

use std::time::Duration;

use anyhow::Result;

use crate::lab::eyes::request::Reason;
use crate::lab::eyes::watcher::Change;
use crate::lab::ground::program::wait_until;
use crate::lab::inspect::Answer;
use crate::lab::spec::{PRIMARY, RECORD};
use crate::lab::{FleetOptions, History, ImageKind, Lab, LabSpec, Load, Service, Users, Watcher};

#[test]
fn users_count_every_request_to_a_site_that_dies_in_service() -> Result<()> {
    let lab = Lab::up(LabSpec::sites(&["fra", "nyc"]))?;
    lab.start_services(&FleetOptions::default())?;
    lab.wait_serving()?;
    let watcher = Watcher::start(&lab)?;
    let users = Users::start(&lab, 100, 20)?;
    lab.kill_engine("fra1")?;
    std::thread::sleep(Duration::from_secs(2));
    let report = users.stop()?;
    assert!(report.by_site["fra"].lost > 50, "{report}");
    assert_eq!(report.by_site["nyc"].lost, 0, "{report}");
    assert_eq!(
        report.sent,
        report.ok + report.lost.len() as u64,
        "{report}"
    );
    assert!(
        report
            .lost
            .iter()
            .all(|lost| lost.cached_for_ms <= lost.ttl_ms + 3000),
        "{report}"
    );
    assert!(
        !watcher.stop().ever_empty(RECORD),
        "the record still has both sites"
    );
    Ok(())
}

#[test]
fn users_know_errors_from_pages() -> Result<()> {
    let lab = Lab::up(LabSpec::sites(&["fra"]))?;
    lab.push(ImageKind::Answers500, "v2")?;
    let service = Service {
        publish: Some(80),
        ..Service::new("front", &lab.image("web", "v2"))
    };
    lab.start_services(&FleetOptions {
        services: vec![service],
        ..FleetOptions::default()
    })?;
    wait_until("the site answers", Duration::from_secs(20), || {
        lab.get("http://10.53.1.1/").is_ok()
    })?;
    let report = Users::start(&lab, 50, 5)?.stop()?;
    assert_eq!(report.ok, 0, "{report}");
    assert!(
        report
            .lost
            .iter()
            .all(|lost| lost.reason == Reason::Status(500)),
        "{report}"
    );
    Ok(())
}

#[test]
fn users_with_kept_connections_and_ipv6_lose_nothing() -> Result<()> {
    let lab = Lab::up(LabSpec::sites(&["fra", "nyc"]).dual_stack())?;
    lab.start_services(&FleetOptions::default())?;
    lab.wait_serving()?;
    let load = Load {
        rate: 100,
        users: 20,
        keep_alive: 10,
        ipv6: 10,
        ..Load::default()
    };
    let users = Users::start_with(&lab, &load)?;
    std::thread::sleep(Duration::from_secs(2));
    let report = users.stop()?;
    assert_eq!(report.lost, [], "{report}");
    Ok(())
}

#[test]
fn the_history_counts_sets_markers_and_absences() {
    let full = ["10.53.1.1", "10.53.2.1", "10.53.3.1"];
    let changes = vec![
        seen(1, RECORD, &full, 1, "A"),
        seen(2, RECORD, &full[1..], 2, "B"),
        seen(3, RECORD, &full, 3, "C"),
    ];
    let (left, back) = (changes[1].at, changes[2].at);
    let history = History { changes };
    assert_eq!(
        (history.min_size(RECORD, false), history.ever_empty(RECORD)),
        (2, false)
    );
    assert_eq!(history.marker_changes(PRIMARY.into(), RECORD), 2);
    let absences = history.absences(PRIMARY.into(), RECORD, [10, 53, 1, 1].into());
    assert_eq!(absences, [(left, Some(back))]);
}

#[test]
fn each_check_of_the_watcher_turns_red_for_what_it_is_there_for() {
    const API: &str = "api.example.com.";
    let spec = LabSpec::default().record(API, &["fra", "nyc"]);
    let all = ["10.53.1.1", "10.53.2.1", "10.53.3.1"];
    // What every record shows at one time, from fra, nyc and sin.
    let look = |at, www: &[&str], api: &[&str], seq, nonce| {
        let records = [(RECORD, www), (API, api)];
        records.map(|(record, set)| seen(at, record, set, seq, nonce))
    };
    let good = [
        look(1, &all, &all[..2], 1, "A"),
        look(2, &all[1..], &all[1..2], 2, "B"),
        look(3, &all, &all[..2], 3, "C"),
    ];
    let broken_by = |bad: [Change; 2]| -> Vec<&str> {
        let changes = good.iter().flatten().chain(&bad).cloned().collect();
        let broken = History { changes }.broken(&spec);
        broken.into_iter().map(|(check, _)| check.name).collect()
    };
    let changed = |change: &dyn Fn(&mut Answer)| {
        let mut last = look(4, &all, &all[..2], 4, "D");
        change(last[1].answer.as_mut().expect("an answer"));
        broken_by(last)
    };
    assert_eq!(changed(&|_| {}), [""; 0]);
    assert_eq!(
        broken_by(look(4, &[], &[], 4, "D")),
        ["never empty", "floor", "one site out"]
    );
    assert_eq!(
        broken_by(look(4, &all[..1], &all[..1], 4, "D")),
        ["floor", "one site out"]
    );
    let two_nights = look(4, &all[..2], &all[1..2], 4, "D");
    assert!(broken_by(two_nights).contains(&"one site out"));
    assert_eq!(
        broken_by(look(4, &all[1..], &all[..2], 4, "D")),
        ["a site together"]
    );
    let dirty = |answer: &mut Answer| answer.marker.push("dirty=sin,nyc".to_owned());
    let mut last = look(4, &all, &all[..2], 4, "D");
    last.iter_mut()
        .filter_map(|change| change.answer.as_mut())
        .for_each(dirty);
    assert_eq!(broken_by(last), ["dirty is out"]);
    assert!(changed(&dirty).contains(&"markers alike"));
    assert_eq!(
        broken_by(look(4, &all, &all[..2], 3, "D")),
        ["marker rises"]
    );
    assert_eq!(
        broken_by(look(4, &all, &all[..2], 4, "B")),
        ["nonce is new"]
    );
    assert_eq!(changed(&|answer| answer.ttl = Some(300)), ["TTL stays"]);
}

/// A change as the watcher writes it down.
fn seen(at: i64, record: &str, addresses: &[&str], seq: u32, nonce: &str) -> Change {
    let addresses = addresses.iter().map(|it| it.parse().expect("an address"));
    Change {
        at: jiff::Timestamp::from_second(at).expect("a second of 1970"),
        server: PRIMARY.into(),
        record: record.to_owned(),
        answer: Some(Answer {
            addresses: addresses.collect(),
            ttl: Some(2),
            marker: vec![
                "epoch=1".to_owned(),
                format!("seq={seq}"),
                format!("nonce={nonce}"),
            ],
            ..Answer::default()
        }),
    }
}
