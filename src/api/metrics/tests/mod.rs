//! The page of nights that were played, and what promises rest on it.
mod nights;
mod page;
mod shipped;
mod times;

use jiff::Timestamp;

use super::{Fact, Metrics};
use crate::api::narrate::Narrator;
use crate::coordinator::tests::world::World;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// When worlds begin.
fn world_begins() -> Timestamp {
    World::new().time().wall
}

fn metrics() -> Metrics {
    metrics_of("holder-a")
}

fn metrics_of(holder: &str) -> Metrics {
    let (fleet, holder) = ("edge".parse().unwrap(), holder.parse().unwrap());
    Metrics::new(&fleet, "1.2.3", holder, world_begins())
}

/// Takes in what the journal of a world holds from that fact on.
fn take_in(metrics: &Metrics, world: &World, from: usize) {
    let mut machine = world.coordinator();
    let mut narrator = Narrator::default();
    for (number, (event, at)) in world.journal.iter().enumerate() {
        let before = machine.state().clone();
        machine.replay([(event.clone(), *at)]);
        let after = machine.state();
        let line = narrator.tell(&world.fleet, event, &before, after, at.wall);
        if number >= from {
            let fact = Fact {
                event,
                before: &before,
                after,
                at: at.wall,
                line: line.as_ref(),
            };
            metrics.see(&world.fleet, &fact);
        }
    }
}

/// The lines of the page that hold a value, in order, without the prefix and the fleet.
fn values(metrics: &Metrics, now: Timestamp) -> Vec<String> {
    let page = metrics.render(now);
    let samples = page.lines().filter(|line| !line.starts_with('#'));
    let mut values: Vec<String> = samples
        .map(|line| {
            let line = line.strip_prefix("cleanslate_").unwrap();
            assert!(line.contains("fleet=\"edge\""), "{line}");
            let line = line.replace("{fleet=\"edge\",", "{");
            line.replace("{fleet=\"edge\"}", "")
        })
        .collect();
    values.sort();
    values
}

/// One value, by its name and labels.
fn value(metrics: &Metrics, now: Timestamp, name: &str) -> Option<f64> {
    values(metrics, now).iter().find_map(|line| {
        let (of, value) = line.rsplit_once(' ').unwrap();
        (of == name).then(|| value.parse().unwrap())
    })
}
