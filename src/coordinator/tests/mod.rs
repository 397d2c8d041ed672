//! The machine against the simulator's world, driven by hand.
mod asking;
mod at_any_step;
mod by_hand;
mod driving;
mod emptying;
mod ending;
mod hooks;
mod inherited;
mod kept;
mod marker;
mod pinned;
mod recreating;
mod returning;
mod rolling_back;
mod rotations;
mod tightening;
mod trial;
mod waves;
mod windows;

use super::event::{Event, RotationEnd, VisitEnd};
use super::machine::Coordinator;
use super::plan::{Mode, Options};
use super::state::State;
/// What tests of other modules meet too.
pub(crate) mod world {
    pub(crate) use super::driving::{fleet, site};
    pub(crate) use super::night;
    pub(crate) use super::trial::{holding, refuse};
    pub(crate) use crate::sim::world::fleet::{project, service};
    pub(crate) use crate::sim::world::{Desk, World, digest, fleet_of, playbook, problem};
}
use world::{World, digest, site};

fn end_of(state: &State) -> RotationEnd {
    state.rotation.as_ref().unwrap().end.clone().unwrap()
}

fn visit_end(state: &State, name: &str) -> VisitEnd {
    let rotation = state.rotation.as_ref().unwrap();
    rotation.ended.get(&site(name)).unwrap().0
}

/// What a visit, or else the rotation, said in the end.
fn said(state: &State, name: &str) -> (String, String) {
    let rotation = state.rotation.as_ref().unwrap();
    let problem = rotation.ended.get(&site(name)).unwrap().1.clone().unwrap();
    (problem.what, problem.cure)
}

fn everything_is_new(world: &World) -> bool {
    let is_new = |host: &crate::model::id::HostName| is_new_on(world, host.as_str());
    world.engines.keys().all(is_new)
}

fn is_new_on(world: &World, host: &str) -> bool {
    let containers = &world.engines[&host.parse().unwrap()];
    let mut made = containers
        .iter()
        .filter(|c| c.role != crate::model::inventory::Role::Kept);
    made.all(|c| c.digests == vec![digest(2)] && c.is_healthy())
}

fn is_old_on(world: &World, host: &str) -> bool {
    let containers = &world.engines[&host.parse().unwrap()];
    containers
        .iter()
        .all(|c| c.digests == vec![digest(1)] && c.is_healthy())
}

fn is_idle_without_debts(world: &World) -> bool {
    let Some(marker) = world.marker() else {
        return true;
    };
    marker.holder.is_none()
        && marker.rotation.is_none()
        && marker.out.is_empty()
        && marker.dirty.is_empty()
}

fn is_unhurt(world: &World) {
    assert_eq!(world.hurt, []);
}

/// A rotation that has begun.
fn began(world: &mut World, mode: Mode, sites: Option<&[&str]>, options: Options) -> Coordinator {
    let mut machine = world.coordinator();
    ask(world, &mut machine, mode, sites, options);
    machine
}

/// Begins another rotation on the same store.
fn ask(
    world: &mut World,
    machine: &mut Coordinator,
    mode: Mode,
    sites: Option<&[&str]>,
    options: Options,
) {
    let sites = sites.map(|names| names.iter().map(|name| site(name)).collect());
    let plan = world.plan(mode, sites, options);
    world.begin(machine, plan);
}

/// A night of all sites on a world of three.
pub(crate) fn night(world: &mut World) -> Coordinator {
    began(world, Mode::Rotate, None, Options::default())
}

fn count(world: &World, is_it: impl Fn(&Event) -> bool) -> usize {
    world
        .journal
        .iter()
        .filter(|(event, _)| is_it(event))
        .count()
}
