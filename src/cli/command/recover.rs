//! `recover`: brings back what the marker calls out, whoever left it so.
use clap::Args;

use super::super::args::Yes;
use super::super::desk::Desk;
use super::super::exit::Exit;
use super::super::failure::{Failure, Outcome};
use super::act::{self, Request, named};
use crate::coordinator::plan::{Mode, Options};
use crate::coordinator::safety::one_marker;
use crate::daemon::survey::ImageSource;
use crate::model::id::SiteName;

/// Takes over and brings back every site that the marker calls out
///
/// For a lost store or a lost coordinator: the marker in DNS alone says which sites are out. A
/// site of which nothing was stopped goes back as it is; any other is rebuilt and verified.
#[derive(Args, Debug)]
pub(crate) struct Recover {
    /// Why; it is kept in the journal
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    yes: Yes,
}

pub(crate) async fn run(desk: &Desk, args: &Recover) -> Outcome {
    let loaded = desk.load()?;
    let adapters = desk.adapters(&loaded.fleet)?;
    let view = adapters.dns.read_primary().await;
    let view = view.map_err(Failure::unchanged)?;
    let marker = one_marker(&loaded.fleet, &view);
    let marker = marker.map_err(|refusal| Failure::unchanged(refusal.problem()))?;
    let owed: Vec<SiteName> = marker
        .map(|marker| marker.unavailable().into_iter().collect())
        .unwrap_or_default();
    if owed.is_empty() {
        desk.output
            .progress("the marker calls no site out: nothing to recover");
        return Ok(Exit::Done);
    }
    let names: Vec<&str> = owed.iter().map(SiteName::as_str).collect();
    let question = format!("Take the marker over and bring back {}?", names.join(", "));
    let request = Request {
        mode: Mode::Recover,
        playbook: named("rebuild"),
        sites: Some(owed),
        options: Options {
            take_over: true,
            ..Options::default()
        },
        reason: args.reason.clone(),
        source: ImageSource::Registry,
    };
    act::act(desk, request, args.yes, &question).await
}
