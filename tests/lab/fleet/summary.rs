//! What the demo says in the end: a table that a person believes.

use std::collections::BTreeMap;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::Result;

use super::events::{Events, Visit};
use crate::lab::inspect::ContainerView;
use crate::lab::spec::{PRIMARY, RECORD, SECONDARY};
use crate::lab::{FleetOptions, History, Lab, UsersReport};

/// The containers of each site, running or not.
pub type Inventory = BTreeMap<String, Vec<ContainerView>>;

/// All that was seen and counted.
pub struct Outcome {
    pub status: ExitStatus,
    pub took: Duration,
    pub before: Inventory,
    pub after: Inventory,
    pub users: UsersReport,
    pub history: History,
    pub events: Events,
}

impl Outcome {
    /// Nothing from before is left, not even stopped, and each host runs what was declared.
    pub fn is_clean(&self, lab: &Lab, options: &FleetOptions) -> bool {
        let declared: u32 = options
            .services
            .iter()
            .map(|service| service.replicas)
            .sum();
        let declared = usize::try_from(declared).unwrap_or(usize::MAX);
        self.after.iter().all(|(site, containers)| {
            let old = |it: &ContainerView| self.before[site].iter().any(|old| old.id == it.id);
            let expected = declared * lab.engines_of(site).len();
            running(&self.after, site) == expected && !containers.iter().any(old)
        })
    }
}

/// What the engines have.
pub fn inventory(lab: &Lab) -> Result<Inventory> {
    let mut inventory = Inventory::new();
    for engine in lab.engines() {
        let containers = lab.containers(&engine.host.name)?;
        inventory
            .entry(engine.host.site.clone())
            .or_default()
            .extend(containers);
    }
    Ok(inventory)
}

fn running(inventory: &Inventory, site: &str) -> usize {
    inventory[site]
        .iter()
        .filter(|container| container.state == "running")
        .count()
}

/// Prints the table, and what happened in the whole.
pub fn tell(lab: &Lab, outcome: &Outcome) {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
    table.set_header([
        "site",
        "out of DNS",
        "of that drain",
        "rebuild",
        "containers",
        "web digest",
        "requests",
        "lost",
    ]);
    for site in lab.spec.sites.iter().map(|site| site.name.as_str()) {
        let visit = outcome.events.visit(site);
        let share = outcome.users.by_site.get(site).cloned().unwrap_or_default();
        let count = |inventory| running(inventory, site);
        table.add_row([
            site.to_owned(),
            out_of_dns(lab, &outcome.history, site),
            visit.as_ref().map_or_else(unknown, drain),
            visit
                .as_ref()
                .and_then(|it| it.rebuild_seconds)
                .map_or_else(unknown, seconds),
            format!("{} → {}", count(&outcome.before), count(&outcome.after)),
            format!(
                "{} → {}",
                web_digest(&outcome.before, site),
                web_digest(&outcome.after, site)
            ),
            (share.ok + share.lost).to_string(),
            share.lost.to_string(),
        ]);
    }
    println!("\n{table}");
    let users = &outcome.users;
    let (p50, p99) = (
        f64::from(users.latency.p50) / 1e3,
        f64::from(users.latency.p99) / 1e3,
    );
    println!(
        "{} requests in {:.0} s of rotation, {} lost; latency p50 {p50:.1} ms, p99 {p99:.1} ms.",
        users.sent,
        outcome.took.as_secs_f64(),
        users.lost.len(),
    );
    println!(
        "Never fewer than {} of {} addresses in DNS, as seen on both servers every 20 ms.",
        outcome.history.min_size(RECORD, false),
        lab.engines().len(),
    );
    users
        .lost
        .iter()
        .take(10)
        .for_each(|lost| println!("lost: {lost:?}"));
}

/// As any user of any server saw it: from the first server without the site to the last with it.
fn out_of_dns(lab: &Lab, history: &History, site: &str) -> String {
    let spans = lab.spec.addresses(site).into_iter().flat_map(|address| {
        let servers = [PRIMARY.into(), SECONDARY.into()];
        servers
            .into_iter()
            .flat_map(move |server| history.absences(server, RECORD, address))
    });
    let spans: Vec<_> = spans.collect();
    let first = spans.iter().map(|(from, _)| *from).min();
    let last = spans.iter().map(|(_, to)| *to).max().flatten();
    match (first, last) {
        (None, _) => "never".to_owned(),
        (Some(_), None) => "still".to_owned(),
        (Some(first), Some(last)) => seconds(last.duration_since(first).as_secs_f64()),
    }
}

fn drain(visit: &Visit) -> String {
    let reason = visit.drain_reason.as_deref().unwrap_or("?");
    visit
        .drain_seconds
        .map_or_else(unknown, |it| format!("{} ({reason})", seconds(it)))
}

/// The start of the manifest digest that the site's web containers run.
fn web_digest(inventory: &Inventory, site: &str) -> String {
    let web = inventory[site]
        .iter()
        .filter(|it| it.name.contains("front"));
    let digest = web
        .flat_map(|it| it.digests.first())
        .next()
        .cloned()
        .unwrap_or_default();
    digest
        .trim_start_matches("sha256:")
        .chars()
        .take(8)
        .collect()
}

fn seconds(seconds: f64) -> String {
    format!("{seconds:.1} s")
}

fn unknown() -> String {
    "?".to_owned()
}
