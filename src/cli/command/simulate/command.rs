//! The command: what was typed, what is played, what is said.
use clap::Args;

use super::campaign::Campaign;
use super::chosen::{self, Chosen};
use super::json;
use super::progress::Progress;
use super::tally::Tally;
use super::text;
use super::timeline::{self, Moment};
use crate::cli::command::plan;
use crate::cli::desk::Desk;
use crate::cli::exit::Exit;
use crate::cli::failure::{Failure, Outcome};
use crate::model::id::PlaybookName;
use crate::sim::faults::Fault;
use crate::sim::night::{self, Report, Stage};

/// Plays nights full of faults on this fleet in a simulator; contacts nothing
///
/// The coordinators are the ones that ship; servers, engines, people and clocks are pretended. Each
/// night draws some faults by its seed and begins with the playbook's rotation; then the faults
/// stop, and everything must come back. Every safety rule is asked at every step. The same seed is
/// the same night on every machine. Needs no store.
#[derive(Args, Debug)]
#[command(after_help = "\
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
  5  ended by Ctrl-C before all nights were played")]
pub(crate) struct Simulate {
    /// Which playbook
    #[arg(default_value = "nightly")]
    playbook: PlaybookName,
    /// How many nights; one is told step by step
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..))]
    nights: u64,
    /// The seed of the first night; the others count up from it
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// What may go wrong: all, none, NAME,…, or all,-NAME,…; help shows the names
    #[arg(long, value_name = "LIST", default_value = "all")]
    faults: String,
}

pub(crate) async fn run(desk: &Desk, args: &Simulate) -> Outcome {
    let faults = match chosen::read(&args.faults)? {
        Chosen::Faults(faults) => faults,
        Chosen::Help => {
            show_faults(desk);
            return Ok(Exit::Done);
        }
    };
    let loaded = desk.load()?;
    let playbook = plan::playbook(&loaded, &args.playbook)?.clone();
    let stage = Stage::of(loaded.fleet, playbook, faults);
    let calm = night::calm(&stage);
    if calm.rotations == 0 {
        return Err(Failure::new(
            Exit::Usage,
            format!("the rotation {} has no plan for this fleet", args.playbook),
            "see what is in its way: `cleanslate plan`",
        ));
    }
    let last = args.seed.saturating_add(args.nights - 1);
    let campaign = Campaign::start(&stage, args.seed..=last);
    let tally = watched(desk, campaign, args.nights).await?;
    let shown = Shown {
        stage: &stage,
        calm: &calm,
        tally: &tally,
        nights: args.nights,
        seed: args.seed,
        told: told(&stage, args, &tally),
        replay: replay(desk, args),
    };
    if desk.output.is_json {
        desk.output.json(&json::of(&shown));
    } else {
        text::show(desk, &shown);
    }
    Ok(if tally.broken.is_some() {
        Exit::Refused
    } else if shown.was_interrupted() {
        Exit::Later
    } else {
        Exit::Done
    })
}

/// All that is said of the nights.
pub(super) struct Shown<'a> {
    pub(super) stage: &'a Stage,
    /// The rotation where nothing goes wrong.
    pub(super) calm: &'a Report,
    pub(super) tally: &'a Tally,
    /// How many were asked for, and the seed of the first.
    pub(super) nights: u64,
    pub(super) seed: u64,
    /// The night that is told step by step: the only one, or the first that broke a rule.
    pub(super) told: Option<Told>,
    /// The command line that plays a night again, without its seed.
    pub(super) replay: String,
}

impl Shown<'_> {
    pub(super) fn was_interrupted(&self) -> bool {
        self.tally.nights < self.nights
    }
}

/// A night, step by step.
pub(super) struct Told {
    pub(super) seed: u64,
    pub(super) moments: Vec<Moment>,
}

fn told(stage: &Stage, args: &Simulate, tally: &Tally) -> Option<Told> {
    let broken = tally.broken.as_ref().map(|report| report.seed);
    let only = (args.nights == 1).then_some(args.seed);
    let seed = broken.or(only)?;
    let (_, entries) = night::timeline(stage, seed);
    let moments = timeline::moments(&stage.fleet, &entries);
    Some(Told { seed, moments })
}

/// Ends when all nights are played, or early by Ctrl-C.
async fn watched(desk: &Desk, mut campaign: Campaign, nights: u64) -> Result<Tally, Failure> {
    let mut progress = Progress::new(&desk.output, nights);
    let mut ticks = tokio::time::interval(std::time::Duration::from_millis(200));
    loop {
        tokio::select! {
            biased;
            () = campaign.all_played() => break,
            pressed = tokio::signal::ctrl_c() => {
                // Without signals nothing but the end of the nights ends them.
                if pressed.is_ok() {
                    campaign.stop();
                    break;
                }
            }
            _ = ticks.tick() => progress.tick(&desk.output, campaign.count()),
        }
    }
    progress.end();
    campaign.joined().map_err(|seed| {
        Failure::new(
            Exit::Fault,
            format!("the simulator itself failed in the night of seed {seed}"),
            "report this as a fault of cleanslate, with site.toml and that seed",
        )
    })
}

fn replay(desk: &Desk, args: &Simulate) -> String {
    let config = &desk.global.config;
    let config = match config.as_os_str() == "site.toml" {
        true => String::new(),
        false => format!(" --config {}", config.display()),
    };
    let faults = match args.faults.as_str() {
        "all" => String::new(),
        faults => format!(" --faults {faults}"),
    };
    format!("cleanslate{config} simulate {}{faults}", args.playbook)
}

fn show_faults(desk: &Desk) {
    if desk.output.is_json {
        let fault =
            |fault: Fault| serde_json::json!({ "name": fault.to_string(), "what": fault.what() });
        let faults: Vec<_> = Fault::all().into_iter().map(fault).collect();
        desk.output
            .json(&serde_json::json!({ "v": 1, "faults": faults }));
    } else {
        desk.output.result(&text::faults());
    }
}
