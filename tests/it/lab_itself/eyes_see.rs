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
fn the_history_knows_an_empty_set_a_marker_that_went_back_and_an_absence() {
    let mut seconds = 0;
    let mut change = |addresses: &[&str], seq: u32, nonce: &str| {
        seconds += 1;
        let marker = [
            "epoch=1".to_owned(),
            format!("seq={seq}"),
            format!("nonce={nonce}"),
        ];
        Change {
            at: jiff::Timestamp::from_second(seconds).expect("a second of 1970"),
            server: PRIMARY.into(),
            record: RECORD.to_owned(),
            answer: Some(Answer {
                addresses: addresses
                    .iter()
                    .map(|it| it.parse().expect("an address"))
                    .collect(),
                ttl: Some(2),
                marker: marker.to_vec(),
                ..Answer::default()
            }),
        }
    };
    let good = vec![
        change(&["10.53.1.1", "10.53.2.1"], 1, "A"),
        change(&["10.53.2.1"], 2, "B"),
        change(&["10.53.1.1", "10.53.2.1"], 3, "C"),
    ];
    let history = History {
        changes: good.clone(),
    };
    assert_eq!(
        (history.min_size(RECORD, false), history.ever_empty(RECORD)),
        (1, false)
    );
    assert_eq!(history.marker_changes(PRIMARY.into(), RECORD), 2);
    history.check_marker(RECORD).expect("seq rose");
    let absences = history.absences(PRIMARY.into(), RECORD, [10, 53, 1, 1].into());
    assert_eq!(absences, [(good[1].at, Some(good[2].at))]);

    for (bad, why) in [
        (change(&[], 3, "D"), "before it"),
        (change(&[], 4, "A"), "came again"),
    ] {
        let history = History {
            changes: [good.clone(), vec![bad]].concat(),
        };
        assert!(history.ever_empty(RECORD));
        let error = history.check_marker(RECORD).expect_err(why).to_string();
        assert!(error.contains(why), "{error}");
    }
}
