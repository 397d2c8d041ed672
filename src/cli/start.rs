//! From the first instruction to the exit code.
use std::process::ExitCode;

use tracing_subscriber::EnvFilter;

use super::args::{Cli, Command};
use super::command::{
    abort, audit, backup, by_hand, check, completions, doctor, drift, history, init, man, pausing,
    plan, pull, rebuild, recover, release, report, retry, rotate, schedule, serve, simulate,
    status, take_over, token,
};
use super::desk::Desk;
use super::exit::Exit;
use super::failure::Outcome;

/// Runs the command that was typed.
pub fn main() -> ExitCode {
    // Before anything speaks TLS: a client that is made without it panics. A second one does no
    // harm.
    drop(rustls::crypto::ring::default_provider().install_default());
    keep_secrets_in_memory();
    let cli = Cli::read();
    let desk = Desk::new(cli.global);
    log(desk.global.verbose);
    let command = cli
        .command
        .unwrap_or(Command::Status(status::Show::default()));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let exit = match runtime {
        Ok(runtime) => {
            let outcome = runtime.block_on(run(&desk, command));
            // What still waits for the outside (a name that is looked up, say) is left behind.
            runtime.shutdown_background();
            outcome.unwrap_or_else(|failure| {
                desk.output.failure(&failure);
                failure.exit
            })
        }
        Err(error) => {
            desk.output
                .say(&format!("error: the system gives no event loop: {error}"));
            Exit::Fault
        }
    };
    exit.into()
}

async fn run(desk: &Desk, command: Command) -> Outcome {
    desk.may_be_elsewhere(is_for_coordinators(&command))?;
    match command {
        Command::Init(args) => init::run(desk, &args).await,
        Command::Check(args) => check::run(desk, &args),
        Command::Doctor(args) => Box::pin(doctor::run(desk, &args)).await,
        Command::Drift(args) => Box::pin(drift::run(desk, &args)).await,
        Command::Simulate(args) => Box::pin(simulate::run(desk, &args)).await,
        Command::Plan(args) => Box::pin(plan::run(desk, &args)).await,
        Command::Rotate(args) => Box::pin(rotate::run(desk, &args)).await,
        Command::Rebuild(args) => Box::pin(rebuild::run(desk, &args)).await,
        Command::Status(args) => Box::pin(status::run(desk, &args)).await,
        Command::Serve(args) => Box::pin(serve::run(desk, &args)).await,
        Command::Pause(args) => Box::pin(pausing::pause(desk, &args)).await,
        Command::Resume(args) => Box::pin(pausing::resume(desk, &args)).await,
        Command::Abort(args) => Box::pin(abort::run(desk, &args)).await,
        Command::Retry(args) => Box::pin(retry::run(desk, &args)).await,
        Command::Withdraw(args) => Box::pin(by_hand::withdraw(desk, &args)).await,
        Command::Restore(args) => Box::pin(by_hand::restore(desk, &args)).await,
        Command::Cordon(args) => Box::pin(by_hand::cordon(desk, &args)).await,
        Command::Uncordon(args) => Box::pin(by_hand::uncordon(desk, &args)).await,
        Command::History(args) => Box::pin(history::run(desk, &args)).await,
        Command::Report(args) => Box::pin(report::run(desk, &args)).await,
        Command::Audit(args) => audit::run(desk, &args),
        Command::Schedule(args) => schedule::run(desk, &args),
        Command::Pull(args) => Box::pin(pull::run(desk, &args)).await,
        Command::TakeOver(args) => Box::pin(take_over::run(desk, &args)).await,
        Command::Recover(args) => Box::pin(recover::run(desk, &args)).await,
        Command::Backup(args) => backup::run(desk, &args),
        Command::Release(args) => Box::pin(release::run(desk, &args)).await,
        Command::Token(args) => token::run(desk, &args),
        Command::Completions(args) => completions::run(desk, &args),
        Command::Man(args) => man::run(desk, &args),
    }
}

/// Keys are in this process: it leaves no core file, and others of its user cannot look into it.
fn keep_secrets_in_memory() {
    use rustix::process::{DumpableBehavior, Resource, Rlimit};
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    // A system that refuses is as it was before.
    let _leaves_no_core = rustix::process::setrlimit(Resource::Core, none).is_ok();
    let behaviour = DumpableBehavior::NotDumpable;
    let _is_closed = rustix::process::set_dumpable_behavior(behaviour).is_ok();
}

/// Whether a coordinator on another machine can be asked it.
fn is_for_coordinators(command: &Command) -> bool {
    match command {
        Command::Rotate(_)
        | Command::Rebuild(_)
        | Command::Status(_)
        | Command::Pause(_)
        | Command::Resume(_)
        | Command::Abort(_)
        | Command::Retry(_)
        | Command::Withdraw(_)
        | Command::Restore(_)
        | Command::Cordon(_)
        | Command::Uncordon(_)
        | Command::History(_)
        | Command::Report(_)
        | Command::TakeOver(_)
        | Command::Recover(_)
        | Command::Release(_) => true,
        Command::Init(_)
        | Command::Check(_)
        | Command::Doctor(_)
        | Command::Drift(_)
        | Command::Simulate(_)
        | Command::Plan(_)
        | Command::Serve(_)
        | Command::Audit(_)
        | Command::Schedule(_)
        | Command::Pull(_)
        | Command::Backup(_)
        | Command::Token(_)
        | Command::Completions(_)
        | Command::Man(_) => false,
    }
}

/// The log is for people who look for a fault; progress is told otherwise.
fn log(verbose: u8) {
    let level = match verbose {
        0 => "warn",
        1 => "cleanslate=info,warn",
        2 => "cleanslate=debug,info",
        // bollard writes whole request bodies, secrets of the environment too.
        _ => "trace,bollard=info,hyper=info,hyper_util=info",
    };
    let filter =
        EnvFilter::try_from_env("CLEANSLATE_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .finish();
    // Nobody else sets one in this process.
    drop(tracing::subscriber::set_global_default(subscriber));
}
