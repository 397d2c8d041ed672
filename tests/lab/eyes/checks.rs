//! What must hold in everything that the name servers ever showed, whatever was broken meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use anyhow::{Result, bail};

use super::watcher::History;
use crate::lab::inspect::Answer;
use crate::lab::spec::LabSpec;

/// One thing that must hold, and why.
pub struct Check {
    pub name: &'static str,
    pub why: &'static str,
    /// What one server showed that breaks it; `None` when nothing did.
    broken: fn(&LabSpec, &[Look]) -> Option<String>,
}

/// What one server showed at one time: every record, from one version of the zone.
#[derive(Clone, Debug)]
struct Look<'h> {
    at: jiff::Timestamp,
    answers: BTreeMap<&'h str, &'h Answer>,
}

/// All of them, for a fleet that was in service when the watching began.
pub const CHECKS: [Check; 9] = [
    Check {
        name: "never empty",
        why: "an empty set sends every user away, and caches remember it",
        broken: never_empty,
    },
    Check {
        name: "floor",
        why: "no change leaves a record with more than one of its sites missing",
        broken: floor,
    },
    Check {
        name: "one site out",
        why: "two sites that are out at once are two nights at once",
        broken: one_site_out,
    },
    Check {
        name: "a site together",
        why: "a site with half of its addresses in DNS serves half of its users",
        broken: together,
    },
    Check {
        name: "dirty is out",
        why: "a site of which something was stopped is in DNS only when it was verified",
        broken: dirty_is_out,
    },
    Check {
        name: "markers alike",
        why: "two records with two markers are two locks",
        broken: markers_alike,
    },
    Check {
        name: "marker rises",
        why: "a marker that went back lets an old UPDATE in again",
        broken: marker_rises,
    },
    Check {
        name: "nonce is new",
        why: "a value that comes again makes a late UPDATE fit again",
        broken: nonce_is_new,
    },
    Check {
        name: "TTL stays",
        why: "a drain is as long as the TTL that was read before",
        broken: ttl_stays,
    },
];

impl History {
    /// Fails with every check that does not hold, and what was seen.
    pub fn check(&self, spec: &LabSpec) -> Result<()> {
        let broken: Vec<_> = self.broken(spec).into_iter().collect();
        if broken.is_empty() {
            return Ok(());
        }
        let lines = broken.iter().map(|(check, seen)| {
            let Check { name, why, .. } = check;
            format!("{name}: {seen} ({why})\n")
        });
        bail!(
            "the watcher saw what must not be:\n{}",
            lines.collect::<String>()
        )
    }

    /// The checks that do not hold, with what one server showed.
    pub fn broken(&self, spec: &LabSpec) -> Vec<(&'static Check, String)> {
        let servers: BTreeSet<_> = self.changes.iter().map(|change| change.server).collect();
        let mut broken = Vec::new();
        for server in servers {
            let looks = self.looks(server);
            for check in &CHECKS {
                if let Some(seen) = (check.broken)(spec, &looks) {
                    broken.push((check, format!("{server} {seen}")));
                }
            }
        }
        broken
    }

    /// What one server showed, whenever any of it changed.
    fn looks(&self, server: IpAddr) -> Vec<Look<'_>> {
        let mut looks: Vec<Look> = Vec::new();
        for change in self.changes.iter().filter(|it| it.server == server) {
            // A server that says nothing still has what it had.
            let Some(answer) = &change.answer else {
                continue;
            };
            let last = looks.last();
            if last.is_none_or(|look| look.at != change.at) {
                let answers = last.map(|look| look.answers.clone()).unwrap_or_default();
                looks.push(Look {
                    at: change.at,
                    answers,
                });
            }
            let look = looks
                .last_mut()
                .expect("one was pushed where there was none");
            look.answers.insert(&change.record, answer);
        }
        looks
    }
}

impl Look<'_> {
    /// What a site is to have in a record: nothing, where it is no member.
    fn shares<'s>(&self, spec: &'s LabSpec) -> Vec<(&'s str, &'s str, Share)> {
        let mut shares = Vec::new();
        for record in &spec.records {
            let Some(answer) = self.answers.get(record.name.as_str()) else {
                continue;
            };
            for site in spec.sites.iter().filter(|site| record.has(&site.name)) {
                let all = spec.addresses(&site.name);
                let here = all
                    .iter()
                    .filter(|it| answer.addresses.contains(it))
                    .count();
                let share = match here {
                    0 => Share::None,
                    _ if here == all.len() => Share::All,
                    _ => Share::Some,
                };
                shares.push((record.name.as_str(), site.name.as_str(), share));
            }
        }
        shares
    }

    fn show(&self, what: &str) -> String {
        let sets = self.answers.iter();
        let sets: Vec<_> = sets
            .map(|(name, it)| (name, &it.addresses, &it.marker))
            .collect();
        format!("at {}: {what}: {sets:?}", self.at)
    }
}

/// How much of a site a record shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Share {
    All,
    Some,
    None,
}

fn never_empty(_: &LabSpec, looks: &[Look]) -> Option<String> {
    let family = |answer: &Answer, v6: bool| answer.addresses.iter().any(|it| it.is_ipv6() == v6);
    let first = looks.first()?;
    looks.iter().find_map(|look| {
        let emptied = look.answers.iter().find(|(name, answer)| {
            let was = first.answers.get(*name);
            let lost = |v6| was.is_some_and(|was| family(was, v6)) && !family(answer, v6);
            lost(false) || lost(true)
        });
        emptied.map(|(name, _)| look.show(&format!("{name} lost all addresses of a family")))
    })
}

fn floor(spec: &LabSpec, looks: &[Look]) -> Option<String> {
    looks.iter().find_map(|look| {
        let shares = look.shares(spec);
        let low = spec.records.iter().find(|record| {
            let of = shares.iter().filter(|(name, _, _)| *name == record.name);
            of.filter(|(_, _, share)| *share != Share::All).count() > 1
        });
        low.map(|record| look.show(&format!("{} is below its floor", record.name)))
    })
}

fn one_site_out(spec: &LabSpec, looks: &[Look]) -> Option<String> {
    looks.iter().find_map(|look| {
        let shares = look.shares(spec).into_iter();
        let out = shares.filter(|(_, _, share)| *share != Share::All);
        let out: BTreeSet<_> = out.map(|(_, site, _)| site).collect();
        (out.len() > 1).then(|| look.show(&format!("{out:?} are out")))
    })
}

fn together(spec: &LabSpec, looks: &[Look]) -> Option<String> {
    looks.iter().find_map(|look| {
        let mut of_site: BTreeMap<&str, Share> = BTreeMap::new();
        for (_, site, share) in look.shares(spec) {
            let before = *of_site.entry(site).or_insert(share);
            if share == Share::Some || share != before {
                return Some(look.show(&format!("{site} is in by half")));
            }
        }
        None
    })
}

fn dirty_is_out(spec: &LabSpec, looks: &[Look]) -> Option<String> {
    looks.iter().find_map(|look| {
        let dirty: BTreeSet<_> = look
            .answers
            .values()
            .flat_map(|it| it.marker_list("dirty"))
            .collect();
        let here = look.shares(spec).into_iter();
        let mut here = here.filter(|(_, _, share)| *share != Share::None);
        let shown = here.find(|(_, site, _)| dirty.contains(site));
        shown.map(|(_, site, _)| look.show(&format!("{site} is dirty and in DNS")))
    })
}

fn markers_alike(_: &LabSpec, looks: &[Look]) -> Option<String> {
    looks.iter().find_map(|look| {
        let markers: BTreeSet<_> = look.answers.values().map(|it| &it.marker).collect();
        (markers.len() > 1).then(|| look.show("the markers differ"))
    })
}

fn marker_rises(_: &LabSpec, looks: &[Look]) -> Option<String> {
    let mut last: Option<((u64, u64), &[String])> = None;
    for look in looks {
        let Some(answer) = look.answers.values().find(|it| !it.marker.is_empty()) else {
            if last.is_some() {
                return Some(look.show("the marker is gone"));
            }
            continue;
        };
        let number = |key| answer.marker_value(key)?.parse::<u64>().ok();
        let Some(now) = number("epoch").zip(number("seq")) else {
            return Some(look.show("no epoch or seq"));
        };
        if let Some((before, marker)) = last
            && marker != answer.marker
            && !(now.0 >= before.0 && now.1 > before.1)
        {
            return Some(look.show(&format!("before it epoch and seq were {before:?}")));
        }
        last = Some((now, &answer.marker));
    }
    None
}

fn nonce_is_new(_: &LabSpec, looks: &[Look]) -> Option<String> {
    let mut seen: BTreeMap<&str, &[String]> = BTreeMap::new();
    for look in looks {
        for answer in look.answers.values().filter(|it| !it.marker.is_empty()) {
            let Some(nonce) = answer.marker_value("nonce") else {
                return Some(look.show("no nonce"));
            };
            if *seen.entry(nonce).or_insert(&answer.marker) != answer.marker {
                return Some(look.show(&format!("nonce {nonce} came again")));
            }
        }
    }
    None
}

fn ttl_stays(spec: &LabSpec, looks: &[Look]) -> Option<String> {
    looks.iter().find_map(|look| {
        let mut ttls = look.answers.values().flat_map(|it| [it.ttl, it.marker_ttl]);
        let other = ttls.find(|ttl| ttl.is_some_and(|ttl| ttl != spec.ttl));
        other.map(|ttl| look.show(&format!("a TTL of {ttl:?}")))
    })
}
