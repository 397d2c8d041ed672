//! A night as one file.
use super::shows::reported;
use super::story::quarantined;
use crate::api::page::sheet;
use crate::api::report::Report;
use crate::api::when::When;

const HOSTILE: &str = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>";

fn written(report: Report, has_logs: bool) -> String {
    let now = "2027-02-01T12:00:00Z".parse().unwrap();
    let runs = "<svg class=\"runs\"></svg>";
    sheet(report, Some(runs), has_logs, &When::utc(), now).unwrap()
}

#[test]
fn it_needs_nothing_else_and_runs_nothing() {
    let page = written(reported(HOSTILE.to_owned(), HOSTILE.to_owned()), true);
    for never in [
        "<script", "<img", "<link", "href=", " src=\"", "url(", "@import", "http",
    ] {
        assert!(!page.contains(never), "{never}");
    }
    for there in [
        "--ground:",
        "class=\"timeline\"",
        "<svg class=\"runs\">",
        "&#60;script&#62;alert(1)",
        "the night of 2027-01-15, told 2027-02-01 12:00 UTC",
    ] {
        assert!(page.contains(there), "{there}\n{page}");
    }
}

#[test]
fn logs_are_in_it_only_where_they_are_asked_for_and_then_whole() {
    let logs = format!("first{}last", " line".repeat(8000));
    let without = written(reported("edge-web-1".to_owned(), logs.clone()), false);
    assert!(!without.contains(&logs[..200]));
    let with = written(reported("edge-web-1".to_owned(), logs.clone()), true);
    assert!(with.contains(&logs));
}

#[test]
fn what_went_wrong_stands_with_its_cure_and_the_plan_with_its_digests() {
    let mut report = reported("edge-web-1".to_owned(), String::new());
    report.events = quarantined();
    let page = written(report, false);
    for there in [
        "<h2 id=\"problems\">What went wrong</h2>",
        "<strong>fra</strong>",
        "cleanslate rebuild fra --reason TEXT",
        "fra, then nyc, then sin",
        "registry.test:5000/web:master",
        "<code>020202020202</code>",
    ] {
        assert!(page.contains(there), "{there}\n{page}");
    }
}
