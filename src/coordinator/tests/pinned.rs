//! Sites that run services at digests of their own until a day.
use super::world::{World, digest, fleet, playbook, service, site};
use super::*;
use crate::coordinator::effect::{Effect, EngineRequest, Request};
use crate::coordinator::outcome::Problem;
use crate::coordinator::plan::{Blocked, Plan, Survey, plan};
use crate::coordinator::state::Barred;
use crate::model::fleet::Fleet;
use crate::model::id::HostName;
use crate::model::image::{Digest, ImageRef, Pins};
use crate::model::pin::SitePin;
use crate::model::playbook::FailureThen;
use crate::sim::world::BadImage;

const HOLDS: &str = "2027-12-31";
const ENDED: &str = "2027-01-14";

#[test]
fn a_pinned_site_passes_a_night_on_its_own_digest_and_the_others_on_what_the_tag_names() {
    for crashes in [false, true] {
        let mut world = World::of(pinned("fra", &[("web", 9)], HOLDS), playbook());
        let mut machine = night(&mut world);
        let pulled = |host: &str| -> Vec<Digest> {
            let pulls = world
                .queue
                .iter()
                .filter_map(|(_, effect)| pull_on(effect, host));
            pulls.flat_map(|pins| pins.values().cloned()).collect()
        };
        assert_eq!(pulled("fra1"), [digest(2), digest(9)], "from the beginning");
        assert_eq!(pulled("nyc1"), [digest(2), digest(2)]);
        let rotation = machine.state().running().unwrap();
        assert_eq!(rotation.pins_for(&site("fra"))[&image("web")], digest(9));
        if crashes {
            world.until(&mut machine, |event| {
                matches!(event, Event::ClearBegun { .. })
            });
            machine = world.crash();
        }
        world.run(&mut machine);
        assert_eq!(end_of(machine.state()), RotationEnd::Completed);
        let web = ["fra1", "nyc1", "sin1"].map(|host| runs(&world, host, "web"));
        assert_eq!(web, [digest(9), digest(2), digest(2)], "crash: {crashes}");
        let passed = |name| machine.state().last_good[&site(name)][&image("web")].clone();
        assert_eq!([passed("fra"), passed("nyc")], [digest(9), digest(2)]);
        let kept = |host: &str| {
            let host: HostName = host.parse().unwrap();
            let mut kept = world.kept_images.iter().filter(|(of, _)| *of == host);
            kept.next().unwrap().1.clone()
        };
        assert_eq!(kept("fra1"), [digest(2), digest(9)].into());
        assert_eq!(kept("nyc1"), [digest(2)].into());
        assert!(is_idle_without_debts(&world));
        is_unhurt(&world);
    }
}

#[test]
fn what_is_not_pinned_of_a_site_takes_its_tag_and_a_pin_that_has_ended_is_none() {
    // Until when, what fra is planned with, and whether it stands apart.
    for (until, web, is_apart) in [(HOLDS, 9, true), (ENDED, 2, false)] {
        let mut world = World::of(pinned("fra", &[("web", 9)], until), playbook());
        let plan = world.plan(Mode::Rotate, None, Options::default());
        let fleet = &world.fleet;
        let own = Pins::from([(image("web"), digest(web)), (image("api"), digest(2))]);
        assert_eq!(plan.pins_of(fleet, &site("fra")), own, "{until}");
        let tags = Pins::from([(image("web"), digest(2)), (image("api"), digest(2))]);
        assert_eq!(plan.pins_of(fleet, &site("nyc")), tags);
        let by_channel = plan.digests_by_channel(fleet);
        assert_eq!(by_channel.into_values().collect::<Vec<_>>(), [tags]);
        let apart = Pins::from([(image("web"), digest(9))]);
        let apart = is_apart.then(|| (site("fra"), apart));
        assert_eq!(plan.pinned(), apart.into_iter().collect(), "{until}");
        // Nobody else is there to take the tag: it is not looked at again either.
        let alone = world.plan(Mode::Rotate, Some(vec![site("fra")]), Options::default());
        assert_eq!(alone.pins.contains_key(&image("web")), !is_apart);
    }
}

#[test]
fn a_plan_of_an_earlier_journal_has_no_pinned_sites_and_one_without_them_is_as_it_was() {
    let mut world = World::of(fleet(), playbook());
    let plan = world.plan(Mode::Rotate, None, Options::default());
    let value = serde_json::to_value(&plan).unwrap();
    assert_eq!(value.get("site_pins"), None);
    assert_eq!(serde_json::from_value::<Plan>(value).unwrap(), plan);
    let mut world = World::of(pinned("fra", &[("web", 9)], HOLDS), playbook());
    let plan = world.plan(Mode::Rotate, None, Options::default());
    let text = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), plan);
}

#[test]
fn a_digest_that_the_registry_lacks_or_that_failed_before_is_refused_by_its_site() {
    let mut world = World::of(pinned("fra", &[("web", 9)], HOLDS), playbook());
    let gone = Problem {
        what: "there is no registry.test:5000/web".to_owned(),
        cure: "push it".to_owned(),
        is_transient: false,
    };
    let mut survey = world.survey();
    let asked = image("web").by_digest(&digest(9));
    survey.digests.insert(asked.clone(), Err(gone));
    let blocked = |world: &mut World, survey: &Survey| -> Vec<String> {
        let wish = world.wish(Mode::Rotate, None, Options::default());
        let planned = plan(&world.fleet, &world.playbook, wish, survey);
        let Err(Blocked { reasons, .. }) = planned else {
            return Vec::new();
        };
        reasons
            .into_iter()
            .map(|it| format!("{} ({})", it.what, it.cure))
            .collect()
    };
    insta::assert_debug_snapshot!(blocked(&mut world, &survey), @r#"
    [
        "fra is pinned: there is no registry.test:5000/web (push it)",
    ]
    "#);
    survey.digests.remove(&asked);
    insta::assert_debug_snapshot!(blocked(&mut world, &survey), @r#"
    [
        "fra is pinned: the digest of registry.test:5000/web@sha256:0909090909090909090909090909090909090909090909090909090909090909 was not asked for (plan again)",
    ]
    "#);
    let failed = Barred {
        image: image("web"),
        site: site("nyc"),
        rotation: "nightly-0".parse().unwrap(),
        at: jiff::Timestamp::UNIX_EPOCH,
        why: "it exits".to_owned(),
    };
    let survey = Survey {
        barred: std::sync::Arc::new([(digest(9), failed)].into()),
        ..world.survey()
    };
    insta::assert_debug_snapshot!(blocked(&mut world, &survey), @r#"
    [
        "barred: fra is pinned to 090909090909, which failed at nyc in nightly-0: it exits (pin fra to an image that works, or to none; where it was not the image: `cleanslate release clear sha256:0909090909090909090909090909090909090909090909090909090909090909 --reason TEXT`)",
    ]
    "#);
    // The tags of others may be planned, and what the site's hosts have on a person's word.
    let wish = world.wish(Mode::Rotate, Some(vec![site("nyc")]), Options::default());
    assert!(plan(&world.fleet, &world.playbook, wish, &survey).is_ok());
    let survey = Survey {
        from_hosts: true,
        ..survey
    };
    let wish = world.wish(Mode::Rebuild, Some(vec![site("fra")]), Options::default());
    let rebuilt = plan(&world.fleet, &world.playbook, wish, &survey).unwrap();
    assert_eq!(rebuilt.pins_for(&site("fra"))[&image("web")], digest(2));
}

#[test]
fn one_that_gets_dirty_after_it_was_planned_is_not_made_from_the_tags_of_others() {
    let mut world = World::of(pinned("sin", &[("web", 9)], HOLDS), playbook());
    world.faults.unhealthy.insert(site("fra"));
    let mut machine = night(&mut world);
    world.run(&mut machine);
    let mut marker = world.marker().unwrap();
    marker.out.insert(site("sin"));
    marker.seq += 1;
    world.write_marker(Some(&marker));
    let recover = world.plan(Mode::Recover, None, Options::default());
    assert_eq!(recover.pins_for(&site("fra"))[&image("web")], digest(2));
    assert_eq!(*recover.pins_for(&site("sin")), Pins::new());
}

#[test]
fn one_whose_pin_is_bad_goes_back_to_what_passed_there_last() {
    let mut playbook = playbook();
    playbook.failure.then = FailureThen::LastGood;
    let mut world = World::of(fleet_with_api(), playbook);
    let mut machine = night(&mut world);
    world.run(&mut machine);
    pin(
        std::sync::Arc::make_mut(&mut world.fleet),
        "fra",
        &[("web", 9)],
        HOLDS,
    );
    world.faults.bad_images.insert(digest(9), BadImage::Dies);
    let (fleet, playbook) = (world.fleet.clone(), world.playbook.clone());
    machine.configure(fleet, playbook, world.ttl_high);
    ask(
        &mut world,
        &mut machine,
        Mode::Rotate,
        None,
        Options::default(),
    );
    world.run(&mut machine);
    assert_eq!(visit_end(machine.state(), "fra"), VisitEnd::RolledBack);
    assert_eq!(runs(&world, "fra1", "web"), digest(2));
    let barred: Vec<&Digest> = machine.state().barred.keys().collect();
    assert_eq!(barred, [&digest(9)]);
    let (_, cure) = said(machine.state(), "fra");
    insta::assert_snapshot!(cure, @"see its log: `cleanslate report`; then pin fra to an image that works, or where it was not the image: `cleanslate release clear sha256:0909090909090909090909090909090909090909090909090909090909090909 --reason TEXT`");
    is_unhurt(&world);
}

/// The fleet with one site that is pinned.
fn pinned(name: &str, services: &[(&str, u8)], until: &str) -> Fleet {
    let mut fleet = fleet_with_api();
    pin(&mut fleet, name, services, until);
    fleet
}

fn pin(fleet: &mut Fleet, name: &str, services: &[(&str, u8)], until: &str) {
    let services = services.iter();
    let services = services.map(|(name, n)| (name.parse().unwrap(), digest(*n)));
    fleet.sites.get_mut(&site(name)).unwrap().pin = Some(SitePin {
        services: services.collect(),
        until: until.parse().unwrap(),
    });
}

/// Each site runs two images.
fn fleet_with_api() -> Fleet {
    let mut fleet = fleet();
    for host in fleet.sites.values_mut().flat_map(|site| &mut site.hosts) {
        host.projects[0].services.push(service("api", 1));
    }
    fleet
}

fn image(name: &str) -> ImageRef {
    format!("registry.test:5000/{name}:master").parse().unwrap()
}

fn pull_on<'e>(effect: &'e Effect, host: &str) -> Option<&'e Pins> {
    let Request::Engine {
        host: of,
        request: EngineRequest::Pull { pins },
        ..
    } = &effect.request
    else {
        return None;
    };
    (of.as_str() == host).then_some(pins)
}

/// The one digest of what runs of a service.
fn runs(world: &World, host: &str, service: &str) -> Digest {
    let containers = &world.engines[&host.parse().unwrap()];
    let of = containers
        .iter()
        .filter(|one| one.service.as_str() == service);
    let mut digests: Vec<_> = of.map(|one| one.digests[0].clone()).collect();
    digests.dedup();
    assert_eq!(digests.len(), 1, "{host}: {digests:?}");
    digests.remove(0)
}
