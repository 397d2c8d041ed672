//! What is asked and known, put together.
use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use futures_util::future::join;

use super::super::super::desk::{Desk, known_site};
use super::super::super::exit::Exit;
use super::super::super::failure::{Failure, Outcome, Said};
use super::super::super::memory::Memory;
use super::text::text;
use crate::api::drift::{Drift, FindingReport, SiteDrift};
use crate::api::report::{EvidenceReport, of_container};
use crate::config::Loaded;
use crate::coordinator::outcome::Problem;
use crate::daemon::drift::{self, Hosts, makers};
use crate::model::drift::{Finding, Known, compare, not_looked_into};
use crate::model::evidence::Evidence;
use crate::model::fleet::Site;
use crate::model::id::{HostName, RotationId, SiteName};
use crate::model::image::Pins;
use crate::model::inventory::Container;

/// Compares what runs with what is declared, and shows what changed inside
///
/// Image digests, specs, scale, strays, restarts, OOM kills, and what was written in containers since
/// they were made. Changes nothing. Exits 4 where something was found, 5 where something could not be
/// asked.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  cleanslate drift                           every site
  cleanslate drift fra --paths               one, and each path that was written
  cleanslate drift -q                        in a cron: exits 4 where a person is to look")]
pub(crate) struct Show {
    /// Only these
    #[arg(value_name = "SITE")]
    sites: Vec<SiteName>,
    /// Lists what changed inside path by path, by folder
    #[arg(long)]
    paths: bool,
}

pub(crate) async fn run(desk: &Desk, args: &Show) -> Outcome {
    let loaded = desk.load()?;
    let fleet = &loaded.fleet;
    for site in &args.sites {
        known_site(fleet, site)?;
    }
    let sites: BTreeSet<SiteName> = match args.sites.is_empty() {
        true => fleet.sites.keys().cloned().collect(),
        false => args.sites.iter().cloned().collect(),
    };
    let drift = Box::pin(look(desk, &loaded, &sites)).await?;
    if desk.output.is_json {
        desk.output.json(&drift);
    } else {
        let text = drift
            .sites
            .iter()
            .map(|site| text(desk, fleet, site, args.paths));
        desk.output.result(&text.collect::<Vec<_>>().join("\n"));
    }
    Ok(exit(&drift.sites))
}

fn exit(sites: &[SiteDrift]) -> Exit {
    let of = |site: &SiteDrift| match (site.counted(), site.complete) {
        (0, true) => Exit::Done,
        (0, false) => Exit::Later,
        _ => Exit::Refused,
    };
    sites.iter().map(of).fold(Exit::Done, Exit::worse)
}

async fn look(desk: &Desk, loaded: &Loaded, sites: &BTreeSet<SiteName>) -> Result<Drift, Failure> {
    let fleet = &loaded.fleet;
    let adapters = desk.adapters(fleet)?;
    let at = desk.clock.now().wall;
    let before = Past::read(desk, loaded);
    let looks = drift::look(&adapters, sites);
    let declared = drift::declared(&adapters, sites, at);
    let (hosts, (declared, unnamed)) = join(Box::pin(looks), Box::pin(declared)).await;
    // A visit that began or ended meanwhile has left nothing to compare.
    let mut past = Past::read(desk, loaded);
    past.visited.extend(before.visited);
    let known = past.known(loaded, &hosts, sites);
    let mut scene = Scene {
        hosts,
        declared,
        unnamed,
        known,
        past,
    };
    let of_sites = sites.iter().filter_map(|site| fleet.sites.get(site));
    Ok(Drift {
        v: 1,
        fleet: fleet.name.to_string(),
        at,
        sites: of_sites.map(|site| scene.of_site(site)).collect(),
    })
}

/// What is remembered here, as far as it can be read.
struct Past {
    memory: Option<Memory>,
    /// Which rotation is at which site.
    visited: BTreeMap<SiteName, RotationId>,
    problems: Vec<Problem>,
}

impl Past {
    fn read(desk: &Desk, loaded: &Loaded) -> Past {
        let mut past = Past {
            memory: None,
            visited: BTreeMap::new(),
            problems: Vec::new(),
        };
        match Memory::open(desk, loaded) {
            Ok(memory) => past.memory = memory,
            Err(failure) => past.say(failure),
        }
        let state = past.memory.as_ref().map(|memory| memory.state(loaded));
        match state.transpose() {
            Ok(state) => {
                let running = state.as_ref().and_then(|state| state.running());
                if let Some(rotation) = running {
                    let visited = rotation.visits.keys().cloned();
                    past.visited
                        .extend(visited.map(|site| (site, rotation.plan.id.clone())));
                }
            }
            Err(failure) => past.say(failure),
        }
        past
    }

    /// What visits pinned. Where that cannot be read, it is said, and what is declared is all that
    /// can be compared.
    fn known(
        &mut self,
        loaded: &Loaded,
        hosts: &Hosts,
        sites: &BTreeSet<SiteName>,
    ) -> BTreeMap<SiteName, Known> {
        let Some(memory) = &self.memory else {
            return BTreeMap::new();
        };
        let mut of_sites: BTreeMap<SiteName, BTreeSet<RotationId>> = sites
            .iter()
            .map(|site| (site.clone(), BTreeSet::new()))
            .collect();
        for ((site, _), seen) in hosts {
            if let (Some(of_site), Ok(seen)) = (of_sites.get_mut(site), seen) {
                of_site.extend(makers(&seen.evidence));
            }
        }
        let known = memory.rotations().and_then(|spans| {
            let latest_first = spans.into_iter().rev().map(|span| span.rotation);
            drift::known(&of_sites, latest_first, |it| memory.story(it, loaded))
        });
        known.unwrap_or_else(|failure| {
            self.say(failure);
            BTreeMap::new()
        })
    }

    fn say(&mut self, failure: Failure) {
        if let Said::Problems(problems) = failure.said {
            self.problems.extend(problems);
        }
    }
}

/// All that was seen and is known.
struct Scene {
    hosts: Hosts,
    declared: BTreeMap<SiteName, Pins>,
    /// The sites of whose images a registry did not say what tags name.
    unnamed: BTreeMap<SiteName, Vec<Problem>>,
    known: BTreeMap<SiteName, Known>,
    past: Past,
}

impl Scene {
    fn of_site(&mut self, site: &Site) -> SiteDrift {
        let name = &site.name;
        let known = Known {
            declared: self.declared.remove(name).unwrap_or_default(),
            ..self.known.remove(name).unwrap_or_default()
        };
        let mut told = SiteDrift {
            site: name.to_string(),
            last_visit: known.last.as_ref().map(Into::into),
            complete: true,
            findings: Vec::new(),
            containers: Vec::new(),
            problems: self.past.problems.iter().cloned().map(Into::into).collect(),
        };
        told.complete = told.problems.is_empty();
        if let Some(rotation) = self.past.visited.get(name) {
            told.lacks(is_visited(name, rotation));
            return told;
        }
        // What the last visit pinned stands in for what tags name.
        for problem in self.unnamed.remove(name).unwrap_or_default() {
            told.complete &= known.last.is_some();
            told.problems.push(problem.into());
        }
        let mut found: Vec<(&HostName, Finding)> = Vec::new();
        for host in &site.hosts {
            let key = (name.clone(), host.name.clone());
            match self.hosts.remove(&key) {
                Some(Ok(seen)) => {
                    for container in not_looked_into(&seen.inventory, &seen.evidence) {
                        told.lacks(is_unseen(&host.name, container));
                    }
                    let findings = compare(host, &seen.inventory, &seen.evidence, &known);
                    found.extend(findings.into_iter().map(|finding| (&host.name, finding)));
                    let report = |it: Evidence| of_container(&host.name, None, it);
                    told.containers
                        .extend(seen.evidence.into_iter().map(report));
                }
                Some(Err(problem)) => told.lacks(problem),
                None => {}
            }
        }
        let by_name = |it: &EvidenceReport| (it.host.clone(), it.container.clone());
        told.containers.sort_by_cached_key(by_name);
        told.findings = FindingReport::all(found.iter().map(|(host, finding)| (*host, finding)));
        told
    }
}

fn is_unseen(host: &HostName, container: &Container) -> Problem {
    Problem {
        what: format!(
            "{host}: what changed inside {} is not known",
            container.name
        ),
        cure: format!(
            "see whether it is there and `docker diff {}` answers",
            container.name
        ),
        is_transient: true,
    }
}

fn is_visited(site: &SiteName, rotation: &RotationId) -> Problem {
    Problem {
        what: format!("{site} is being visited by {rotation}: it is as no declaration says"),
        cure: "ask again when its visit has ended: `cleanslate status`".to_owned(),
        is_transient: true,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn site(counted: &[bool], complete: bool) -> SiteDrift {
        let finding = |finding: &bool| FindingReport {
            kind: "unhealthy".to_owned(),
            finding: *finding,
            host: "fra1".to_owned(),
            service: "edge/web".to_owned(),
            container: None,
            found: None,
            declared: None,
            changes: Vec::new(),
            what: String::new(),
        };
        SiteDrift {
            site: "fra".to_owned(),
            last_visit: None,
            complete,
            findings: counted.iter().map(finding).collect(),
            containers: Vec::new(),
            problems: Vec::new(),
        }
    }

    #[test]
    fn what_was_found_beats_what_could_not_be_asked() {
        let clean = site(&[], true);
        let behind = site(&[false], true);
        let silent = site(&[], false);
        let found = site(&[false, true], false);
        assert_eq!(exit(&[]), Exit::Done);
        assert_eq!(exit(&[clean.clone(), behind]), Exit::Done);
        assert_eq!(exit(&[clean.clone(), silent.clone()]), Exit::Later);
        assert_eq!(exit(&[silent, found, clean]), Exit::Refused);
    }
}
