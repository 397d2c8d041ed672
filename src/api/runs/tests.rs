//! Nights as the machine told them, read and drawn.
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::read::{Cell, How, ImageRuns, Night, SiteRuns};
use super::*;
use crate::api::report::{Found, Report, ran, report};
use crate::api::story::Storyteller;
use crate::coordinator::event::Event;
use crate::coordinator::machine::Coordinator;
use crate::coordinator::plan::{Mode, Options};
use crate::coordinator::tests::world::{World, digest, fleet, playbook, site};
use crate::model::image::Digest;
use crate::model::pin::SitePin;
use crate::model::playbook::FailureThen;
use crate::model::release::Passed;
use crate::sim::world::BadImage;

const DAY: u64 = 86_400_000;

/// Of the image's versions, as `2 3*`: each cell's digests, and a sign for how it ended.
fn cells(runs: &Runs, site: &str) -> String {
    let image = &runs.images[0];
    let row = image.sites.iter().find(|row| row.site.as_str() == site);
    let version = |digest: &Digest| digest.short()[..2].trim_start_matches('0').to_owned();
    let cell = |cell: &Cell| {
        let digests: Vec<String> = cell.digests.iter().map(version).collect();
        let sign = match cell.how {
            How::Completed => "",
            How::RolledBack => "<",
            How::PutBack => "p",
            How::Skipped => "s",
            How::Quarantined => "!",
            How::Unfinished => "u",
            How::NotVisited => ".",
        };
        format!("{}{sign}", digests.join("|"))
    };
    row.unwrap()
        .cells
        .iter()
        .map(cell)
        .collect::<Vec<_>>()
        .join(" ")
}

fn read(reports: &[Report], nights: usize) -> Runs {
    Runs::of(Sources {
        reports,
        nights,
        ..Sources::default()
    })
}

/// Nights of one fleet, one after another.
struct Nights {
    world: World,
    machine: Coordinator,
    count: u64,
}

impl Nights {
    fn of(world: World) -> Nights {
        Nights {
            machine: world.coordinator(),
            world,
            count: 0,
        }
    }

    fn rotate(&mut self, tag: u8, sites: Option<&[&str]>) {
        let sites = sites.map(|names| names.iter().map(|name| site(name)).collect());
        self.play(tag, Mode::Rotate, sites);
    }

    fn play(&mut self, tag: u8, mode: Mode, sites: Option<Vec<crate::model::id::SiteName>>) {
        self.world.tag = tag;
        self.world.pass(self.count * DAY);
        let mut plan = self.world.plan(mode, sites, Options::default());
        plan.id = format!("night-{}", self.count).parse().unwrap();
        self.count += 1;
        self.world.begin(&mut self.machine, plan);
        self.world.run(&mut self.machine);
    }

    fn reports(&self) -> Vec<Report> {
        let mut reports = Vec::new();
        let mut machine = self.world.coordinator();
        let mut teller = Storyteller::default();
        let mut of_it: Vec<_> = Vec::new();
        let journal = &self.world.journal;
        for (n, (event, at)) in journal.iter().enumerate() {
            let before = machine.state().clone();
            machine.replay([(event.clone(), *at)]);
            teller.tell(&self.world.fleet, event, &before, machine.state(), at.wall);
            of_it.push((event.clone(), *at));
            let is_last = match journal.get(n + 1) {
                Some((next, _)) => matches!(next, Event::Planned { .. }),
                None => true,
            };
            if is_last {
                let found = Found {
                    hooks: BTreeMap::new(),
                    ran: ran(&of_it),
                    remains: BTreeMap::new(),
                };
                let rotation = format!("night-{}", reports.len()).parse().unwrap();
                reports.extend(report(&rotation, teller.story(), found));
                of_it.clear();
            }
        }
        reports
    }
}

fn last_good() -> World {
    let mut playbook = playbook();
    playbook.failure.then = FailureThen::LastGood;
    World::of(fleet(), playbook)
}

#[test]
fn a_site_goes_on_running_what_it_ran_and_goes_back_and_forth() {
    let mut nights = Nights::of(World::new());
    nights.rotate(2, None);
    nights.rotate(3, Some(&["fra"]));
    nights.rotate(2, None);
    nights.rotate(3, Some(&["fra", "nyc"]));
    let reports = nights.reports();
    let runs = read(&reports, 10);
    assert_eq!(runs.nights.len(), 4);
    assert_eq!(runs.images[0].name, "registry.test:5000/web:${CHANNEL}");
    assert_eq!(cells(&runs, "fra"), "2 3 2 3");
    assert_eq!(cells(&runs, "nyc"), "2 2. 2 3");
    assert_eq!(cells(&runs, "sin"), "2 2. 2 2.");
    // Those before the nights that are drawn say what ran when they began.
    let runs = read(&reports, 1);
    assert_eq!(cells(&runs, "sin"), "2.");
    // Of a site that none of all visited, its later look or the ledger.
    let later = read(&reports[1..], 10);
    assert_eq!(cells(&later, "sin"), "2. 2 2.");
    assert_eq!(later.images[0].sites.len(), 3);
    let passed = |version, last: &str| Passed {
        site: site("sin"),
        image: "registry.test:5000/web:master".parse().unwrap(),
        digest: digest(version),
        first: Timestamp::MIN,
        last: last.parse().unwrap(),
        visits: 1,
        rotation: None,
    };
    let passed = [
        passed(7, "2026-01-01T00:00:00Z"),
        passed(6, "2026-02-01T00:00:00Z"),
        passed(5, "2040-01-01T00:00:00Z"),
    ];
    let of_ledger = Runs::of(Sources {
        reports: &reports[3..],
        declared: Declared::of(&nights.world.fleet),
        passed: &passed,
        nights: 10,
        ..Sources::default()
    });
    assert_eq!(cells(&of_ledger, "sin"), "6.", "the last before that night");
}

#[test]
fn how_visits_ended_decides_what_runs() {
    let mut nights = Nights::of(last_good());
    nights.rotate(2, None);
    nights
        .world
        .faults
        .bad_images
        .insert(digest(3), BadImage::Dies);
    nights.rotate(3, None);
    nights.world.faults.unready.insert(site("nyc"));
    nights.rotate(4, None);
    let reports = nights.reports();
    let runs = read(&reports, 10);
    assert_eq!(cells(&runs, "fra"), "2 2< 4");
    assert_eq!(cells(&runs, "nyc"), "2 2. 2s");
    let fra = &runs.images[0].sites[0];
    assert_eq!(fra.cells[1].failed, BTreeSet::from([digest(3)]));
    assert_eq!(runs.nights[1].end, "halted");

    let mut nights = Nights::of(World::new());
    nights.rotate(2, None);
    nights.world.faults.unhealthy.insert(site("fra"));
    nights.rotate(3, None);
    let runs = read(&nights.reports(), 10);
    assert_eq!(cells(&runs, "fra"), "2 3!", "what it was to run is there");
    assert_eq!(cells(&runs, "nyc"), "2 2.");
}

#[test]
fn a_rotation_that_recreates_nothing_is_no_night_and_a_pinned_site_runs_its_own() {
    let mut apart = fleet();
    apart.sites.get_mut(&site("fra")).unwrap().pin = Some(SitePin {
        services: [("web".parse().unwrap(), digest(9))].into(),
        until: "2027-12-31".parse().unwrap(),
    });
    let mut nights = Nights::of(World::of(apart, playbook()));
    nights.rotate(2, None);
    nights.play(2, Mode::Cordon { cordoned: true }, Some(vec![site("nyc")]));
    nights.rotate(3, Some(&["fra", "sin"]));
    let runs = read(&nights.reports(), 10);
    assert_eq!(runs.nights.len(), 2);
    assert_eq!(cells(&runs, "fra"), "9 9");
    assert_eq!(cells(&runs, "nyc"), "2 2.");
    assert_eq!(cells(&runs, "sin"), "2 3");
}

#[test]
fn only_the_images_that_are_asked_for_are_drawn() {
    let mut nights = Nights::of(World::new());
    nights.rotate(2, None);
    let reports = nights.reports();
    let of = |only| {
        let sources = Sources {
            reports: &reports,
            nights: 10,
            only: Some(only),
            ..Sources::default()
        };
        Runs::of(sources).images.len()
    };
    assert_eq!((of("web:master"), of("api")), (1, 0));
}

/// As many sites and nights, a digest every three nights, now and then something goes wrong.
fn many(sites: usize, nights: usize) -> Runs {
    let ends = [
        How::Completed,
        How::Completed,
        How::NotVisited,
        How::Completed,
        How::Skipped,
        How::Completed,
        How::Quarantined,
        How::Completed,
        How::RolledBack,
        How::Completed,
        How::PutBack,
        How::Unfinished,
    ];
    let first: Timestamp = "2026-10-20T01:00:00Z".parse().unwrap();
    let version = |night: usize| digest(u8::try_from(night / 3 + 1).unwrap());
    let cell = |site: usize, night: usize| {
        let how = match site * 7 + night * 5 {
            odd if odd % 11 == 0 => ends[(site + night) % ends.len()],
            _ => How::Completed,
        };
        Cell {
            digests: BTreeSet::from([version(night)]),
            how,
            failed: match how == How::RolledBack {
                true => BTreeSet::from([version(night + 3)]),
                false => BTreeSet::new(),
            },
            why: (how == How::Skipped).then(|| "<img src=x> & \"more\"\u{202e}\u{0}".to_owned()),
        }
    };
    let row = |n: usize| SiteRuns {
        site: site(&format!("site-{n}")),
        cells: (0..nights).map(|night| cell(n, night)).collect(),
    };
    let night = |n: usize| Night {
        rotation: format!("nightly-{n}"),
        began: first + jiff::SignedDuration::from_hours(24 * i64::try_from(n).unwrap()),
        end: "completed",
    };
    Runs {
        nights: (0..nights).map(night).collect(),
        images: vec![ImageRuns {
            name: "r.io/a&b:${CHANNEL}".to_owned(),
            sites: (0..sites).map(row).collect(),
        }],
        names: BTreeMap::from([(digest(2), "release-v2 <b>".to_owned())]),
    }
}

/// The numbers of an attribute.
fn numbers(svg: &str, attribute: &str) -> Vec<usize> {
    let name = format!(" {attribute}=\"");
    let values = svg.split(&name).skip(1);
    values
        .filter_map(|rest| rest.split('"').next()?.parse().ok())
        .collect()
}

#[test]
fn everything_lies_within_the_picture_however_large_the_fleet() {
    for (sites, nights) in [(1, 1), (1, 60), (4, 7), (40, 60), (3, 200)] {
        let runs = many(sites, nights);
        let svg = draw(&runs, "edge", &TimeZone::UTC);
        let (width, height) = (numbers(&svg, "width")[0], numbers(&svg, "height")[0]);
        assert!(numbers(&svg, "x").iter().all(|x| *x < width), "{nights}");
        assert!(numbers(&svg, "y").iter().all(|y| *y < height), "{sites}");
        assert_eq!(svg.matches("<title>site-0, ").count(), nights);
        assert_eq!(svg.matches(", 2026-10-20 01:00: ").count(), sites);
        assert_eq!(svg.matches("<g>").count(), svg.matches("</g>").count());
        for reached in ["http:", "https:", "<script", "@import", "<image"] {
            let outside = svg.replace("http://www.w3.org/2000/svg", "");
            assert!(!outside.contains(reached), "{reached}");
        }
    }
}

#[test]
fn what_others_wrote_is_text() {
    let svg = draw(&many(12, 30), "a <b> & \"c\"", &TimeZone::UTC);
    for there in [
        "aria-label=\"a &lt;b&gt; &amp; &quot;c&quot;\"",
        "r.io/a&amp;b:${CHANNEL}",
        "release-v2 &lt;b&gt;",
        "&lt;img src=x&gt; &amp; &quot;more&quot;\u{fffd}\u{fffd}",
    ] {
        assert!(svg.contains(there), "{there}");
    }
    assert!(!svg.contains("<img") && !svg.contains("<b>"));
}

#[test]
fn a_digest_has_one_colour_and_keeps_it_when_nights_follow() {
    let colour = |svg: &str, version: u8| {
        let title = format!("<title>{}</title><rect class=\"", digest(version));
        let rest = svg.split_once(&title).unwrap().1;
        rest.split_once('"').unwrap().0.to_owned()
    };
    let (week, month) = (many(3, 7), many(3, 28));
    let (week, month) = (
        draw(&week, "", &TimeZone::UTC),
        draw(&month, "", &TimeZone::UTC),
    );
    let colours = |svg: &str| [1, 2, 3].map(|version| colour(svg, version));
    assert_eq!(colours(&week), colours(&month));
    let different: BTreeSet<String> = colours(&week).into();
    assert_eq!(different.len(), 3);
    // When all are in use, the same one comes with a band.
    assert_eq!(colour(&month, 9), colour(&month, 1));
    let ninth = month
        .split_once(&format!("<title>{}</title>", digest(9)))
        .unwrap()
        .1;
    assert!(ninth.split("</g>").next().unwrap().contains("band"));
}

#[test]
fn two_sites_and_two_nights() {
    let mut runs = many(2, 2);
    runs.images[0].sites[1].cells[1].how = How::NotVisited;
    let svg = draw(&runs, "edge", &TimeZone::UTC);
    let (head, rest) = svg.split_once("<style>").unwrap();
    let drawn = rest.split_once("</defs>\n").unwrap().1;
    insta::assert_snapshot!(format!("{head}{drawn}"), @r#"
    <svg class="runs" xmlns="http://www.w3.org/2000/svg" width="620" height="260" viewBox="0 0 620 260" role="img" aria-label="edge">
    <rect class="ground" x="0" y="0" width="620" height="260"/>
    <text class="title" x="16" y="28">edge</text><text class="soft" x="16" y="45">2 nights, 2026-10-20 to 2026-10-21, UTC</text><line class="rule" x1="16" x2="604" y1="58" y2="58"/><text class="image" x="16" y="78">r.io/a&amp;b:${CHANNEL}</text><text class="soft" x="70" y="97">Oct 2026</text><text class="soft" x="125" y="111" text-anchor="middle">20</text><text class="soft" x="237" y="111" text-anchor="middle">21</text><g><title>site-0</title><text class="name" x="16" y="133">site-0</text></g>
    <g><title>site-0, 2026-10-20 01:00: 010101010101, completed (nightly-0, completed)</title><rect class="whole" x="69" y="118" width="111" height="21"/><rect class="c0" x="69" y="118" width="111" height="21"/></g>
    <g><title>site-0, 2026-10-21 01:00: 010101010101, completed (nightly-1, completed)</title><rect class="whole" x="181" y="118" width="111" height="21"/><rect class="c0" x="181" y="118" width="111" height="21"/></g>
    <text class="mono on" x="73" y="132">010101010101</text><g><title>site-1</title><text class="name" x="16" y="160">site-1</text></g>
    <g><title>site-1, 2026-10-20 01:00: 010101010101, completed (nightly-0, completed)</title><rect class="whole" x="69" y="145" width="111" height="21"/><rect class="c0" x="69" y="145" width="111" height="21"/></g>
    <g><title>site-1, 2026-10-21 01:00: 010101010101, not visited (nightly-1, completed)</title><rect class="whole" x="181" y="145" width="111" height="21"/><rect class="c0" x="181" y="160" width="111" height="6"/></g>
    <text class="mono on" x="73" y="159">010101010101</text><g><title>sha256:0101010101010101010101010101010101010101010101010101010101010101</title><rect class="c0" x="16" y="176" width="14" height="14"/><text class="mono" x="35" y="187">010101010101</text></g>
    <line class="rule" x1="16" x2="604" y1="205" y2="205"/><rect class="whole" x="16" y="217" width="30" height="21"/><rect class="c0" x="16" y="217" width="30" height="21"/><text class="name" x="52" y="232">completed</text><rect class="whole" x="126" y="217" width="30" height="21"/><rect class="c0" x="126" y="232" width="30" height="6"/><text class="name" x="162" y="232">not visited, runs on</text></svg>
    "#);
}
