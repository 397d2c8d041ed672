//! `serve`: the coordinator, for months.
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use tokio::signal::unix::{Signal, SignalKind};
use tokio::sync::{broadcast, mpsc};

use super::super::desk::Desk;
use super::super::exit::Exit;
use super::super::failure::{Failure, Outcome};
use super::super::follow::signals;
use crate::api::public::Line;
use crate::api::words;
use crate::daemon::{Arrival, Note, Order, Server, move_in};

/// Runs every playbook that has a schedule by itself, and whatever is asked of it
///
/// One process owns the fleet; every other command finds it by its control socket and passes on
/// what it is asked. What an earlier process left is taken up first.
#[derive(Args, Debug)]
#[command(after_help = "\
SIGHUP reads the configuration anew; it holds from the next rotation on. SIGTERM ends the process
as soon as no site is out of DNS by its own doing, a second one at once: the next start goes on
either way. Under systemd use Type=notify-reload and, if you like, WatchdogSec=.")]
pub(crate) struct Serve {
    /// Moves in with what `cleanslate backup` wrote elsewhere, where nothing of the fleet is here yet
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
}

pub(crate) async fn run(desk: &Desk, args: &Serve) -> Outcome {
    if let Some(file) = &args.from {
        let arrival = move_in(&desk.paths(), file)?;
        arrived(desk, file, &arrival);
    }
    let mut hangups = signals(SignalKind::hangup())?;
    let mut terminations = signals(SignalKind::terminate())?;
    let mut interrupts = signals(SignalKind::interrupt())?;
    let session = desk.session()?;
    let fleet = session.config.fleet.name.clone();
    let control = session.listen().await;
    if !control.is_open() {
        return Err(Failure::new(
            Exit::Fault,
            "the control socket cannot be opened: nobody could steer this coordinator",
            "see the warning above; the state folder must be ours, and its path short (--state DIR)",
        ));
    }
    let mut lines = control.lines();
    let (orders, heard) = mpsc::channel(8);
    let (notes, mut noted) = mpsc::unbounded_channel();
    let server = Server::new(session, control, heard, notes, &desk.supervised())?;
    desk.output.progress(&format!("serving fleet {fleet}"));
    let mut run = Box::pin(server.run());
    let mut has_been_told = false;
    let result = loop {
        tokio::select! {
            biased;
            Some(note) = noted.recv() => say(desk, &note),
            line = lines.recv() => tell(desk, line),
            result = &mut run => break result,
            _ = hangups.recv() => drop(orders.try_send(Order::Reload)),
            () = first(&mut terminations, &mut interrupts) => {
                if has_been_told {
                    let left = "ended at once: the next start goes on from here";
                    desk.output.say(left);
                    return Ok(Exit::Interrupted);
                }
                has_been_told = true;
                desk.output.say("ends as soon as no site is out of DNS by its own doing");
                drop(orders.try_send(Order::Stop));
            }
        }
    };
    // What was said last has not been heard yet.
    while let Ok(line) = lines.try_recv() {
        tell(desk, Ok(line));
    }
    while let Ok(note) = noted.try_recv() {
        say(desk, &note);
    }
    result.map(|()| Exit::Done).map_err(Failure::from)
}

/// What came of `--from`, and what is left to a person.
fn arrived(desk: &Desk, file: &Path, arrival: &Arrival) {
    let (now, file) = (desk.clock.now().wall, file.display());
    match arrival {
        Arrival::MovedIn {
            made,
            from,
            holder,
            unfinished,
        } => {
            let made = desk.when.ago(*made, now);
            desk.output.say(&format!(
                "moved in with {file}, made {made}: holder {holder} from here on, {from} there"
            ));
            if let Some(rotation) = unfinished {
                desk.output.say(&format!(
                    "{rotation} had not ended there and is not gone on with\n  next: cleanslate \
                     status; what is out is brought back by cleanslate recover"
                ));
            }
        }
        Arrival::Settled { at } => {
            let at = desk.when.ago(*at, now);
            desk.output.say(&format!(
                "moved in with {file} {at}: nothing to be done for it"
            ));
        }
        Arrival::Gone { at } => {
            let at = desk.when.ago(*at, now);
            desk.output.say(&format!(
                "{file} is gone; this store was made from a backup {at}: nothing to be done for it"
            ));
        }
    }
}

async fn first(one: &mut Signal, other: &mut Signal) {
    tokio::select! {
        _ = one.recv() => {}
        _ = other.recv() => {}
    }
}

fn say(desk: &Desk, note: &Note) {
    desk.output.progress(&note.what);
    if let Some(cure) = &note.cure {
        desk.output.progress(&format!("  next: {cure}"));
    }
}

/// A rotation's line, in the log.
fn tell(desk: &Desk, line: Result<Arc<str>, broadcast::error::RecvError>) {
    // Lines that were missed are in the journal.
    let Ok(text) = line else { return };
    if desk.output.is_json {
        desk.output.result(&text);
    } else if let Ok(line) = serde_json::from_str::<Line>(&text) {
        let now = desk.clock.now().wall;
        desk.output.progress(&words::line(&line, &desk.when, now));
    }
}
