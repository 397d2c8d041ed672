use std::collections::BTreeSet;

use super::words::words;
use super::*;
use crate::api::wire::Command as Wanted;
use crate::coordinator::effect::{EngineRequest, Request};
use crate::coordinator::machine::Coordinator;
use crate::coordinator::plan::{Mode, Options};
use crate::coordinator::tests::world::{World, fleet, site};
use crate::model::id::ContainerId;

#[test]
fn a_visit_is_told_from_its_word_to_its_end() {
    let mut world = World::new();
    let mut machine = world.coordinator();
    let options = Options {
        below_floor: true,
        ..Options::default()
    };
    let plan = world.plan(Mode::Rebuild, Some(vec![site("fra")]), options);
    world.begin(&mut machine, plan);
    world.run(&mut machine);
    let lines: Vec<String> = facts(&world).iter().map(line).collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    - planned: rebuild by nightly: fra; 1 image pinned; overrides: below_floor
    fra fra1: images pulled
    - UPDATE sent, acquire (epoch 1, seq 1): holder=- → holder-a, rotation=- → nightly-1
    - UPDATE applied, acquire (epoch 1, seq 1)
    fra visit started
    fra fra1: images pulled
    fra fra1: created: edge-web-1 fra1-4 (sha256:020202020202), edge-web-2 fra1-5 (sha256:020202020202)
    fra UPDATE sent, withdraw (epoch 1, seq 2): www.example.com. A -192.0.2.1; out=- → fra
    fra UPDATE applied, withdraw (epoch 1, seq 2)
    fra drained in 40s: quiet
    fra UPDATE sent, dirty (epoch 1, seq 3): dirty=- → fra
    fra UPDATE applied, dirty (epoch 1, seq 3)
    fra to be stopped and removed: fra1 edge-web-1 fra1-old-web (sha256:010101010101), edge-web-2 fra1-old-web (sha256:010101010101)
    fra fra1: removed 2 containers
    fra to be started: fra1 edge-web-1 fra1-4 (sha256:020202020202), edge-web-2 fra1-5 (sha256:020202020202)
    fra fra1: started
    fra verified
    fra UPDATE sent, restore (epoch 1, seq 4): www.example.com. A +192.0.2.1; out=fra → -, dirty=fra → -
    fra UPDATE applied, restore (epoch 1, seq 4)
    fra soaked: healthy in service
    fra fra1: 0 images pruned, 0 MiB
    fra visit ended: completed
    - UPDATE sent, release (epoch 1, seq 5): holder=holder-a → -, rotation=nightly-1 → -
    - UPDATE applied, release (epoch 1, seq 5)
    - ended: completed
    ");
}

#[test]
fn nothing_leaves_without_a_record_that_names_it() {
    let mut sent = BTreeSet::new();
    for trouble in 0..4 {
        for dies_at in [20, 45, 60, 75, 1000] {
            let mut world = World::new();
            let mut machine = world.coordinator();
            match trouble {
                1 => drop(world.faults.unhealthy.insert(site("fra"))),
                2 => drop(world.faults.unready.insert(site("nyc"))),
                _ => {}
            }
            let mut audit = Audit::of(&world);
            let plan = world.plan(Mode::Rotate, None, Options::default());
            world.begin(&mut machine, plan);
            for step in 0..400 {
                if step == dies_at {
                    machine = world.crash();
                }
                if trouble == 3 && step == dies_at / 3 {
                    world.abort(&mut machine);
                }
                audit.hear(&world);
                check(&world, &audit.facts, &mut sent);
                if !world.step(&mut machine) {
                    break;
                }
            }
        }
    }
    let all = [
        "clear", "discard", "prepare", "prune", "pull", "start", "update",
    ];
    assert_eq!(sent, BTreeSet::from(all));
}

#[test]
fn every_record_is_read_back_whole() {
    let mut world = World::new();
    let mut machine = world.coordinator();
    let plan = world.plan(Mode::Rotate, None, Options::default());
    world.begin(&mut machine, plan);
    world.run(&mut machine);
    let facts = facts(&world);
    assert!(facts.len() > 60, "{}", facts.len());
    for fact in facts {
        let (kind, body) = fact.what.split();
        assert_eq!(What::read(&kind, &body.to_string()), Some(fact.what));
    }
}

#[test]
fn what_was_asked_is_told_with_all_that_was_said() {
    let asked = Wanted::Withdraw {
        site: site("fra"),
        reason: "fibre \u{1b}[2J cut".to_owned(),
        below_floor: true,
    };
    let asked = serde_json::to_value(&asked).unwrap();
    let refused = What::Refused {
        asked: asked.clone(),
        rule: Some("floor".to_owned()),
        reasons: vec![Reason {
            why: "www would have 1 site of 2".to_owned(),
            cure: "wait".to_owned(),
        }],
    };
    let words = |what: &What| {
        let (kind, body) = what.split();
        words(&kind, &body.to_string())
    };
    assert_eq!(
        words(&What::Command { asked }),
        "asked: withdraw fra: fibre ·[2J cut (below_floor)"
    );
    assert_eq!(
        words(&refused),
        "refused: withdraw fra: fibre ·[2J cut (below_floor): floor: www would have 1 site of 2"
    );
}

/// Whatever is on its way is named by a record that was written before.
fn check(world: &World, facts: &[Fact], sent: &mut BTreeSet<&'static str>) {
    let is_told = |is_it: &dyn Fn(&What) -> bool| facts.iter().any(|fact| is_it(&fact.what));
    let has_all = |ids: &[ContainerId], of: &dyn Fn(&What) -> Vec<ContainerId>| {
        let told: BTreeSet<_> = facts.iter().flat_map(|fact| of(&fact.what)).collect();
        ids.iter().all(|id| told.contains(id))
    };
    for (_, effect) in &world.queue {
        let (name, is_named) = match &effect.request {
            Request::Update(change) => {
                let after = Some(change.marker.strings().join(" "));
                let is_it = |what: &What| matches!(what, What::UpdateSent { marker, .. } if marker.after == after);
                ("update", is_told(&is_it))
            }
            Request::Engine { request, .. } => match request {
                EngineRequest::Pull { .. } => (
                    "pull",
                    is_told(&|what| matches!(what, What::RotationPlanned(_))),
                ),
                EngineRequest::Prepare(_) => (
                    "prepare",
                    is_told(&|what| matches!(what, What::VisitStarted {})),
                ),
                EngineRequest::Prune { .. } => {
                    ("prune", is_told(&|what| matches!(what, What::Soaked {})))
                }
                EngineRequest::Clear { containers, .. } => ("clear", has_all(containers, &cleared)),
                EngineRequest::Discard { containers } => {
                    ("discard", has_all(containers, &discarded))
                }
                EngineRequest::Start { containers } => {
                    let ids: Vec<_> = containers.iter().map(|made| made.id.clone()).collect();
                    ("start", has_all(&ids, &started))
                }
                EngineRequest::TakeInventory
                | EngineRequest::TakeEvidence { .. }
                | EngineRequest::Watch { .. } => continue,
            },
            Request::ReadPrimary
            | Request::AskServers { .. }
            | Request::AwaitServers { .. }
            | Request::ResolveImages { .. }
            | Request::Probe { .. }
            | Request::Measure { .. }
            | Request::AwaitQuiet { .. }
            | Request::JudgeTraffic { .. }
            | Request::AwaitTraffic { .. }
            | Request::RunBefore { .. }
            | Request::CallHook(_)
            | Request::Sleep { .. } => continue,
        };
        assert!(is_named, "{:?}", effect.request);
        sent.insert(name);
    }
}

fn cleared(what: &What) -> Vec<ContainerId> {
    if let What::RemovalSent { hosts } = what {
        return ids(hosts.values().flatten());
    }
    Vec::new()
}

fn discarded(what: &What) -> Vec<ContainerId> {
    if let What::DiscardSent { hosts } = what {
        return ids(hosts.values().flatten());
    }
    Vec::new()
}

fn started(what: &What) -> Vec<ContainerId> {
    if let What::StartSent { hosts } = what {
        return ids(hosts.values().flatten());
    }
    Vec::new()
}

fn ids<'c>(containers: impl Iterator<Item = &'c Container>) -> Vec<ContainerId> {
    containers.map(|container| container.id.clone()).collect()
}

/// The journal's facts, as the audit tells them.
struct Audit {
    machine: Coordinator,
    heard: usize,
    facts: Vec<Fact>,
}

impl Audit {
    fn of(world: &World) -> Audit {
        Audit {
            machine: world.coordinator(),
            heard: 0,
            facts: Vec::new(),
        }
    }

    fn hear(&mut self, world: &World) {
        for (event, at) in world.journal.iter().skip(self.heard) {
            let before = self.machine.state().clone();
            self.machine.replay([(event.clone(), *at)]);
            let told = fact(&fleet(), event, &before, self.machine.state());
            self.facts.extend(told);
        }
        self.heard = world.journal.len();
    }
}

fn facts(world: &World) -> Vec<Fact> {
    let mut audit = Audit::of(world);
    audit.hear(world);
    audit.facts
}

fn line(fact: &Fact) -> String {
    let (kind, body) = fact.what.split();
    let site = fact.site.as_ref().map_or("-", |site| site.as_str());
    format!("{site} {}", words(&kind, &body.to_string()))
}
