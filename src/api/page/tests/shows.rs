//! What stands on pages.
use askama::Template;
use jiff::tz::TimeZone;

use super::story::{at_rest, draining, night};
use crate::api::actor::Actor;
use crate::api::drift::{FindingReport, GroupReport};
use crate::api::http::Caller;
use crate::api::page::account::printable;
use crate::api::page::answer::{Frame, Here};
use crate::api::page::asking::{Act, Fields, Form};
use crate::api::page::board::Sight;
use crate::api::page::entry::Visitor;
use crate::api::page::report::Shown;
use crate::api::page::show::Show;
use crate::api::pinned::Pinned;
use crate::api::release::Waits;
use crate::api::report::{EvidenceReport, Report, SiteReport};
use crate::api::status::{BarredStatus, Next, ReleaseStatus};
use crate::api::token::Role;
use crate::api::when::When;
use crate::coordinator::tests::world::digest;
use crate::model::evidence::HealthCheck;

#[test]
fn what_is_barred_has_its_form_for_whoever_may_clear_it() {
    let mut sight = at_rest();
    let barred = BarredStatus {
        digest: digest(7),
        image: HOSTILE.to_owned(),
        site: "fra".parse().unwrap(),
        rotation: "nightly-1".parse().unwrap(),
        at: sight.at,
        why: HOSTILE.to_owned(),
    };
    sight.status.next = vec![Next {
        site: None,
        why: "barred".to_owned(),
        command: format!("cleanslate release clear {} --reason TEXT", digest(7)),
    }];
    sight.status.barred = vec![barred];
    let mut query = form_urlencoded::Serializer::new(String::new());
    let query = query.append_pair("digest", &digest(7).to_string()).finish();
    let link = format!("href=\"/ask/clear?{query}\"");
    for (role, may) in [
        (Role::Viewer, false),
        (Role::Operator, false),
        (Role::Release, true),
        (Role::Admin, true),
    ] {
        assert_eq!(shown(&sight, role).contains(&link), may, "{role:?}");
    }
    let fields = Fields::read(query.as_bytes());
    let form = Form::of(Act::Clear, fields, &sight, frame(Role::Release), false).unwrap();
    let form = form.render().unwrap();
    is_only_text(&form);
    assert!(form.contains("failed at fra in"), "{form}");
}

#[test]
fn what_is_on_its_way_and_what_waits_for_its_time_stands_on_the_board() {
    let mut sight = at_rest();
    assert!(!shown(&sight, Role::Viewer).contains("Releases"));
    let waits = Waits {
        what: "promote staging master".to_owned(),
        tag: "master".parse().unwrap(),
        at: sight.at + jiff::SignedDuration::from_mins(90),
        who: HOSTILE.to_owned(),
    };
    sight.status.release = ReleaseStatus {
        open: Some("rollback master of ana".to_owned()),
        scheduled: vec![waits],
    };
    let page = shown(&sight, Role::Viewer);
    is_only_text(&page);
    let text = words_of(&page);
    for said in [
        "rollback master of ana has not ended: its tags are on their way",
        "promote staging master of ",
        "(in 1h 30m)",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
}

/// What would run if it stood on a page as it is.
const HOSTILE: &str = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>";

#[test]
fn a_night_under_way_says_where_it_is_why_it_waits_and_until_when() {
    let page = shown(&draining(), Role::Operator);
    let text = words_of(&page);
    for said in [
        "2 of 3 sites serve. nightly is running: fra is draining.",
        "0 of 3 visited; still to come: nyc, sin.",
        "fra master draining",
        "not in DNS, 1 engine up",
        "010101010101 web",
        "Step drain , since 08:00:00 UTC ( 7s ago)",
        "waiting for resolvers to forget its addresses",
        "Until 08:00:30 UTC (in 23s )",
        "Traffic 240.2 packets a second",
        "The night so far",
        "The marker is held by holder-a, epoch 1.",
    ] {
        assert!(text.contains(&words_of(said)), "{said}\n{text}");
    }
    assert!(page.contains("class=\"step drain\""), "{page}");
    assert!(
        page.contains("data-until=\"2027-01-15T08:00:30.055Z\""),
        "{page}"
    );
}

#[test]
fn at_rest_the_last_night_is_shown_and_another_can_be_begun() {
    let page = shown(&at_rest(), Role::Operator);
    let text = words_of(&page);
    for said in [
        "All 3 sites serve.",
        "No rotation runs",
        "The last night",
        "completed",
    ] {
        assert!(text.contains(said), "{said}\n{text}");
    }
    assert!(page.contains("formaction=\"/ask/rotate\""), "{page}");
    assert!(!page.contains("formaction=\"/ask/pause\""), "{page}");
}

#[test]
fn a_pinned_site_says_what_it_is_pinned_to_and_until_when() {
    let mut sight = at_rest();
    sight.status.sites[0].pinned = Some(Pinned {
        services: [("web".parse().unwrap(), digest(7))].into(),
        until: "2027-12-31".parse().unwrap(),
        ended: false,
    });
    let text = words_of(&shown(&sight, Role::Viewer));
    let said = "is pinned to 070707070707 (web) until 2027-12-31";
    assert_eq!(text.matches(said).count(), 1, "{text}");
}

#[test]
fn whoever_may_not_steer_sees_the_same_and_no_buttons() {
    let sight = draining();
    let acts = |role| {
        let page = shown(&sight, role);
        Act::ALL
            .into_iter()
            .filter(|act| page.contains(&format!("formaction=\"/ask/{}\"", act.word())))
            .map(Act::word)
            .collect::<Vec<_>>()
    };
    assert_eq!(acts(Role::Viewer), Vec::<&str>::new());
    assert_eq!(acts(Role::Release), Vec::<&str>::new());
    let steers = ["pause", "abort", "rebuild", "withdraw", "cordon"];
    assert_eq!(acts(Role::Operator), steers);
    assert_eq!(acts(Role::Admin), steers);
}

#[test]
fn what_a_person_is_needed_for_has_the_command_and_its_form() {
    let mut sight = at_rest();
    let need = |site: Option<&str>, command: &str| Next {
        site: site.map(|site| site.parse().unwrap()),
        why: "somebody else took it out".to_owned(),
        command: command.to_owned(),
    };
    sight.status.next = vec![
        need(
            Some("sin"),
            "cleanslate rebuild sin --restore --reason TEXT",
        ),
        need(Some("nyc"), "cleanslate restore nyc"),
        need(None, "cleanslate rotate nightly"),
        need(None, "cleanslate take-over --reason TEXT"),
        need(None, "cleanslate restore nyc --sharply"),
    ];
    let page = shown(&sight, Role::Operator);
    for link in [
        "/ask/rebuild?site=sin&#38;restore=on",
        "/ask/restore?site=nyc",
        "/ask/rotate?playbook=nightly",
    ] {
        let whole = format!("<a class=\"button\" href=\"/ask/{}\"", &link[5..]);
        assert!(page.contains(&whole), "{link}\n{page}");
    }
    assert_eq!(page.matches("class=\"button\"").count(), 3, "{page}");
    assert!(page.contains("<code>cleanslate take-over --reason TEXT</code>"));
    assert!(!shown(&sight, Role::Viewer).contains("class=\"button\""));
}

#[test]
fn text_of_others_is_text_on_every_page() {
    let mut sight = draining();
    let hostile = || HOSTILE.to_owned();
    let status = &mut sight.status;
    let rotation = status.rotation.as_mut().unwrap();
    (rotation.actor, rotation.reason, rotation.why) = (hostile(), Some(hostile()), Some(hostile()));
    status.sites[0].why = Some(hostile());
    status.sites[0].step = Some(hostile());
    status.sites[0].digests.insert(hostile(), hostile());
    status.unknown.push(hostile());
    status.next.push(Next {
        site: None,
        why: hostile(),
        command: format!("cleanslate rebuild {HOSTILE}"),
    });
    let mut entry = sight.nights[0].clone();
    (entry.actor, entry.reason) = (hostile(), Some(hostile()));
    (entry.rotation, entry.end) = (hostile(), hostile());
    entry.skipped.push(hostile());
    sight.nights = vec![entry].into();
    is_only_text(&shown(&sight, Role::Admin));

    let fields: String = [
        "site",
        "reason",
        "playbook",
        "without_ns",
        "typed",
        "until",
        "for",
        "sites",
        "images",
        "digest",
    ]
    .map(|name| {
        let value: String = form_urlencoded::byte_serialize(HOSTILE.as_bytes()).collect();
        format!("{name}={value}")
    })
    .join("&");
    for act in Act::ALL {
        let fields = Fields::read(fields.as_bytes());
        let form = Form::of(act, fields, &sight, frame(Role::Admin), true).unwrap();
        let refusal = crate::api::wire::Refusal {
            rule: hostile(),
            what: hostile(),
            cure: hostile(),
            exit: 4,
        };
        is_only_text(&form.refused(refusal).render().unwrap());
    }
    is_only_text(&report(hostile(), hostile()));
}

#[test]
fn a_report_has_what_was_left_behind_and_the_end_of_long_logs() {
    let logs = format!("{}the end\u{1b}[31m", "é long line\n".repeat(3000));
    let page = report("edge-web-1".to_owned(), logs);
    for said in [
        "A /tmp/&#60;x&#62;",
        "the end\u{241b}[31m",
        "killed for want of memory",
    ] {
        assert!(page.contains(said), "{said}\n{page}");
    }
    assert!(page.contains("bytes before this"), "{page}");
    assert!(page.len() < 60 << 10, "{}", page.len());
    let text = words_of(&page);
    assert!(text.contains("0101 → 0202"), "{text}");
    assert!(text.contains("edge/web , containers 3 → 2"), "{text}");
}

#[test]
fn signs_that_steer_are_shown_and_do_not_steer() {
    assert_eq!(
        printable("a\u{1b}[2J\u{7}\n\tb"),
        "a\u{241b}[2J\u{2407}\n\tb"
    );
    assert_eq!(
        printable("gnp.\u{202e}exe\u{9b}"),
        "gnp.\u{fffd}exe\u{fffd}"
    );
}

/// Every field has a name that is read to whoever does not see it, every heading its place.
#[test]
fn pages_have_landmarks_labels_and_headings_in_order() {
    let sight = draining();
    let form = |act, text: &str| {
        let fields = Fields::read(text.as_bytes());
        Form::of(act, fields, &sight, frame(Role::Admin), true)
            .unwrap()
            .render()
            .unwrap()
    };
    let pages = [
        shown(&sight, Role::Admin),
        report("edge-web-1".to_owned(), "x".to_owned()),
        form(Act::Rebuild, "site=fra"),
        form(Act::Pause, ""),
        form(Act::Rotate, ""),
    ];
    for page in &pages {
        for once in [
            "<h1",
            "<main",
            "<html lang=\"en\"",
            "</title>
<link",
            "class=\"skip\"",
        ] {
            assert_eq!(page.matches(once).count(), 1, "{once}\n{page}");
        }
        let mut level = 1;
        for (at, _) in page.match_indices("<h") {
            let Some(digit) = page[at + 2..].chars().next().and_then(|c| c.to_digit(10)) else {
                continue;
            };
            assert!(digit <= level + 1, "h{digit} follows h{level}\n{page}");
            level = digit;
        }
        for (at, _) in page.match_indices(" id=\"") {
            let id = page[at + 5..].split('"').next().unwrap();
            assert_eq!(page.matches(&format!(" id=\"{id}\"")).count(), 1, "{id}");
        }
        for tag in ["<input", "<select", "<textarea"] {
            for (at, _) in page.match_indices(tag) {
                let tag = page[at..].split('>').next().unwrap();
                let id = tag
                    .split(" id=\"")
                    .nth(1)
                    .and_then(|rest| rest.split('"').next());
                let is_labelled = match id {
                    Some(id) => page.contains(&format!("<label for=\"{id}\"")),
                    None => tag.contains("\"hidden\"") || tag.contains("\"checkbox\""),
                };
                assert!(is_labelled, "{tag}");
            }
        }
        assert!(
            !page.contains(" style=") && !page.contains(" onclick="),
            "{page}"
        );
    }
}

pub(super) fn frame(role: Role) -> Frame {
    let visitor = Visitor {
        caller: Caller {
            actor: Actor::of_token("ana"),
            role,
        },
        form: "form".to_owned(),
        ticket: None,
    };
    Frame::of("edge", Here::Now, &visitor).live()
}

fn shown(sight: &Sight, role: Role) -> String {
    Show::of(sight, frame(role), &utc(), None).render().unwrap()
}

fn report(container: String, logs: String) -> String {
    let report = reported(container, logs);
    let now = report.began;
    Shown::of(report, None, frame(Role::Viewer), &utc(), now)
        .render()
        .unwrap()
}

/// A night of which one container left so much behind.
pub(super) fn reported(container: String, logs: String) -> Report {
    let lines = night();
    let finding = FindingReport {
        kind: "programs".to_owned(),
        finding: true,
        host: "fra1".to_owned(),
        service: container.clone(),
        container: Some(container.clone()),
        found: None,
        declared: None,
        changes: vec![format!("A {logs:.60}")],
        what: format!("programs changed inside: A {logs:.60}"),
    };
    let group = GroupReport {
        path: format!("/{logs:.60}"),
        added: 1,
        modified: 1,
        deleted: 0,
        bytes: Some(2048),
    };
    let evidence = EvidenceReport {
        host: "fra1".to_owned(),
        service: container.clone(),
        container,
        id: "0123456789ab".to_owned(),
        failed: true,
        state: "exited".to_owned(),
        exit_code: Some(3),
        error: Some(format!("{logs:.60}")),
        health: vec![HealthCheck {
            at: None,
            exit_code: 1,
            output: format!("{logs:.60}"),
        }],
        restarts: 2,
        oom_killed: true,
        changes: vec!["A /tmp/<x>".to_owned(), format!("C {logs:.60}")],
        changes_left_out: 1,
        changes_unread: None,
        groups: vec![group],
        not_looked_at: 1,
        written: Some(4096),
        logs,
    };
    let site = SiteReport {
        site: "fra".to_owned(),
        digests: [(
            "edge/web".to_owned(),
            ["sha256:0101", "sha256:0202"].map(str::to_owned),
        )]
        .into(),
        scaled_from: [("edge/web".to_owned(), 3)].into(),
        scaled_to: [("edge/web".to_owned(), 2)].into(),
        findings: Some(vec![finding]),
        evidence: vec![evidence],
        ..SiteReport::default()
    };
    Report {
        v: 1,
        rotation: lines[0].rotation.clone(),
        began: lines[0].at,
        seconds: 60,
        sites: vec![site],
        events: lines,
    }
}

fn utc() -> When {
    When {
        zone: TimeZone::UTC,
    }
}

#[track_caller]
fn is_only_text(page: &str) {
    assert!(page.contains("&#60;script&#62;alert(1)"), "{page}");
    assert_eq!(page.matches("<script").count(), 1, "ours: {page}");
    assert!(!page.contains("<img"), "{page}");
    assert!(!page.contains("\"'>"), "{page}");
}

/// What is read on it: no tags, one blank between words.
fn words_of(page: &str) -> String {
    let mut text = String::new();
    let mut rest = page;
    while let Some(from) = rest.find('<') {
        text.push_str(&rest[..from]);
        text.push(' ');
        rest = rest[from..].split_once('>').map_or("", |(_, rest)| rest);
    }
    text.push_str(rest);
    text.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace("( ", "(")
}
