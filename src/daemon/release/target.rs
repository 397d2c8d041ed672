//! To which manifest each tag goes back.
use std::collections::BTreeSet;

use super::prepare::{Known, Looked, Refused};
use crate::coordinator::outcome::Problem;
use crate::model::fleet::Fleet;
use crate::model::id::ServiceName;
use crate::model::image::{Digest, ImageRef};
use crate::model::release::{Cause, Moved, back_to, running};

/// Where the tag of an image is to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) image: ImageRef,
    pub(super) services: BTreeSet<ServiceName>,
    pub(super) now: Option<Digest>,
    pub(super) to: Digest,
}

/// Each image goes back to what passed everywhere last, or the one that has it to `to`.
pub(super) fn rolled_back(
    fleet: &Fleet,
    looked: Vec<Looked>,
    to: Option<&Digest>,
    known: &Known,
) -> Result<Vec<Target>, Refused> {
    match to {
        Some(to) => by_name(looked, to, known),
        None => by_what_passed(fleet, looked, known),
    }
}

fn by_name(looked: Vec<Looked>, to: &Digest, known: &Known) -> Result<Vec<Target>, Refused> {
    let has = |image: &ImageRef| {
        let is_it = |other: &ImageRef| other.name() == image.name();
        let moved = known.moved.iter();
        let mut moved = moved.filter(|it| it.new == *to || it.old.as_ref() == Some(to));
        let mut passed = known.passed.iter().filter(|it| it.digest == *to);
        moved.any(|it| is_it(&it.image)) || passed.any(|it| is_it(&it.image))
    };
    let is_one = looked.len() == 1;
    let chosen: Vec<Target> = looked
        .into_iter()
        .filter(|looked| is_one || has(&looked.image))
        .map(|looked| Target {
            image: looked.image,
            services: looked.services,
            now: looked.now,
            to: to.clone(),
        })
        .collect();
    if chosen.len() == 1 {
        return Ok(chosen);
    }
    Err(Refused::usage(Problem {
        what: format!("{to} does not say by itself which image is to go back to it"),
        cure: "name one of its services with --service".to_owned(),
        is_transient: false,
    }))
}

fn by_what_passed(
    fleet: &Fleet,
    looked: Vec<Looked>,
    known: &Known,
) -> Result<Vec<Target>, Refused> {
    let together = released_together(fleet, &looked, known)?;
    let (mut targets, mut problems) = (Vec::new(), Vec::new());
    for looked in looked.into_iter().filter(|it| together.contains(&it.image)) {
        let now = looked.now.as_ref();
        let ledger = (known.passed.as_slice(), known.moved.as_slice());
        match back_to(fleet, &looked.image, now, ledger, known.at) {
            Some(to) => targets.push(Target {
                image: looked.image,
                services: looked.services,
                now: looked.now,
                to,
            }),
            None => problems.push(Problem {
                what: format!(
                    "{}: no other digest passed at every site that runs it",
                    looked.image
                ),
                cure: "see `cleanslate release history`, and say --service and --to DIGEST"
                    .to_owned(),
                is_transient: false,
            }),
        }
    }
    if problems.is_empty() {
        return Ok(targets);
    }
    Err(Refused::by("nothing to go back to", problems))
}

/// The images whose tag names what did not pass everywhere; where all did, those that moved last. And
/// whatever was moved with them in one act: a release goes back as it came.
fn released_together(
    fleet: &Fleet,
    looked: &[Looked],
    known: &Known,
) -> Result<BTreeSet<ImageRef>, Refused> {
    let last_of = |image: &ImageRef| {
        let mut moves = known.moved.iter().rev();
        moves.find(|it| it.image == *image)
    };
    let has_passed = |it: &&Looked| {
        let sites = running(fleet, &it.image, &known.passed, known.at);
        sites.iter().all(|site| site.digest == it.now)
    };
    let suspects = looked.iter().filter(|it| !has_passed(it));
    let mut suspects: BTreeSet<ImageRef> = suspects.map(|it| it.image.clone()).collect();
    if suspects.is_empty() {
        let came = |it: &Looked| last_of(&it.image).filter(|moved| came_forward(moved));
        let last = looked.iter().filter_map(came).max_by_key(|moved| moved.at);
        suspects.extend(last.map(|moved| moved.image.clone()));
    }
    if suspects.is_empty() {
        return Err(Refused::by(
            "nothing to go back to",
            vec![Problem {
                what: "every site passed with what the tags name, and the ledger has no move \
                       that could be taken back"
                    .to_owned(),
                cure: "say --service and --to DIGEST".to_owned(),
                is_transient: false,
            }],
        ));
    }
    let acts: BTreeSet<u64> = suspects
        .iter()
        .filter_map(|image| last_of(image)?.act)
        .collect();
    let of_acts = looked.iter().filter(|it| {
        let last = last_of(&it.image).filter(|moved| came_forward(moved));
        let act = last.and_then(|moved| moved.act);
        act.is_some_and(|act| acts.contains(&act))
    });
    suspects.extend(of_acts.map(|it| it.image.clone()));
    Ok(suspects)
}

fn came_forward(moved: &Moved) -> bool {
    match moved.cause {
        Cause::Promote | Cause::Found => true,
        Cause::Rollback | Cause::Undo => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coordinator::tests::world::{digest, fleet};
    use crate::model::release::Passed;
    use crate::model::way::Way;

    #[test]
    fn what_did_not_pass_everywhere_goes_back_with_all_that_came_with_it() {
        let world = World::new();
        let [web, api, worker] = &world.images;
        // web and api came in one act; web failed at one site, worker is as it ever was.
        world.check(
            &[(web, 2), (api, 2), (worker, 1)],
            &[moved(web, 1, 2, 7), moved(api, 1, 2, 7)],
            &[
                (web, 1, 3),
                (web, 2, 1),
                (api, 1, 3),
                (api, 2, 3),
                (worker, 1, 3),
            ],
            Ok(&[(web, 1), (api, 1)]),
        );
    }

    #[test]
    fn where_all_passed_everywhere_what_moved_last_goes_back() {
        let world = World::new();
        let [web, api, worker] = &world.images;
        let passed = [
            (web, 1, 3),
            (web, 2, 3),
            (api, 1, 3),
            (api, 2, 3),
            (worker, 1, 3),
        ];
        let moves = [moved(web, 1, 2, 7), moved(api, 1, 2, 8)];
        let now = [(web, 2), (api, 2), (worker, 1)];
        world.check(&now, &moves, &passed, Ok(&[(api, 1)]));
        let why = "nothing to go back to";
        world.check(&now, &[], &passed, Err(why));
    }

    #[test]
    fn nothing_goes_back_where_one_of_them_has_nowhere_to_go() {
        let world = World::new();
        let [web, api, _] = &world.images;
        let moves = [moved(web, 1, 2, 7), moved(api, 1, 2, 7)];
        let passed = [(web, 1, 3), (api, 1, 2)];
        let why = "nothing to go back to";
        world.check(&[(web, 2), (api, 2)], &moves, &passed, Err(why));
    }

    #[test]
    fn a_digest_says_which_image_it_is_of_where_one_alone_has_it() {
        let world = World::new();
        let [web, api, _] = &world.images;
        let known = Known {
            moved: vec![moved(web, 1, 2, 7), moved(api, 3, 2, 7)],
            ..Known::default()
        };
        let back = |n| by_name(world.looked(&[(web, 2), (api, 2)]), &digest(n), &known);
        let chosen = back(1).unwrap();
        assert_eq!((&chosen[0].image, chosen.len()), (web, 1));
        assert_eq!(back(2).unwrap_err().exit, 2, "both have it");
        assert_eq!(back(9).unwrap_err().exit, 2, "none has it");
    }

    /// Three sites that run three images each.
    struct World {
        fleet: Fleet,
        images: [ImageRef; 3],
    }

    impl World {
        fn new() -> World {
            let mut fleet = fleet();
            let images = ["web", "api", "worker"]
                .map(|name| format!("r.example.com/{name}:master").parse().unwrap());
            for host in fleet.sites.values_mut().flat_map(|site| &mut site.hosts) {
                let services = &mut host.projects[0].services;
                let one = services[0].clone();
                *services = images
                    .iter()
                    .map(|image: &ImageRef| crate::model::service::Service {
                        image: image.clone(),
                        ..one.clone()
                    })
                    .collect();
            }
            World { fleet, images }
        }

        fn looked(&self, now: &[(&ImageRef, u8)]) -> Vec<Looked> {
            let looked = now.iter().map(|(image, n)| Looked {
                image: (*image).clone(),
                services: BTreeSet::new(),
                now: Some(digest(*n)),
            });
            looked.collect()
        }

        /// `passed`: the first so many sites passed with it.
        fn check(
            &self,
            now: &[(&ImageRef, u8)],
            moved: &[Moved],
            passed: &[(&ImageRef, u8, usize)],
            expected: Result<&[(&ImageRef, u8)], &str>,
        ) {
            let of = |(image, n, sites): &(&ImageRef, u8, usize)| {
                let at = jiff::Timestamp::from_second(i64::from(*n)).unwrap();
                let sites = self.fleet.sites.keys().take(*sites);
                let passed = sites.map(|site| Passed {
                    site: site.clone(),
                    image: (*image).clone(),
                    digest: digest(*n),
                    first: at,
                    last: at,
                    visits: 1,
                    rotation: None,
                });
                passed.collect::<Vec<_>>()
            };
            let known = Known {
                moved: moved.to_vec(),
                passed: passed.iter().flat_map(of).collect(),
                ..Known::default()
            };
            let targets = rolled_back(&self.fleet, self.looked(now), None, &known);
            let targets = targets.as_ref().map(|targets| {
                let targets = targets.iter();
                targets
                    .map(|it| (&it.image, it.to.clone()))
                    .collect::<Vec<_>>()
            });
            match expected {
                Ok(expected) => {
                    let expected: Vec<_> = expected
                        .iter()
                        .map(|(image, n)| (*image, digest(*n)))
                        .collect();
                    assert_eq!(targets, Ok(expected));
                }
                Err(rule) => assert_eq!(targets.unwrap_err().rule, rule),
            }
        }
    }

    fn moved(image: &ImageRef, old: u8, new: u8, act: u64) -> Moved {
        Moved {
            at: jiff::Timestamp::from_second(i64::try_from(act).unwrap()).unwrap(),
            image: image.clone(),
            old: Some(digest(old)),
            new: digest(new),
            cause: Cause::Promote,
            who: "ana".to_owned(),
            way: Way::Terminal,
            act: Some(act),
            reason: None,
        }
    }
}
