//! `make bench`: a night in the lab, by `cleanslate rotate nightly`, by a bare script and by an
//! Ansible playbook.
//!
//! All do the same steps to the same three sites under the same users, by turns, each beginning
//! with no new image on any host. What is compared is the time beyond drain and soak, which
//! nobody can shorten; CPU seconds and peak memory are the program's own, engines not counted.
//! Then the playbook and `cleanslate` meet what goes wrong, each time in a new lab, and what they
//! leave behind is told.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it talks to people"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "it measures time with a real clock"
)]

mod contender;
mod figures;
mod harms;
#[path = "../tests/lab/mod.rs"]
mod lab;
mod playbook;
mod round;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::Parser;

use crate::contender::Contender;
use crate::figures::Figures;
use crate::harms::{HEADINGS, Harm};
use crate::lab::{Lab, LabSpec};
use crate::round::{DRAIN, Grounds, SOAK};

/// Measures a night against a bare script and a playbook that do the same
#[derive(Parser)]
struct Cli {
    /// How often each of the three is measured; 0: only what goes wrong
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Measure nights in which nothing goes wrong, and no others
    #[arg(long)]
    no_harms: bool,
    /// What cargo passes to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    match measure(&Cli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("night: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every target was met.
fn measure(cli: &Cli) -> Result<bool> {
    let are_met = cli.rounds == 0 || measure_nights(cli.rounds)?;
    if !cli.no_harms {
        measure_harms()?;
    }
    Ok(are_met)
}

fn measure_nights(rounds: u32) -> Result<bool> {
    let lab = Lab::up(LabSpec::default())?;
    let mut grounds = Grounds::lay(&lab, SOAK)?;
    let waits = (DRAIN + SOAK) * u32::try_from(lab.spec.sites.len())?;
    println!("{}", headline(&lab, rounds));
    // The first night finds the network of another tool and empty caches: it is not counted.
    for contender in Contender::ALL {
        grounds.night(contender)?;
    }
    let mut figures = Figures::beyond(waits);
    for round in 0..rounds {
        for contender in Contender::in_turn(round) {
            let night = grounds.night(contender)?;
            println!("{}", figures.take(contender, night));
        }
    }
    println!("{figures}");
    Ok(figures.are_met())
}

fn measure_harms() -> Result<()> {
    println!("{HEADINGS}");
    for harm in Harm::ALL {
        for contender in [Contender::Ansible, Contender::Cleanslate] {
            println!("{}", harm.meet(contender)?);
        }
    }
    Ok(())
}

fn headline(lab: &Lab, rounds: u32) -> String {
    let (sites, ttl) = (lab.spec.sites.len(), lab.spec.ttl);
    let seconds = |duration: Duration| duration.as_secs();
    format!(
        "{sites} sites of 6 containers, TTL {ttl} s, drain {} s, soak {} s; {rounds} rounds",
        seconds(DRAIN),
        seconds(SOAK)
    )
}
