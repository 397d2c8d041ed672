//! The program dies at any moment, over and over, and the night still ends as it should.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::lab::spec::{PRIMARY, RECORD};
use crate::lab::{FleetOptions, History, Lab, LabSpec, Users, Watcher};
use crate::program::{Ended, Event, Run, check_numbers};
use crate::scene::{check_at_rest, check_recreated, ids, serving};

const HOSTS: [&str; 3] = ["fra1", "nyc1", "sin1"];
/// So often at least (`CLEANSLATE_KILLS` says otherwise); a night that ends sooner is followed by
/// another.
const KILLS: usize = 20;

#[test]
fn a_night_killed_over_and_over_at_random_ends_by_itself_and_loses_nobody() -> Result<()> {
    let options = FleetOptions::default();
    let lab = serving(LabSpec::default(), &options)?;
    let digests = [lab.digest("web", "master")?];
    let watcher = Watcher::start(&lab)?;
    let users = Users::start(&lab, 100, 30)?;

    let mut dice = Dice::new()?;
    let wanted = std::env::var("CLEANSLATE_KILLS").map_or(Ok(KILLS), |kills| kills.parse())?;
    let mut kills = 0;
    let mut nights = 0;
    let mut restarts = Vec::new();
    while kills < wanted {
        let before = ids(&lab, &HOSTS)?;
        let lives = one_night(&lab, &mut dice, &mut restarts)?;
        kills += lives.len() - 1;
        nights += 1;
        check_numbers_over(&lives);
        check_nothing_given_up(&lives)?;
        check_recreated(&lab, &HOSTS, &options, &before, &digests)
            .and_then(|()| check_at_rest(&lab, &["fra", "nyc", "sin"]))
            .with_context(|| story(&lives))?;
    }
    let report = users.stop()?;
    let history = watcher.stop();
    eprintln!("{kills} kills in {nights} nights");
    eprintln!("{}", until_marker(&history, &restarts));
    ensure!(report.lost.is_empty(), "{report}");
    ensure!(
        history.min_size(RECORD, false) == 2,
        "the floor did not hold"
    );
    history.check(&lab.spec)
}

/// Starts the night again after every kill, at once and without a flag, until it ends.
fn one_night(
    lab: &Lab,
    dice: &mut Dice,
    restarts: &mut Vec<jiff::Timestamp>,
) -> Result<Vec<Ended>> {
    let mut lives = Vec::new();
    loop {
        ensure!(lives.len() < 200, "a night that does not end");
        if !lives.is_empty() {
            restarts.push(jiff::Timestamp::now());
        }
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

/// How long a process that was started after a kill took to its first act, the marker that is its
/// own again: told, for a machine that has other work is slow.
fn until_marker(history: &History, restarts: &[jiff::Timestamp]) -> String {
    let epochs: Vec<_> = history
        .of(PRIMARY.into(), RECORD)
        .into_iter()
        .filter_map(|(at, answer)| Some((at, answer.marker_value("epoch")?.parse::<u64>().ok()?)))
        .collect();
    let rises = epochs.windows(2).filter(|two| two[1].1 > two[0].1);
    let rises: Vec<_> = rises.map(|two| two[1].0).collect();
    let ends = restarts.iter().skip(1).copied().map(Some).chain([None]);
    let taken = restarts.iter().zip(ends).filter_map(|(from, to)| {
        // Killed before it came so far: the next one's is not its own.
        let at = rises.iter().find(|at| *at > from)?;
        let in_its_life = to.is_none_or(|to| *at < to);
        in_its_life.then(|| at.duration_since(*from).as_millis())
    });
    let mut taken: Vec<_> = taken.collect();
    taken.sort_unstable();
    let at = |percent: usize| taken.get((taken.len() * percent / 100).min(taken.len() - 1));
    if taken.is_empty() {
        return "no process lived until the marker was its own".to_owned();
    }
    format!(
        "from start to marker, ms: p50 {:?}, p99 {:?}, max {:?} ({} of {} starts)",
        at(50),
        at(99),
        taken.last(),
        taken.len(),
        restarts.len()
    )
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
