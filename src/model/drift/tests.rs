//! Containers beside what is declared of them, case by case.
use std::collections::{BTreeMap, BTreeSet};

use super::{Difference, Known, LastVisit, compare, not_looked_into};
use crate::model::evidence::{ChangeKind, Evidence, PathChange};
use crate::model::fleet::Host;
use crate::model::id::{ContainerId, Epoch, SiteName};
use crate::model::inventory::{Container, ContainerState, Health, Inventory, Mark, Role};
use crate::model::service::{Condition, Dependency, Keep};
use crate::sim::world::{digest, fleet_of};

/// A host that runs two containers of `edge/web`, as the visit of epoch 5 made them, and what is
/// known of it.
struct Scene {
    host: Host,
    inventory: Inventory,
    evidence: Vec<Evidence>,
    known: Known,
}

impl Scene {
    fn new() -> Scene {
        let fleet = fleet_of(&["fra"], 1);
        let host = fleet.sites[&site()].hosts[0].clone();
        let image = host.projects[0].services[0].image.clone();
        let pinned = BTreeMap::from([("edge/web".to_owned(), BTreeSet::from([digest(1)]))]);
        let containers: Vec<Container> = (1..=2).map(container).collect();
        Scene {
            host,
            evidence: containers.iter().map(evidence).collect(),
            inventory: Inventory {
                containers,
                ..Inventory::default()
            },
            known: Known {
                declared: BTreeMap::from([(image, digest(1))]),
                last: Some(LastVisit {
                    rotation: "night-5".parse().unwrap(),
                    epoch: Epoch(5),
                    at: "2026-07-01T03:00:00Z".parse().unwrap(),
                }),
                pinned: BTreeMap::from([("night-5".parse().unwrap(), pinned)]),
            },
        }
    }

    /// The first of its containers.
    fn first(&mut self) -> &mut Container {
        &mut self.inventory.containers[0]
    }

    /// As if `edge-web-1` had been made by a visit that nobody here knows.
    fn made_elsewhere(&mut self, epoch: u64) {
        self.evidence[0].made_by = Some("other-7".parse().unwrap());
        self.first().mark.as_mut().unwrap().epoch = Epoch(epoch);
    }

    fn add(&mut self, container: Container) {
        self.evidence.push(evidence(&container));
        self.inventory.containers.push(container);
    }

    fn differences(&self) -> Vec<Difference> {
        let found = compare(&self.host, &self.inventory, &self.evidence, &self.known);
        found.into_iter().map(|it| it.difference).collect()
    }

    /// `KIND of CONTAINER`.
    fn told(&self) -> Vec<String> {
        let found = compare(&self.host, &self.inventory, &self.evidence, &self.known);
        let told = found.iter().map(|it| {
            let whose = it.container.as_ref().unwrap_or(&it.service);
            format!("{} of {whose}", it.difference.kind())
        });
        told.collect()
    }
}

fn site() -> SiteName {
    "fra".parse().unwrap()
}

fn container(number: u32) -> Container {
    Container {
        id: format!("{number:012x}").parse::<ContainerId>().unwrap(),
        name: format!("edge-web-{number}"),
        project: "edge".parse().unwrap(),
        service: "web".parse().unwrap(),
        number,
        role: Role::Recreated,
        state: ContainerState::Running {
            health: Health::Healthy,
            since: None,
        },
        digests: vec![digest(1)],
        mark: Some(Mark {
            epoch: Epoch(5),
            hold: "HOLDABC".parse().unwrap(),
            fleet: "edge".parse().unwrap(),
            site: site(),
        }),
        spec: Some("spec".to_owned()),
        is_declared_spec: Some(true),
        restarts: 0,
    }
}

fn by_hand(number: u32) -> Container {
    Container {
        mark: None,
        spec: None,
        is_declared_spec: None,
        ..container(number)
    }
}

fn evidence(container: &Container) -> Evidence {
    let made_by = container.mark.as_ref();
    Evidence {
        container: container.id.clone(),
        name: container.name.clone(),
        project: container.project.clone(),
        service: container.service.clone(),
        made_by: made_by.map(|mark| format!("night-{}", mark.epoch).parse().unwrap()),
        state: "running".to_owned(),
        exit_code: None,
        error: None,
        health: Vec::new(),
        changes: Vec::new(),
        changes_left_out: 0,
        changes_unread: None,
        groups: Vec::new(),
        not_looked_at: 0,
        written: None,
        restarts: 0,
        oom_killed: false,
        logs: String::new(),
    }
}

const NONE: [&str; 0] = [];

#[test]
fn what_a_visit_made_is_as_declared() {
    assert_eq!(Scene::new().told(), NONE);
}

#[test]
fn too_many_and_too_few_are_told_of_the_service() {
    let mut scene = Scene::new();
    scene.add(container(3));
    let (running, declared) = (3, 2);
    let more = Difference::Extra { running, declared };
    assert_eq!(scene.differences(), [more]);
    scene.inventory.containers.truncate(1);
    let (running, declared) = (1, 2);
    let fewer = Difference::Missing { running, declared };
    assert_eq!(scene.differences(), [fewer]);
    scene.inventory.containers.clear();
    assert_eq!(scene.told(), ["missing of edge/web"]);
}

#[test]
fn what_was_made_by_hand_is_told_and_so_is_what_it_runs() {
    let mut scene = Scene::new();
    scene.inventory.containers[0] = by_hand(1);
    scene.evidence[0].made_by = None;
    assert_eq!(scene.told(), ["by_hand of edge-web-1"]);
    scene.first().digests = vec![digest(9)];
    let other = Difference::OtherDigest {
        running: Some(digest(9)),
        pinned: BTreeSet::from([digest(1)]),
    };
    assert_eq!(scene.differences(), [other, Difference::ByHand]);
    scene.first().digests.clear();
    let told = ["other_digest of edge-web-1", "by_hand of edge-web-1"];
    assert_eq!(scene.told(), told);
}

#[test]
fn an_older_digest_than_the_tag_names_is_behind_and_no_finding() {
    let mut scene = Scene::new();
    *scene.known.declared.values_mut().next().unwrap() = digest(2);
    let behind = Difference::Behind {
        running: digest(1),
        tag: digest(2),
    };
    assert!(!behind.is_finding());
    assert_eq!(scene.differences(), [behind.clone(), behind]);
    // A registry that does not answer hides nothing of what visits pinned.
    scene.known.declared.clear();
    assert_eq!(scene.told(), NONE);
    scene.first().digests = vec![digest(9)];
    assert_eq!(scene.told(), ["other_digest of edge-web-1"]);
}

#[test]
fn what_its_own_visit_did_not_pin_is_a_finding_even_where_the_tag_names_it() {
    let mut scene = Scene::new();
    *scene.known.declared.values_mut().next().unwrap() = digest(2);
    scene.inventory.containers.truncate(2);
    for container in &mut scene.inventory.containers {
        container.digests = vec![digest(2)];
    }
    let other = Difference::OtherDigest {
        running: Some(digest(2)),
        pinned: BTreeSet::from([digest(1)]),
    };
    assert_eq!(scene.differences(), [other.clone(), other]);
}

#[test]
fn an_image_with_several_digests_is_on_any_of_them() {
    let mut scene = Scene::new();
    scene.first().digests = vec![digest(9), digest(1)];
    assert_eq!(scene.told(), NONE);
}

#[test]
fn of_a_visit_that_is_not_known_nothing_is_claimed() {
    let mut scene = Scene::new();
    scene.made_elsewhere(7);
    assert_eq!(scene.told(), NONE, "it runs what the tag names");
    scene.first().digests = vec![digest(9)];
    let unknown = Difference::UnknownVisit {
        running: digest(9),
        made_by: Some("other-7".parse().unwrap()),
    };
    assert!(!unknown.is_finding());
    assert_eq!(scene.differences(), [unknown]);
    // Nor where nothing at all is remembered.
    let mut scene = Scene::new();
    scene.known.last = None;
    scene.known.pinned.clear();
    assert_eq!(scene.told(), NONE);
    scene.known.declared.clear();
    let told = ["unknown_visit of edge-web-1", "unknown_visit of edge-web-2"];
    assert_eq!(scene.told(), told);
}

#[test]
fn what_is_older_than_the_last_visit_ought_to_be_gone() {
    let mut scene = Scene::new();
    scene.made_elsewhere(4);
    let older = Difference::OlderVisit {
        made_by: Some("other-7".parse().unwrap()),
    };
    assert_eq!(scene.differences(), [older]);
    scene.made_elsewhere(6);
    assert_eq!(scene.told(), NONE, "made by somebody later");
}

#[test]
fn a_stray_is_told_and_counts_for_no_service() {
    let mut scene = Scene::new();
    scene.add(Container {
        name: "edge-web-run".to_owned(),
        role: Role::Stray,
        ..by_hand(3)
    });
    scene.add(Container {
        name: "miner".to_owned(),
        service: "miner".parse().unwrap(),
        role: Role::Stray,
        ..by_hand(4)
    });
    assert_eq!(scene.told(), ["stray of miner", "stray of edge-web-run"]);
}

#[test]
fn how_a_container_fares_is_told() {
    let mut scene = Scene::new();
    scene.first().is_declared_spec = Some(false);
    scene.first().restarts = 3;
    scene.evidence[0].oom_killed = true;
    scene.first().state = ContainerState::Running {
        health: Health::Unhealthy,
        since: None,
    };
    let told = [
        Difference::OtherSpec,
        Difference::OomKilled,
        Difference::Unhealthy,
        Difference::Restarted { times: 3 },
    ];
    assert_eq!(scene.differences(), told);
}

#[test]
fn what_does_not_run_is_told_with_its_code() {
    let state = |state| {
        let mut scene = Scene::new();
        scene.first().state = state;
        scene.differences()
    };
    let down = |state: &str, exit_code| Difference::NotRunning {
        state: state.to_owned(),
        exit_code,
    };
    let missing = Difference::Missing {
        running: 1,
        declared: 2,
    };
    let exited = ContainerState::Exited {
        code: 137,
        oom_killed: true,
    };
    let told = [
        Difference::OomKilled,
        down("exited", Some(137)),
        missing.clone(),
    ];
    assert_eq!(state(exited), told);
    assert_eq!(
        state(ContainerState::Paused),
        [down("paused", None), missing.clone()]
    );
    assert_eq!(
        state(ContainerState::Dead),
        [down("dead", None), missing.clone()]
    );
    assert_eq!(state(ContainerState::Restarting), []);
    // Made by a visit that did not come to start it.
    assert_eq!(state(ContainerState::Created), [missing]);
}

#[test]
fn what_is_to_end_has_ended_well_with_0_only() {
    let mut scene = Scene::new();
    let mut waiting = scene.host.projects[0].services[0].clone();
    waiting.name = "waiting".parse().unwrap();
    waiting.replicas = 0;
    waiting.depends_on = BTreeMap::from([(
        "web".parse().unwrap(),
        Dependency {
            condition: Condition::CompletedSuccessfully,
            is_required: true,
            restart: false,
        },
    )]);
    scene.host.projects[0].services.push(waiting);
    let ended = |code| ContainerState::Exited {
        code,
        oom_killed: false,
    };
    for container in &mut scene.inventory.containers {
        container.state = ended(0);
    }
    assert_eq!(scene.told(), NONE);
    scene.first().state = ended(1);
    let told = ["not_running of edge-web-1", "missing of edge/web"];
    assert_eq!(scene.told(), told);
}

#[test]
fn a_kept_service_may_be_older_and_made_by_others() {
    let mut scene = Scene::new();
    scene.host.projects[0].services[0].keep = Keep::Yes;
    for container in &mut scene.inventory.containers {
        container.role = Role::Kept;
    }
    scene.inventory.containers[0] = Container {
        role: Role::Kept,
        digests: vec![digest(9)],
        ..by_hand(1)
    };
    scene.evidence[0].made_by = None;
    scene.inventory.containers[1].mark.as_mut().unwrap().epoch = Epoch(1);
    assert_eq!(scene.told(), ["behind of edge-web-1"]);
    scene.inventory.containers[1].is_declared_spec = Some(false);
    let told = ["other_spec of edge-web-2", "behind of edge-web-1"];
    assert_eq!(scene.told(), told);
}

#[test]
fn programs_that_were_changed_come_first_and_not_without_end() {
    let mut scene = Scene::new();
    scene.first().restarts = 1;
    let change = |path: String| PathChange {
        path,
        kind: ChangeKind::Deleted,
        file: None,
    };
    scene.evidence[0].changes = vec![change("/tmp/a".to_owned()), change("/bin/ls".to_owned())];
    let listed = |count: usize| (0..count).map(|n| change(format!("/bin/{n}")));
    scene.evidence[1].changes = listed(60).collect();
    let programs = |changes: Vec<PathChange>, more| Difference::Programs { changes, more };
    let told = [
        programs(vec![change("/bin/ls".to_owned())], 0),
        programs(listed(50).collect(), 10),
        Difference::Restarted { times: 1 },
    ];
    assert_eq!(scene.differences(), told);
}

#[test]
fn what_nobody_could_look_into_is_known() {
    let names = |scene: &Scene| {
        let unseen = not_looked_into(&scene.inventory, &scene.evidence).into_iter();
        unseen.map(|it| it.name.clone()).collect::<Vec<_>>()
    };
    let mut scene = Scene::new();
    assert_eq!(names(&scene), NONE);
    scene.evidence[0].changes_unread = Some("it did not answer".to_owned());
    scene.evidence.pop();
    assert_eq!(names(&scene), ["edge-web-1", "edge-web-2"]);
    scene.first().state = ContainerState::Created;
    assert_eq!(names(&scene), ["edge-web-2"], "it was never started");
}
