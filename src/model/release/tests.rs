//! Acts against a pretend registry that loses answers, refuses and is interfered with, and processes
//! that die at every step.
use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::{
    Act, Cause, End, Left, Move, Moved, Mover, Passed, Phase, Verb, Want, back_to, running,
};
use crate::coordinator::tests::world::fleet;
use crate::model::fleet::Fleet;
use crate::model::image::{Digest, ImageRef};
use crate::model::pin::SitePin;
use crate::model::way::Way;
use crate::sim::world::digest;

/// What goes wrong, by the number of the step at which it does.
#[derive(Clone, Debug, Default)]
struct Faults {
    /// The process dies before the step (`false`) or after it was carried out, unheard.
    dies: BTreeMap<usize, bool>,
    /// A PUT of that step is not carried out (`false`) or is, and nobody says which.
    unknown: BTreeMap<usize, bool>,
    /// Somebody else moves a tag to a third digest before the step.
    moves: BTreeMap<usize, usize>,
    /// Manifests that cannot be put any more.
    gone: BTreeSet<Digest>,
    /// From that step on.
    gone_from: usize,
}

/// What lasts: the registry's tags, and what was written down.
struct World {
    tags: Vec<Option<Digest>>,
    kept: Option<Act>,
    puts: usize,
    step: usize,
    foreign: BTreeSet<usize>,
}

impl World {
    fn new(act: &Act) -> World {
        World {
            tags: act.moves.iter().map(|it| it.old.clone()).collect(),
            kept: None,
            puts: 0,
            step: 0,
            foreign: BTreeSet::new(),
        }
    }

    /// Begins the act and goes on after every death, until nothing is open; how it ended.
    fn play(&mut self, act: &Act, faults: &Faults) -> Option<End> {
        if !self.live(Mover::begin(act.clone()), faults) && self.kept.is_none() {
            return None;
        }
        for _ in 0..20 {
            let kept = self.kept.clone().unwrap();
            if let Some(end) = kept.end() {
                return Some(end.clone());
            }
            self.live(Mover::take_up(kept), faults);
        }
        panic!("it does not end: {:?}", self.kept);
    }

    /// One process; `false`: it died.
    fn live(&mut self, mut mover: Mover, faults: &Faults) -> bool {
        let mut just_read = None;
        for _ in 0..500 {
            let step = self.step;
            self.step += 1;
            if let Some(at) = faults.moves.get(&step) {
                self.tags[*at] = Some(digest(99));
                self.foreign.insert(*at);
            }
            if faults.dies.get(&step) == Some(&false) {
                return false;
            }
            let want = mover.wants();
            assert_eq!(want, mover.wants(), "asked twice, it wants the same");
            let dies = faults.dies.get(&step) == Some(&true);
            match want {
                Want::Nothing(_) => return true,
                Want::Record(act) => {
                    self.kept = Some(act);
                    if dies {
                        return false;
                    }
                    mover.recorded();
                }
                Want::Read { at } => {
                    mover.read(at, self.tags[at].clone());
                    just_read = Some(at);
                }
                Want::Put { at, digest } => {
                    assert_eq!(just_read.take(), Some(at), "it is read right before");
                    assert!(
                        self.kept.is_some(),
                        "nothing is put that is not written down"
                    );
                    if faults.gone.contains(&digest) && step >= faults.gone_from {
                        mover.refused(at, "it is gone".to_owned());
                        continue;
                    }
                    self.puts += 1;
                    let unknown = faults.unknown.get(&step);
                    if unknown != Some(&false) {
                        self.tags[at] = Some(digest);
                    }
                    if dies {
                        return false;
                    }
                    match unknown {
                        Some(_) => mover.unknown(at),
                        None => mover.put(at),
                    }
                }
            }
        }
        panic!("it wants without an end: {:?}", self.kept);
    }

    fn is_all_new(&self, act: &Act) -> bool {
        let mut tags = self.tags.iter().zip(&act.moves);
        tags.all(|(tag, it)| tag.as_ref() == Some(&it.new))
    }

    fn is_all_old(&self, act: &Act) -> bool {
        let mut tags = self.tags.iter().zip(&act.moves);
        tags.all(|(tag, it)| *tag == it.old)
    }
}

/// Five images, of which one has no tag yet.
fn act() -> Act {
    let moves = (0..5).map(|n| Move {
        image: format!("r.example.com/image{n}:master").parse().unwrap(),
        old: (n != 2).then(|| digest(10 + n)),
        new: digest(20 + n),
    });
    let from = "staging".parse().unwrap();
    let tag = "master".parse().unwrap();
    Act::new(Verb::Promote { from }, tag, moves.collect(), None)
}

#[test]
fn five_tags_move_and_each_is_put_once() {
    let act = act();
    let mut world = World::new(&act);
    assert_eq!(world.play(&act, &Faults::default()), Some(End::Done));
    assert!(world.is_all_new(&act));
    assert_eq!(world.puts, 5);
    assert_eq!(act.moves[4].old, None, "what has no way back moves last");
}

#[test]
fn a_process_that_dies_at_any_step_once_and_twice_leaves_all_old_or_all_new() {
    let act = act();
    let steps = steps_of(&act);
    for first in 0..=steps {
        for second in first..=2 * steps {
            for (one, other) in [(false, false), (false, true), (true, false), (true, true)] {
                let faults = Faults {
                    dies: [(first, one), (second, other)].into(),
                    ..Faults::default()
                };
                let mut world = World::new(&act);
                match world.play(&act, &faults) {
                    None => assert!(world.is_all_old(&act), "{faults:?}"),
                    Some(end) => {
                        assert_eq!(end, End::Done, "{faults:?}");
                        assert!(world.is_all_new(&act), "{faults:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_manifest_that_cannot_be_put_after_a_crash_takes_all_of_them_back() {
    let act = act();
    for dies in 0..=steps_of(&act) {
        for lost in &act.moves {
            let faults = Faults {
                dies: [(dies, true)].into(),
                gone: [lost.new.clone()].into(),
                gone_from: dies,
                ..Faults::default()
            };
            let mut world = World::new(&act);
            let end = world.play(&act, &faults);
            let is_one_of_both = match end {
                Some(End::Done) => world.is_all_new(&act),
                Some(End::Undone { left, .. }) => left.is_empty() && world.is_all_old(&act),
                None => world.is_all_old(&act),
            };
            assert!(is_one_of_both, "{faults:?}: {:?}", world.tags);
        }
    }
}

#[test]
fn somebody_else_s_move_at_any_step_is_left_alone_and_ends_the_act_by_name() {
    let act = act();
    for step in 0..steps_of(&act) - 1 {
        for at in 0..act.moves.len() {
            let faults = Faults {
                moves: [(step, at)].into(),
                ..Faults::default()
            };
            let mut world = World::new(&act);
            let end = world.play(&act, &faults).unwrap();
            if world.is_all_new(&act) {
                // It came between reading and putting, which no registry can tell.
                assert_eq!(end, End::Done, "{faults:?}");
                continue;
            }
            let End::Undone { why, left } = end else {
                // After the last look: it is the next act's to notice.
                assert_eq!(world.tags[at], Some(digest(99)), "{faults:?}");
                continue;
            };
            let image = act.moves[at].image.to_string();
            assert!(
                why.contains(&image) && why.contains("somebody else"),
                "{why}"
            );
            assert!(left.iter().any(|left| left.image.to_string() == image));
            assert_eq!(world.tags[at], Some(digest(99)), "it is left alone");
            for (other, it) in act.moves.iter().enumerate().filter(|(n, _)| *n != at) {
                let is_left = left.iter().any(|left| left.image == it.image);
                assert!(world.tags[other] == it.old || is_left, "{faults:?}");
            }
        }
    }
}

#[test]
fn an_old_manifest_that_is_gone_is_told_and_the_others_go_back() {
    let act = act();
    let faults = Faults {
        gone: [act.moves[0].old.clone().unwrap(), act.moves[3].new.clone()].into(),
        ..Faults::default()
    };
    let mut world = World::new(&act);
    let end = world.play(&act, &faults).unwrap();
    let left = vec![Left {
        image: act.moves[0].image.clone(),
        why: "it is gone".to_owned(),
    }];
    let why = "it is gone".to_owned();
    assert_eq!(end, End::Undone { why, left });
    assert_eq!(world.tags[0], Some(act.moves[0].new.clone()));
    assert_eq!(world.tags[1], act.moves[1].old);
}

#[test]
fn somebody_who_puts_a_tag_back_again_and_again_is_given_way() {
    let act = act();
    let mut mover = Mover::take_up(act.clone());
    let mut puts = 0;
    let end = loop {
        match mover.wants() {
            Want::Read { at } => mover.read(at, act.moves[at].old.clone()),
            Want::Put { at, .. } => {
                puts += 1;
                mover.put(at);
            }
            Want::Record(_) => mover.recorded(),
            Want::Nothing(end) => break end,
        }
    };
    let End::Undone { why, left } = end else {
        panic!("{end:?}");
    };
    assert!(why.contains("does not stay"), "{why}");
    assert_eq!((puts, left), (3, Vec::new()));
}

#[test]
fn an_act_is_kept_in_words_that_stay() {
    let mut act = act();
    act.moves.truncate(1);
    act.phase = Phase::Back {
        why: "x".to_owned(),
        stuck: Vec::new(),
    };
    let text = serde_json::to_string(&act).unwrap();
    let (old, new) = (digest(10), digest(20));
    assert_eq!(
        text,
        format!(
            r#"{{"verb":{{"verb":"promote","from":"staging"}},"tag":"master","moves":[{{"image":"r.example.com/image0:master","old":"{old}","new":"{new}"}}],"phase":{{"phase":"back","why":"x","stuck":[]}}}}"#
        )
    );
    assert_eq!(serde_json::from_str::<Act>(&text).unwrap(), act);
}

proptest! {
    /// Whatever is lost, answered wrongly and interrupted: all new, or all old but for what
    /// somebody else moved, or what had no tag before.
    #[test]
    fn nothing_is_ever_left_half_moved(
        dies in prop::collection::btree_map(0_usize..60, any::<bool>(), 0..4),
        unknown in prop::collection::btree_map(0_usize..60, any::<bool>(), 0..8),
        moves in prop::collection::btree_map(0_usize..60, 0_usize..5, 0..2),
        lost in prop::option::of(0_usize..5),
        gone_from in 0_usize..60,
    ) {
        let act = act();
        let gone = lost.map(|at| act.moves[at].new.clone()).into_iter().collect();
        let faults = Faults { dies, unknown, moves, gone, gone_from };
        let mut world = World::new(&act);
        match world.play(&act, &faults) {
            None => prop_assert_eq!(world.puts, 0),
            Some(End::Done) => {
                let mut tags = world.tags.iter().zip(&act.moves).enumerate();
                let is_new = tags.all(|(at, (tag, it))| {
                    tag.as_ref() == Some(&it.new) || world.foreign.contains(&at)
                });
                prop_assert!(is_new);
            }
            Some(End::Undone { left, .. }) => {
                for (tag, it) in world.tags.iter().zip(&act.moves) {
                    let is_left = left.iter().any(|left| left.image == it.image);
                    let is_foreign = *tag == Some(digest(99));
                    prop_assert!(*tag == it.old || is_left || is_foreign, "{:?}", it.image);
                }
            }
        }
    }
}

#[test]
fn a_rollback_goes_to_what_every_site_passed_last_and_never_back_to_what_was_given_up() {
    let fleet = fleet();
    let image = fleet.images().into_iter().next().unwrap();
    let by_all = |n, at| passed(&fleet, &image, n, at, fleet.sites.len());
    let by_one = |n, at| passed(&fleet, &image, n, at, 1);
    let history = [by_all(1, 10), by_all(2, 20), by_one(3, 30)].concat();
    let to = |now: u8, moved: &[Moved]| {
        let at = jiff::Timestamp::UNIX_EPOCH;
        back_to(&fleet, &image, Some(&digest(now)), (&history, moved), at)
    };
    assert_eq!(to(3, &[]), Some(digest(2)), "not what only one site passed");
    assert_eq!(
        to(2, &[]),
        Some(digest(1)),
        "found bad after it passed everywhere"
    );
    let back = moved(&image, 2, 1, Cause::Rollback);
    assert_eq!(to(1, std::slice::from_ref(&back)), None, "2 was given up");
    let again = moved(&image, 1, 2, Cause::Promote);
    let later = moved(&image, 2, 4, Cause::Promote);
    let moves = [back, again, later];
    assert_eq!(to(4, &moves), Some(digest(2)), "it was promoted anew");
}

#[test]
fn a_pinned_site_does_not_count_among_those_that_must_have_passed() {
    let mut fleet = fleet();
    let image = fleet.images().into_iter().next().unwrap();
    let by = |n, at, sites| passed(&fleet, &image, n, at, sites);
    // The last of the sites runs what it is pinned to, 9, and never passed 2.
    let last = fleet.sites.len() - 1;
    let apart = fleet.sites.keys().next_back().unwrap().clone();
    let own = by(9, 30, last + 1).pop().unwrap();
    let history = [by(1, 10, last + 1), by(2, 20, last), vec![own]].concat();
    let site = fleet.sites.get_mut(&apart).unwrap();
    site.pin = Some(SitePin {
        services: [("web".parse().unwrap(), digest(9))].into(),
        until: "2026-12-01".parse().unwrap(),
    });
    for (at, to, count) in [
        ("2026-12-01T23:00:00Z", 2, last),
        ("2026-12-02T00:00:00Z", 1, last + 1),
    ] {
        let at = at.parse().unwrap();
        let back = back_to(&fleet, &image, Some(&digest(3)), (&history, &[]), at);
        assert_eq!(back, Some(digest(to)), "{at}");
        let sites = running(&fleet, &image, &history, at);
        assert_eq!(sites.len(), count, "{at}");
        assert_eq!(sites.iter().any(|it| it.site == apart), count > last);
    }
}

fn passed(fleet: &Fleet, image: &ImageRef, n: u8, at: i64, sites: usize) -> Vec<Passed> {
    let at = jiff::Timestamp::from_second(at).unwrap();
    let of = |site: &crate::model::id::SiteName| Passed {
        site: site.clone(),
        image: image.clone(),
        digest: digest(n),
        first: at,
        last: at,
        visits: 1,
        rotation: None,
    };
    fleet.sites.keys().take(sites).map(of).collect()
}

fn moved(image: &ImageRef, old: u8, new: u8, cause: Cause) -> Moved {
    Moved {
        at: jiff::Timestamp::UNIX_EPOCH,
        image: image.clone(),
        old: Some(digest(old)),
        new: digest(new),
        cause,
        who: "ana".to_owned(),
        way: Way::Terminal,
        act: None,
        reason: None,
    }
}

/// How many steps a whole act has.
fn steps_of(act: &Act) -> usize {
    let mut world = World::new(act);
    world.play(act, &Faults::default());
    world.step
}
