//! The program dies at any moment, over and over, and the night still ends as it should.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::lab::spec::RECORD;
use crate::lab::{FleetOptions, Lab, LabSpec, Users, Watcher};
use crate::program::{Ended, Event, Run, check_numbers};
use crate::scene::{check_at_rest, check_recreated, ids, serving};

const HOSTS: [&str; 3] = ["fra1", "nyc1", "sin1"];
/// So often at least; a night that ends sooner is followed by another.
const KILLS: usize = 30;

#[test]
fn a_night_killed_thirty_times_at_random_ends_by_itself_and_loses_nobody() -> Result<()> {
    let options = FleetOptions::default();
    let lab = serving(LabSpec::default(), &options)?;
    let digests = [lab.digest("web", "master")?];
    let watcher = Watcher::start(&lab)?;
    let users = Users::start(&lab, 100, 30)?;

    let mut dice = Dice::new()?;
    let mut kills = 0;
    let mut nights = 0;
    while kills < KILLS {
        let before = ids(&lab, &HOSTS)?;
        let lives = one_night(&lab, &mut dice)?;
        kills += lives.len() - 1;
        nights += 1;
        check_numbers_over(&lives);
        check_nothing_given_up(&lives)?;
        check_recreated(&lab, &HOSTS, &options, &before, &digests)
            .and_then(|()| check_at_rest(&lab, &["fra", "nyc", "sin"]))
            .with_context(|| story(&lives))?;
    }
    eprintln!("{kills} kills in {nights} nights");

    let report = users.stop()?;
    let history = watcher.stop();
    ensure!(report.lost.is_empty(), "{report}");
    ensure!(
        history.min_size(RECORD, false) == 2,
        "the floor did not hold"
    );
    history.check(&lab.spec)
}

/// Starts the night again after every kill, at once and without a flag, until it ends.
fn one_night(lab: &Lab, dice: &mut Dice) -> Result<Vec<Ended>> {
    let mut lives = Vec::new();
    loop {
        ensure!(lives.len() < 200, "a night that does not end");
        match one_life(lab, dice)? {
            Life::Killed(ended) => lives.push(ended),
            Life::Ended(ended) => {
                lives.push(ended.expect(0)?);
                return Ok(lives);
            }
        }
    }
}

enum Life {
    Killed(Ended),
    Ended(Ended),
}

/// Lives for a few facts more, then for a moment, then dies.
fn one_life(lab: &Lab, dice: &mut Dice) -> Result<Life> {
    let mut run = Run::start(lab, &["rotate", "nightly", "--json"])?;
    let facts = dice.roll(6);
    for _ in 0..facts {
        let mut is_end = false;
        run.await_event("waited for any fact", Duration::from_secs(120), |event| {
            is_end = event.is_end();
            event.name() != "waiting"
        })?;
        if is_end {
            return Ok(Life::Ended(run.end()?));
        }
    }
    std::thread::sleep(Duration::from_millis(dice.roll(1500)));
    Ok(Life::Killed(run.kill()?))
}

/// Being killed is no reason to leave a site behind, or to bring it back as it was.
fn check_nothing_given_up(lives: &[Ended]) -> Result<()> {
    const GIVEN_UP: [&str; 5] = [
        "site_skipped",
        "site_quarantined",
        "put_back",
        "rotation_halted",
        "rotation_aborted",
    ];
    let mut said = lives.iter().flat_map(|life| &life.events);
    let given_up = said.find(|event| GIVEN_UP.contains(&event.name()));
    ensure!(given_up.is_none(), "{given_up:?}\n{}", story(lives));
    Ok(())
}

/// What a process wrote down and could not say any more before it died is missing from what was
/// said: so between two lives numbers may be left out, but none comes twice.
fn check_numbers_over(lives: &[Ended]) {
    let mut last = 0;
    let mut rotation = String::new();
    for life in lives {
        let Some(first) = life.events.first() else {
            continue;
        };
        // Another rotation: the end of the one before is what could not be said any more.
        if first.text("rotation") != rotation {
            assert_eq!(first.name(), "rotation_planned", "{}", story(lives));
            rotation = first.text("rotation").to_owned();
            last = 0;
        } else {
            assert_eq!(first.name(), "rotation_resumed", "{}", story(lives));
        }
        let left_out = first.n() > last && first.n() <= last + 4;
        assert!(left_out, "after {last}: {}\n{}", first.0, story(lives));
        last = check_numbers(&life.events, first.n() - 1);
    }
}

/// What the lives said, a line each.
fn story(lives: &[Ended]) -> String {
    let fact = |event: &Event| format!("{} {} {}", event.n(), event.text("site"), event.name());
    let life = |ended: &Ended| {
        let facts: Vec<_> = ended.events.iter().map(fact).collect();
        format!(
            "{:?} after {:?}: {}\n",
            ended.code,
            ended.took,
            facts.join(", ")
        )
    };
    lives.iter().map(life).collect()
}

/// Randomness that is told, so that a failure can be looked at again.
struct Dice(u64);

impl Dice {
    fn new() -> Result<Self> {
        let seed = match std::env::var("CLEANSLATE_TEST_SEED") {
            Ok(seed) => seed.parse()?,
            Err(_) => {
                getrandom::u64().map_err(|error| anyhow::anyhow!("no randomness: {error}"))?
            }
        };
        eprintln!("CLEANSLATE_TEST_SEED={seed}");
        Ok(Self(seed | 1))
    }

    /// From 0 to just below `sides` (xorshift64*).
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % sides
    }
}
