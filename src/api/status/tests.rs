use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::coordinator::event::{Event, VisitEnd};
use crate::coordinator::machine::Coordinator;
use crate::coordinator::outcome::Problem;
use crate::coordinator::plan::{Mode, Options};
use crate::coordinator::state::State;
use crate::coordinator::tests::world::{World, fleet, holding, night, refuse, site};
use crate::model::id::HostName;
use crate::model::inventory::{Inventory, Role};

#[test]
fn a_draining_site_says_why_it_waits_since_when_and_until_when() {
    let (world, machine) = drained_halfway();
    let status = of(&world, Some(machine.state()), true);
    let fra = &status.sites[0];
    insta::assert_snapshot!(serde_json::to_string_pretty(fra).unwrap(), @r#"
    {
      "name": "fra",
      "channel": "master",
      "state": "draining",
      "in_dns": "no",
      "cordoned": false,
      "digests": {
        "web": "sha256:0101010101010101010101010101010101010101010101010101010101010101"
      },
      "runs_since": null,
      "hosts": [
        {
          "name": "fra1",
          "engine": "up"
        }
      ],
      "step": "drain",
      "since": "2027-01-15T08:00:00.055Z",
      "until": "2027-01-15T08:00:30.055Z",
      "why": "waiting for resolvers to forget its addresses",
      "traffic": null
    }
    "#);
    let rotation = status.rotation.unwrap();
    assert_eq!(rotation.state, RotationState::Running);
    assert_eq!(rotation.left, [site("nyc"), site("sin")]);
    assert!(!rotation.interrupted);
    assert_eq!(status.next, []);
    assert_eq!(status.marker.unwrap().out, BTreeSet::from([site("fra")]));
}

#[test]
fn a_site_on_trial_says_where_it_is_to_be_tried_and_which_words_there_are() {
    let mut world = holding();
    let mut machine = night(&mut world);
    world.until(&mut machine, |event| {
        matches!(event, Event::TrialBegun { .. })
    });
    let shown = of(&world, Some(machine.state()), true);
    let fra = &shown.sites[0];
    assert_eq!(fra.state, Some(SiteState::Verifying));
    insta::assert_snapshot!(fra.why.as_ref().unwrap(), @"waiting for a person to try it at 192.0.2.1: `cleanslate resume fra` puts it in, `cleanslate withdraw fra --reason TEXT` keeps it out");
    insta::assert_snapshot!(format!("{:?} {:?}", shown.next[0].site, shown.next[0].command), @r#"Some("fra") "cleanslate resume fra""#);
    // Nobody is there who could hear the word.
    let shown = of(&world, Some(machine.state()), false);
    let commands: Vec<&str> = shown.next.iter().map(|n| n.command.as_str()).collect();
    assert_eq!(commands, ["cleanslate rotate nightly"]);

    world.tells(&mut machine, &refuse("fra"));
    world.run(&mut machine);
    let shown = of(&world, Some(machine.state()), true);
    insta::assert_snapshot!(format!("{}: {}", shown.next[0].why, shown.next[0].command), @"ana tried fra, and it is not good: it shows last week's prices; and it is held: cleanslate restore fra");
}

#[test]
fn without_a_process_the_rotation_is_interrupted_and_the_command_is_named() {
    let (world, machine) = drained_halfway();
    let status = of(&world, Some(machine.state()), false);
    assert!(status.rotation.unwrap().interrupted);
    assert_eq!(status.sites[0].until, None);
    assert_eq!(status.next[0].command, "cleanslate rotate nightly");
}

#[test]
fn without_a_store_the_marker_alone_says_who_is_out_and_what_to_do() {
    let (world, _) = drained_halfway();
    let status = of(&world, None, false);
    let fra = &status.sites[0];
    assert_eq!(fra.state, Some(SiteState::Quarantined));
    assert_eq!(fra.in_dns, InDns::No);
    let commands: Vec<&str> = status.next.iter().map(|n| n.command.as_str()).collect();
    let take_over = "cleanslate take-over --reason TEXT";
    assert_eq!(commands, [take_over, "cleanslate restore fra"]);
    assert_eq!(status.unknown.len(), 1);
}

#[test]
fn a_silent_primary_leaves_what_is_in_dns_unknown() {
    let (world, machine) = drained_halfway();
    let fleet = fleet();
    let status = status(&Seen {
        fleet: &fleet,
        state: Some(machine.state()),
        view: None,
        engines: &BTreeMap::new(),
        ends: &BTreeMap::new(),
        holder: None,
        is_live: true,
        now: world.time(),
    });
    assert_eq!(status.marker, None);
    assert_eq!(status.sites[1].in_dns, InDns::Unknown);
    assert_eq!(status.sites[1].state, None);
    assert_eq!(status.sites[0].state, Some(SiteState::Draining));
    assert!(status.unknown[0].contains("10.0.0.53:53"));
}

#[test]
fn a_site_found_out_is_nobodys_debt_and_has_a_command() {
    let mut world = World::new();
    let address = "192.0.2.2".parse().unwrap();
    for set in world.zone().rrsets.values_mut() {
        set.addresses.remove(&address);
    }
    let status = of(&world, None, false);
    assert_eq!(status.sites[1].state, Some(SiteState::OutOfService));
    let command = "cleanslate rebuild nyc --restore --reason TEXT";
    assert_eq!(status.next[0].command, command);
    assert_eq!(status.marker, None);
}

#[test]
fn a_quarantined_site_says_why_and_since_when() {
    let (world, machine) = drained_halfway();
    let last = LastEnd {
        at: world.time().wall,
        end: VisitEnd::Quarantined,
        problem: Some(Problem {
            what: "web exited with 1".to_owned(),
            cure: "mend it".to_owned(),
            is_transient: false,
        }),
    };
    let fleet = fleet();
    let mut state = machine.state().clone();
    state.rotation = None;
    let status = status(&Seen {
        fleet: &fleet,
        state: Some(&state),
        view: Some(&world.view),
        engines: &BTreeMap::new(),
        ends: &BTreeMap::from([(site("fra"), last.clone())]),
        holder: None,
        is_live: false,
        now: world.time(),
    });
    assert_eq!(status.sites[0].state, Some(SiteState::Quarantined));
    assert_eq!(status.sites[0].why.as_deref(), Some("web exited with 1"));
    assert_eq!(status.sites[0].since, Some(last.at));
}

#[test]
fn digests_are_what_runs_and_differing_hosts_show_both() {
    let mut world = World::new();
    let nyc = world.engines.get_mut(&"nyc1".parse().unwrap()).unwrap();
    nyc[0].digests = vec![crate::coordinator::tests::world::digest(9)];
    let status = of(&world, None, false);
    let (fra, nyc) = (
        &status.sites[0].digests["web"],
        &status.sites[1].digests["web"],
    );
    assert_eq!(fra.split(", ").count(), 1);
    assert_eq!(nyc.split(", ").count(), 2);
}

/// A night killed in the middle of its first drain.
fn drained_halfway() -> (World, Coordinator) {
    let mut world = World::new();
    let mut machine = world.coordinator();
    let plan = world.plan(Mode::Rotate, None, Options::default());
    world.begin(&mut machine, plan);
    while machine
        .state()
        .site_waits(&site("fra"))
        .is_none_or(|waiting| waiting.until.is_none())
    {
        assert!(world.step(&mut machine));
    }
    (world, machine)
}

#[test]
fn a_kept_service_that_drifted_is_told_with_the_command_that_recreates_it() {
    let mut world = World::new();
    for container in world.engines.values_mut().flatten() {
        container.role = Role::Kept;
    }
    assert_eq!(of(&world, None, false).next, []);
    let nyc = world
        .engines
        .get_mut("nyc1".parse::<HostName>().as_ref().unwrap());
    nyc.unwrap()[0].is_declared_spec = Some(false);
    let next = of(&world, None, false).next;
    insta::assert_snapshot!(serde_json::to_string_pretty(&next).unwrap(), @r#"
    [
      {
        "site": "nyc",
        "why": "nyc1: edge-web-1 is kept and was made from another spec than the declared one",
        "command": "cleanslate rebuild nyc --kept --reason TEXT"
      }
    ]
    "#);
}

fn of(world: &World, state: Option<&State>, is_live: bool) -> Status {
    let fleet = fleet();
    let mut engines = BTreeMap::new();
    for site in fleet.sites.values() {
        for host in &site.hosts {
            let inventory = Inventory {
                containers: world.engines[&host.name].clone(),
                ..Inventory::default()
            };
            let key = (site.name.clone(), host.name.clone());
            engines.insert(key, Engine::Up(inventory));
        }
    }
    let holder = "holder-a".parse().unwrap();
    status(&Seen {
        fleet: &fleet,
        state,
        view: Some(&world.view),
        engines: &engines,
        ends: &BTreeMap::new(),
        holder: state.map(|_| &holder),
        is_live,
        now: world.time(),
    })
}

#[test]
fn the_words_of_states_are_those_of_the_json_and_all_are_all() {
    fn json(state: impl serde::Serialize) -> String {
        let json = serde_json::to_string(&state).unwrap();
        json.trim_matches('"').to_owned()
    }
    // A new one has to be named here, and then is missed in `ALL`.
    let place_of_rotation = |state| match state {
        RotationState::Running => 0,
        RotationState::Paused => 1,
        RotationState::Halting => 2,
        RotationState::Aborting => 3,
    };
    let place_in_dns = |in_dns| match in_dns {
        InDns::Yes => 0,
        InDns::No => 1,
        InDns::Partly => 2,
        InDns::Unknown => 3,
    };
    let place_of_site = |state| match state {
        SiteState::InService => 0,
        SiteState::Ready => 1,
        SiteState::Withdrawing => 2,
        SiteState::Draining => 3,
        SiteState::Recreating => 4,
        SiteState::Verifying => 5,
        SiteState::Restoring => 6,
        SiteState::Soaking => 7,
        SiteState::Quarantined => 8,
        SiteState::Held => 9,
        SiteState::OutOfService => 10,
    };
    for (place, state) in SiteState::ALL.into_iter().enumerate() {
        assert_eq!(
            (place_of_site(state), state.as_str()),
            (place, &*json(state))
        );
    }
    for (place, state) in RotationState::ALL.into_iter().enumerate() {
        assert_eq!(
            (place_of_rotation(state), state.as_str()),
            (place, &*json(state))
        );
    }
    for (place, in_dns) in InDns::ALL.into_iter().enumerate() {
        assert_eq!(
            (place_in_dns(in_dns), in_dns.as_str()),
            (place, &*json(in_dns))
        );
    }
}
