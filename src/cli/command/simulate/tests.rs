//! What is said of a night that broke a rule, and of nights that did not.
use super::command::{Shown, Told};
use super::tally::Tally;
use super::text::summary;
use super::timeline::{self, moments};
use crate::coordinator::guards::Guard;
use crate::sim::faults::Fault;
use crate::sim::night::{self, Stage, drawn};

fn stage(faults: Vec<Fault>) -> Stage {
    drawn(1, faults)
}

fn said(stage: &Stage, tally: &Tally, nights: u64) -> String {
    let shown = Shown {
        stage,
        calm: &night::calm(stage),
        tally,
        nights,
        seed: 1,
        told: None,
        replay: "cleanslate simulate nightly".to_owned(),
    };
    summary(&shown, false)
}

#[test]
fn nights_that_end_well_are_counted() {
    let stage = stage(vec![Fault::Kills, Fault::Busy]);
    let mut tally = Tally::default();
    for seed in 1..=20 {
        tally.count(night::night(&stage, seed));
    }
    insta::assert_snapshot!(said(&stage, &tally, 20), @r"
    fleet edge, playbook nightly: 20 nights (seeds 1 to 20), 128 rotations, 5,750 steps

    THE FIRST ROTATION                 NIGHTS  SHARE
    completed, every site as planned   14      70.0%
    aborted by a person                6       30.0%
      a site visited as planned        43      95.5%
      a site skipped, nothing changed  1       2.2%
      a site put back as it was        1       2.2%

    it takes 5m where nothing goes wrong; with what went wrong: median 6m 22s, longest 10m 26s
    fewest sites that an UPDATE of ours left in DNS: 2 of 3

    FAULT  TIMES  WHAT HAPPENS
    kills  48     a coordinator dies and comes back
    busy   84     traffic does not end

    47 rules were asked at every step, none was broken, and every night ended well (-v names them)
    ");
}

/// Without the guard the drain is shorter than the TTL: a real finding, of a machine that is
/// really broken.
#[test]
fn a_broken_rule_is_told_with_its_night_and_the_command_that_plays_it_again() {
    let stage = stage(Vec::new());
    let play = || (night::night(&stage, 1), night::timeline(&stage, 1).1);
    let (report, entries) = Guard::DrainCoversTtl.off(play);
    let mut tally = Tally::default();
    tally.count(report);
    insta::assert_snapshot!(said(&stage, &tally, 1), @r"
    fleet edge, playbook nightly: 1 night (seed 1), 1 rotation, 25 steps

    THE FIRST ROTATION                              NIGHTS  SHARE
    not known: its store was lost, or a rule broke  1       100.0%

    it takes 5m where nothing goes wrong
    fewest sites that an UPDATE of ours left in DNS: 2 of 3

    RULE      BROKEN  WHY IT IS ONE
    no users  1       no resolver that honours TTLs may still send users to what is stopped

    1 of 1 nights broke a rule; the first is seed 1: no users: fra has users, and fra1 lost fra1-old-web-1
    play it again: cleanslate simulate nightly --nights 1 --seed 1
    ");
    let told = Told {
        seed: 1,
        moments: moments(&stage.fleet, &entries),
    };
    insta::assert_snapshot!(timeline::text(&told.moments, Some(80)), @r"
    00:00:00  person       a: cleanslate rotate nightly
    00:00:00  a            nightly planned: fra, nyc, sin; 1 of 1 images changed;
                           fra is pinned
    00:00:02  a            sends an UPDATE to take the marker (epoch 1, seq 1)
    00:00:05  a            holds the marker: epoch 1
    00:00:05  a       fra  visit started
    00:00:05  a       fra  1 image pulled
    00:00:05  a       fra  ready: 2 containers created
    00:00:07  a       fra  sends an UPDATE to withdraw fra (epoch 1, seq 2)
    00:00:07  world        in DNS now: nyc, sin
    00:00:10  a       fra  withdrawn: 192.0.2.1 of www.example.com.
    00:00:10  a       fra  draining: every name server has followed; 0s at least, 5m
                           at most
    00:00:20  a       fra  drained in 10s: quiet, 0.1 packets a second
    00:00:22  a       fra  sends an UPDATE to call fra dirty (epoch 1, seq 3)
    00:00:25  a       fra  is dirty: what its last look saw may go
    00:00:25  a       fra  asks for 2 of its containers to be stopped and removed
    00:00:25  RULE         broken: no users: fra has users, and fra1 lost
                           fra1-old-web-1
    ");
}

#[test]
fn nights_are_counted_alike_in_whatever_order_they_were_played() {
    let stage = stage(Fault::all());
    let of = |seeds: &[u64]| {
        let mut tally = Tally::default();
        for seed in seeds {
            tally.count(night::night(&stage, *seed));
        }
        tally
    };
    let mut two = of(&[4, 2]);
    two.add(of(&[1, 3]));
    let one = of(&[1, 2, 3, 4]);
    assert_eq!(two.took(), one.took());
    assert_eq!(
        (two.ends, two.visits, two.happened, two.fewest),
        (one.ends, one.visits, one.happened, one.fewest)
    );
}

#[test]
fn the_help_has_examples_for_a_ci_and_every_exit_code() {
    let mut command = crate::cli::args::command();
    command.build();
    let simulate = command.find_subcommand_mut("simulate").unwrap();
    insta::assert_snapshot!(simulate.render_help().to_string(), @r"
    Plays nights full of faults on this fleet in a simulator; contacts nothing

    Usage: cleanslate simulate [OPTIONS] [PLAYBOOK]

    Arguments:
      [PLAYBOOK]  Which playbook [default: nightly]

    Options:
          --nights <N>     How many nights; one is told step by step [default: 1000]
          --seed <S>       The seed of the first night; the others count up from it [default: 1]
          --faults <LIST>  What may go wrong: all, none, NAME,…, or all,-NAME,…; help shows the names
                           [default: all]
      -h, --help           Print help (see more with '--help')

    Everywhere:
          --config <FILE>      The fleet [default: site.toml]
          --state <DIR>        Where journals are kept [default: /var/lib/cleanslate for root, else the
                               XDG state folder]
          --api <URL>          Asks a coordinator on another machine: https://HOST:PORT; no site.toml is
                               read
          --token-file <FILE>  The token that --api needs, in a file; CLEANSLATE_TOKEN holds one, too
          --ca <FILE>          Who signed the certificate of --api, where the system does not know them:
                               PEM
          --json               Prints JSON for programs
      -q, --quiet              Prints no progress
      -v, --verbose...         Prints what is done in detail; twice: in full
          --color <WHEN>       When to use colour; NO_COLOR holds too [default: auto] [possible values:
                               auto, always, never]

    Examples:
      cleanslate simulate                          a thousand nights of the playbook nightly
      cleanslate simulate urgent --nights 20000    more of another one
      cleanslate simulate --faults none            how long nothing but the rotation takes
      cleanslate simulate --faults all,-freezes    every fault but one
      cleanslate simulate --faults help            every fault, in words
      cleanslate simulate --nights 1 --seed 417    one night, step by step
    In a CI, beside `cleanslate check`:
      cleanslate simulate nightly -q || exit 1     a change of fleet or playbook that breaks a rule
      cleanslate simulate --json | jq .rules       for programs: one object

    Exit codes:
      0  every rule held in every night, and every night ended well
      2  usage or configuration
      4  a rule was broken, or a night did not end well: its timeline, and how to play it again
      5  ended by Ctrl-C before all nights were played
    ");
}
