//! Every real thing is asked whether a rotation would work; nothing is changed. Rights are proved by an
//! UPDATE that adds what is there and deletes what is not.
use std::collections::BTreeSet;

use futures_util::future::{join, join_all};
use serde::Serialize;

use super::adapters::Adapters;
use super::clock::Clock;
use crate::coordinator::effect::ProbeManner;
use crate::coordinator::outcome::{ProbeOutcome, Problem};
use crate::model::fleet::Fleet;
use crate::model::hook::Call;
use crate::model::image::ImageRef;
use crate::model::rrset::ZoneView;

/// Clocks that are further apart make TSIG signatures fail.
const CLOCKS_APART_S: i64 = 20;

/// One question and its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    pub v: u8,
    pub asked: String,
    pub found: Found,
    /// What came back.
    pub answer: String,
    /// What to do about it.
    pub cure: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    Well,
    Wrong,
    Unasked,
}

/// Asks everything, side by side.
pub async fn examine(adapters: &Adapters, clock: Clock) -> Vec<Check> {
    let fleet = adapters.fleet();
    let (dns, rest) = join(
        Box::pin(of_dns(fleet, adapters)),
        join(
            Box::pin(of_engines(clock, adapters)),
            join(
                Box::pin(of_registries(clock, adapters)),
                Box::pin(of_probes(fleet, adapters)),
            ),
        ),
    )
    .await;
    let (engines, (registries, probes)) = rest;
    [dns, engines, registries, probes, of_hooks(fleet)].concat()
}

/// Whether what hooks run is there. Nobody is called: that would be taken at its word.
fn of_hooks(fleet: &Fleet) -> Vec<Check> {
    let commands = fleet.hooks.iter().filter_map(|hook| match &hook.call {
        Call::Command(words) => Some((hook, words.first()?)),
        Call::Http { .. } => None,
    });
    let checks = commands.map(|(hook, program)| {
        let asked = format!("hook {}", hook.name);
        match crate::hook::find(program) {
            Some(path) => Check::well(asked, format!("{} can be run", path.display())),
            None => Check {
                v: 1,
                asked,
                found: Found::Wrong,
                answer: format!("there is no program {program:?} that can be run"),
                cure: Some(format!(
                    "put it there with its x bits, or correct command of [[hook]] {}",
                    hook.name
                )),
            },
        }
    });
    checks.collect()
}

/// What is not well.
pub fn problem(check: Check) -> Option<Problem> {
    let is_transient = match check.found {
        Found::Well => return None,
        Found::Wrong => false,
        Found::Unasked => true,
    };
    Some(Problem {
        what: format!("{}: {}", check.asked, check.answer),
        cure: check.cure.unwrap_or_default(),
        is_transient,
    })
}

impl Check {
    pub(crate) fn well(asked: impl Into<String>, answer: impl Into<String>) -> Check {
        Check {
            v: 1,
            asked: asked.into(),
            found: Found::Well,
            answer: answer.into(),
            cure: None,
        }
    }

    pub(crate) fn problem(asked: impl Into<String>, problem: &Problem) -> Check {
        Check {
            v: 1,
            asked: asked.into(),
            found: if problem.is_transient {
                Found::Unasked
            } else {
                Found::Wrong
            },
            answer: problem.what.clone(),
            cure: Some(problem.cure.clone()),
        }
    }

    fn wrong(asked: &str, answer: String, cure: &str) -> Check {
        let problem = Problem {
            what: answer,
            cure: cure.to_owned(),
            is_transient: false,
        };
        Check::problem(asked, &problem)
    }
}

async fn of_dns(fleet: &Fleet, adapters: &Adapters) -> Vec<Check> {
    let dns = &adapters.dns;
    let mut checks = Vec::new();
    let asked = format!("primary {}", fleet.dns.server);
    let view = dns.read_primary().await;
    match &view {
        Err(problem) => {
            checks.push(Check::problem(asked, problem));
            return checks;
        }
        Ok(view) => {
            checks.push(Check::well(
                asked,
                format!("answers, serial {}", view.serial),
            ));
            checks.extend(ttls(fleet, view));
        }
    }
    checks.extend(of_servers(adapters).await);
    let report = dns.check_rights().await;
    checks.extend(
        report
            .granted
            .iter()
            .map(|right| Check::well(format!("right to change {right}"), "granted")),
    );
    let rights = |problem: &Problem| Check::problem("DNS rights", problem);
    checks.extend(report.problems.iter().map(rights));
    if let Some(clocks) = report.clocks {
        checks.push(apart("the primary's clock", clocks.server_ahead_s()));
    }
    match dns.unserved().await {
        Ok(problems) => {
            checks.extend(
                problems
                    .iter()
                    .map(|problem| Check::problem("other records", problem)),
            );
        }
        Err(problem) => checks.push(Check::problem("other records", &problem)),
    }
    checks
}

fn ttls(fleet: &Fleet, view: &ZoneView) -> Vec<Check> {
    let served = view
        .rrsets
        .iter()
        .filter_map(|(key, set)| Some((key, set.ttl?)));
    let check = served.map(|(key, ttl)| {
        let asked = format!("TTL of {key}");
        if ttl == fleet.dns.ttl {
            return Check::well(asked, ttl.to_string());
        }
        let answer = format!("{ttl} is served, [dns].ttl says {}", fleet.dns.ttl);
        let cure = "make both the same: cleanslate changes no TTL; after lowering it, ttl_was is \
                    the old one for a day";
        Check::wrong(&asked, answer, cure)
    });
    check.collect()
}

async fn of_servers(adapters: &Adapters) -> Vec<Check> {
    let answers = adapters.dns.ask_servers(&BTreeSet::new()).await;
    let check = answers.into_iter().map(|answer| {
        let asked = format!("name server {}", answer.server);
        match answer.view {
            Ok(view) => Check::well(asked, format!("answers, serial {}", view.serial)),
            Err(why) => Check::problem(
                asked,
                &Problem {
                    what: why,
                    cure: "see that it runs, serves the zone and is reached over TCP; \
                           [dns].nameservers says who must agree"
                        .to_owned(),
                    is_transient: true,
                },
            ),
        }
    });
    check.collect()
}

fn apart(asked: &str, ahead_s: i64) -> Check {
    let answer = match ahead_s {
        0 => "the same as ours".to_owned(),
        ahead if ahead > 0 => format!("{ahead}s ahead of ours"),
        behind => format!("{}s behind ours", -behind),
    };
    if ahead_s.abs() < CLOCKS_APART_S {
        return Check::well(asked, answer);
    }
    Check::wrong(asked, answer, "set both clocks by NTP")
}

async fn of_engines(clock: Clock, adapters: &Adapters) -> Vec<Check> {
    let asked = adapters.engines().map(|(site, host, engine)| async move {
        let asked = format!("engine {site} {host}");
        let before = clock.now().wall;
        let info = match Box::pin(engine.info()).await {
            Ok(info) => info,
            Err(problem) => return vec![Check::problem(asked, &problem)],
        };
        let answer = format!("Docker {}, API {}", info.version, info.api_version);
        let mut checks = vec![Check::well(&asked, answer)];
        if let Some(theirs) = info.clock {
            let ahead = theirs.duration_since(before).as_secs();
            checks.push(apart(&format!("clock of {site} {host}"), ahead));
        }
        checks
    });
    join_all(asked).await.concat()
}

async fn of_registries(clock: Clock, adapters: &Adapters) -> Vec<Check> {
    let now = clock.now().wall;
    let sites = adapters.fleet().sites.values();
    let images = sites.flat_map(|site| site.asked(now).into_values());
    let images: BTreeSet<ImageRef> = images.collect();
    let hosts: BTreeSet<&str> = images.iter().map(|image| image.registry.as_str()).collect();
    let pings = hosts.into_iter().map(|host| async move {
        let asked = format!("registry {host}");
        match Box::pin(adapters.registries.ping(host)).await {
            Ok(()) => Check::well(asked, "answers, and takes our credentials"),
            Err(problem) => Check::problem(asked, &problem),
        }
    });
    let mut checks = join_all(pings).await;
    for (image, digest) in adapters.registries.resolve(&images).await {
        checks.push(of_image(&image, digest));
    }
    checks
}

fn of_image(image: &ImageRef, digest: Result<crate::model::image::Digest, Problem>) -> Check {
    let asked = format!("image {image}");
    match digest {
        Ok(digest) => Check::well(asked, digest.short()),
        Err(problem) => Check::problem(asked, &problem),
    }
}

async fn of_probes(fleet: &Fleet, adapters: &Adapters) -> Vec<Check> {
    let none = BTreeSet::new();
    let asked = fleet.sites.keys().map(|site| {
        let outcome = adapters.probe(site, ProbeManner::Look, &none);
        async move {
            let asked = format!("probes of {site}");
            match Box::pin(outcome).await {
                ProbeOutcome::Passed => vec![Check::well(asked, "pass at every address")],
                ProbeOutcome::Failing { problems } => problems
                    .iter()
                    .map(|problem| Check::problem(asked.as_str(), problem))
                    .collect(),
            }
        }
    });
    join_all(asked).await.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_may_be_some_seconds_apart() {
        assert_eq!(apart("c", 19).found, Found::Well);
        let behind = apart("c", -40);
        assert_eq!(behind.found, Found::Wrong);
        assert_eq!(behind.answer, "40s behind ours");
    }
}
