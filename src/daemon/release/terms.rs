//! What `[release]` asks for before tags move, and what was barred.
use jiff::{SignedDuration, Timestamp};

use super::prepare::{Known, Refused};
use super::wanted::{Aim, Wanted};
use crate::api::release::{Changing, InService};
use crate::api::words::counted;
use crate::coordinator::outcome::Problem;
use crate::coordinator::state::Barred;
use crate::model::release::Terms;
use crate::model::time::span;

/// Lets a move pass that breaks none of them. One that is to be done later is asked then.
pub(super) fn heed(
    terms: &Terms,
    wanted: &Wanted,
    moves: &[Changing],
    known: &Known,
) -> Result<(), Refused> {
    let failed: Vec<Problem> = moves
        .iter()
        .filter_map(|it| barred_at(it, known.barred.get(&it.new.digest)?))
        .collect();
    if !failed.is_empty() {
        return Err(Refused::by("barred", failed));
    }
    let Aim::Promote { at, unsoaked, .. } = &wanted.aim else {
        return Ok(());
    };
    if at.is_some() {
        return Ok(());
    }
    let unsoaked: Vec<Problem> = match unsoaked {
        true => Vec::new(),
        false => moves
            .iter()
            .filter_map(|it| soak(it, terms, known.at))
            .collect(),
    };
    let unapproved: Vec<Problem> = moves.iter().filter_map(|it| approved(it, terms)).collect();
    let rule = if unsoaked.is_empty() {
        "approvals"
    } else {
        "soak"
    };
    let problems: Vec<Problem> = unsoaked.into_iter().chain(unapproved).collect();
    if problems.is_empty() {
        return Ok(());
    }
    Err(Refused::by(rule, problems))
}

fn barred_at(it: &Changing, barred: &Barred) -> Option<Problem> {
    let digest = &it.new.digest;
    Some(Problem {
        what: format!(
            "{} of {} failed at {}, and is barred: {}",
            digest.short(),
            it.image.name(),
            barred.site,
            barred.why
        ),
        cure: format!("promote another, or `cleanslate release clear {digest} --reason TEXT`"),
        is_transient: false,
    })
}

/// Whether it was in service for long enough at one site, without a fault.
fn soak(it: &Changing, terms: &Terms, now: Timestamp) -> Option<Problem> {
    if terms.soak.is_zero() {
        return None;
    }
    let asked = SignedDuration::try_from(terms.soak).unwrap_or(SignedDuration::MAX);
    let lasted = |at: &InService| now.duration_since(at.since);
    let good = it.in_service.iter().filter(|at| at.fault.is_none());
    let longest = good.max_by_key(|at| lasted(at));
    if longest.is_some_and(|at| lasted(at) >= asked) {
        return None;
    }
    let which = format!("{} of {}", it.new.digest.short(), it.image.name());
    let long = span(terms.soak);
    Some(match (longest, it.in_service.first()) {
        (Some(at), _) => {
            let so_far = span(lasted(at).try_into().unwrap_or_default());
            let until = at.since.saturating_add(asked).unwrap_or(Timestamp::MAX);
            Problem {
                what: format!(
                    "{which} is in service without a fault at {} for {so_far}, [release] soak asks for {long}",
                    at.site
                ),
                cure: format!("wait until {until:.0}, say --at, or --unsoaked --reason TEXT"),
                is_transient: true,
            }
        }
        (None, Some(at)) => Problem {
            what: format!(
                "{which} is at fault at {}: {}",
                at.site,
                at.fault.as_deref().unwrap_or_default()
            ),
            cure: "mend it and let it soak, or --unsoaked --reason TEXT".to_owned(),
            is_transient: false,
        },
        (None, None) => Problem {
            what: format!(
                "no site that runs {which} has passed a visit with it, [release] soak asks for {long}"
            ),
            cure: "rotate a site of the channel it comes from, or --unsoaked --reason TEXT"
                .to_owned(),
            is_transient: false,
        },
    })
}

fn approved(it: &Changing, terms: &Terms) -> Option<Problem> {
    let asked = usize::try_from(terms.approvals).unwrap_or(usize::MAX);
    let digest = &it.new.digest;
    (it.approved_by.len() < asked).then(|| Problem {
        what: format!(
            "{} of {} is approved by {}, [release] approvals asks for {asked}",
            digest.short(),
            it.image.name(),
            match it.approved_by.as_slice() {
                [] => "nobody".to_owned(),
                some => format!(
                    "{} ({})",
                    counted(some.len() as u64, "person"),
                    some.join(", ")
                ),
            },
        ),
        cure: format!("whoever tried it says `cleanslate release approve {digest} --reason TEXT`"),
        is_transient: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::release::Told;
    use crate::api::wire::{Command, Promote};
    use crate::coordinator::tests::world::digest;
    use crate::model::image::Digest;
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use std::time::Duration;

    #[test]
    fn a_digest_is_promoted_when_it_was_in_service_for_long_enough_without_a_fault() {
        let asks = |it: &Asked| it.rule();
        let day = Asked {
            soak: 24,
            ..Asked::default()
        };
        assert_eq!(asks(&Asked::default()), None, "no terms, no questions");
        assert_eq!(asks(&day), Some(("soak", 4)), "it never was");
        let since = |hours: i64| day.at(&[(hours, None)]);
        assert_eq!(asks(&since(23)), Some(("soak", 5)), "later it may do");
        assert_eq!(asks(&since(24)), None);
        let sick = day.at(&[(90, Some("front-1 is not healthy"))]);
        assert_eq!(asks(&sick), Some(("soak", 4)));
        let other = day.at(&[(90, Some("front-1 is not healthy")), (25, None)]);
        assert_eq!(asks(&other), None, "one site is enough");
        assert_eq!(
            asks(&Asked {
                unsoaked: true,
                ..day.clone()
            }),
            None
        );
        let at = Some(Timestamp::MAX);
        assert_eq!(asks(&Asked { at, ..day }), None, "it is asked then");
    }

    #[test]
    fn so_many_people_have_to_approve_of_it() {
        let by = |names: &[&str]| Asked {
            approvals: 2,
            approved_by: names.iter().map(|it| (*it).to_owned()).collect(),
            ..Asked::default()
        };
        assert_eq!(by(&[]).rule(), Some(("approvals", 4)));
        assert_eq!(by(&["ana"]).rule(), Some(("approvals", 4)));
        assert_eq!(by(&["ana", "bo"]).rule(), None);
        let neither = Asked {
            soak: 1,
            ..by(&["ana"])
        };
        let refused = neither.heed().unwrap_err();
        let said = refused.problem().what;
        assert!(said.contains("1 person (ana)"), "{said}");
        assert!(said.contains("soak asks for 1h"), "both are told: {said}");
    }

    #[test]
    fn what_was_barred_is_not_moved_anywhere() {
        let barred = Barred {
            image: image(),
            site: "fra".parse().unwrap(),
            rotation: "nightly-20261122T020000-cron".parse().unwrap(),
            at: Timestamp::UNIX_EPOCH,
            why: "it answers 500".to_owned(),
        };
        let it = Asked {
            barred: BTreeMap::from([(digest(2), barred)]),
            unsoaked: true,
            ..Asked::default()
        };
        assert_eq!(it.rule(), Some(("barred", 4)));
    }

    /// A promotion of one image, on terms.
    #[derive(Clone, Default)]
    struct Asked {
        /// In hours.
        soak: u64,
        approvals: u32,
        at: Option<Timestamp>,
        unsoaked: bool,
        in_service: Vec<InService>,
        approved_by: Vec<String>,
        barred: BTreeMap<Digest, Barred>,
    }

    impl Asked {
        /// In service for so many hours, and what is wrong there.
        fn at(&self, sites: &[(i64, Option<&str>)]) -> Asked {
            let of = |(hours, fault): &(i64, Option<&str>)| InService {
                site: "stg".parse().unwrap(),
                since: now() - SignedDuration::from_hours(*hours),
                visits: 1,
                restarts: Some(0),
                packets: None,
                fault: fault.map(str::to_owned),
            };
            Asked {
                in_service: sites.iter().map(of).collect(),
                ..self.clone()
            }
        }

        fn heed(&self) -> Result<(), Refused> {
            let asked = Command::Promote(Promote {
                from: "staging".parse().unwrap(),
                to: "master".parse().unwrap(),
                services: Vec::new(),
                reason: Some("x".to_owned()),
                now: false,
                at: self.at,
                unsoaked: self.unsoaked,
                dry_run: false,
                seen: None,
            });
            let wanted = Wanted::of_words(&asked).unwrap().unwrap();
            let changing = Changing {
                image: image(),
                services: Vec::new(),
                old: None,
                new: Told {
                    digest: digest(2),
                    version: None,
                    revision: None,
                    source: None,
                },
                in_service: self.in_service.clone(),
                approved_by: self.approved_by.clone(),
            };
            let terms = Terms {
                soak: Duration::from_secs(self.soak * 3600),
                approvals: self.approvals,
                ..Terms::default()
            };
            let known = Known {
                barred: Arc::new(self.barred.clone()),
                at: now(),
                ..Known::default()
            };
            heed(&terms, &wanted, &[changing], &known)
        }

        fn rule(&self) -> Option<(&'static str, u8)> {
            self.heed()
                .err()
                .map(|refused| (refused.rule, refused.exit))
        }
    }

    fn image() -> crate::model::image::ImageRef {
        "r.example.com/web:master".parse().unwrap()
    }

    fn now() -> Timestamp {
        Timestamp::from_second(1_000_000_000).unwrap()
    }
}
