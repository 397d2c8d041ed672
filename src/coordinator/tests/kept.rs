//! Kept services: left alone, unless a person says that one visit recreates them.
use super::world::{World, digest, fleet, playbook, service, site};
use super::{count, end_of, is_idle_without_debts, is_unhurt};
use crate::coordinator::event::{Event, RotationEnd};
use crate::coordinator::plan::{Kept, Mode, Options, Plan};
use crate::model::fleet::Fleet;
use crate::model::service::Keep;

#[test]
fn a_person_has_the_kept_services_of_one_site_recreated_and_a_crash_changes_nothing_about_it() {
    for crashes in [false, true] {
        let declared = with_kept_db();
        let mut world = World::of(declared.clone(), playbook());
        let options = Options {
            kept: Kept::Recreated,
            ..Options::default()
        };
        let plan = world.plan(Mode::Rebuild, Some(vec![site("nyc")]), options);
        world.treat(&plan);
        let mut machine = world.coordinator();
        world.begin(&mut machine, plan);
        if crashes {
            world.until(&mut machine, |event| {
                matches!(event, Event::ClearBegun { .. })
            });
            machine = world.crash();
            // All that the next process has is the journal and the configuration as it was.
            let journalled = &machine.state().rotation.as_ref().unwrap().plan;
            let text = serde_json::to_string(journalled.as_ref()).unwrap();
            let read: Plan = serde_json::from_str(&text).unwrap();
            assert_eq!(read.treat(declared), *world.fleet);
        }
        world.run(&mut machine);
        assert_eq!(end_of(machine.state()), RotationEnd::Completed);
        let dbs = ["fra1", "nyc1", "sin1"].map(|host| db(&world, host));
        assert_eq!(dbs, [digest(1), digest(2), digest(1)], "crash: {crashes}");
        assert!(is_idle_without_debts(&world));
        is_unhurt(&world);
    }
}

#[test]
fn a_plan_of_an_earlier_journal_leaves_kept_services_alone() {
    let mut world = World::of(with_kept_db(), playbook());
    let plan = world.plan(Mode::Rotate, None, Options::default());
    let mut value = serde_json::to_value(&plan).unwrap();
    value["options"].as_object_mut().unwrap().remove("kept");
    let read: Plan = serde_json::from_value(value).unwrap();
    assert_eq!(read, plan);
    assert_eq!(read.treat(with_kept_db()), with_kept_db());
}

#[test]
fn a_kept_service_that_does_not_run_fails_its_site_and_the_cure_names_the_flag() {
    let mut world = World::of(with_kept_db(), playbook());
    let host = world.engines.get_mut(&"fra1".parse().unwrap()).unwrap();
    host.retain(|container| container.service.as_str() != "db");
    let mut machine = super::night(&mut world);
    world.run(&mut machine);
    assert_eq!(
        count(&world, |event| matches!(event, Event::Halted { .. })),
        1
    );
    let (what, cure) = super::said(machine.state(), "fra");
    assert!(what.contains("0 of 1 containers of edge/db"), "{what}");
    assert!(cure.contains("rebuild SITE --kept"), "{cure}");
}

fn with_kept_db() -> Fleet {
    let mut fleet = fleet();
    for host in fleet.sites.values_mut().flat_map(|site| &mut site.hosts) {
        let mut db = service("db", 1);
        db.keep = Keep::Yes;
        host.projects[0].services.push(db);
    }
    fleet
}

fn db(world: &World, host: &str) -> crate::model::image::Digest {
    let containers = &world.engines[&host.parse().unwrap()];
    let mut dbs = containers.iter().filter(|one| one.service.as_str() == "db");
    let found = dbs.next().unwrap().digests[0].clone();
    assert!(dbs.next().is_none());
    found
}
