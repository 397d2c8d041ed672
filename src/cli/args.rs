//! What can be typed. Every flag has a `CLEANSLATE_…` variable; flag over variable over file.
use std::path::PathBuf;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use super::command::{
    abort, audit, backup, by_hand, check, completions, doctor, drift, history, init, man, pausing,
    plan, pull, rebuild, recover, release, report, retry, rotate, schedule, serve, simulate,
    status, take_over, token,
};
use crate::api::wire::steers;

/// Rotates whole datacenters: out of DNS, emptied, rebuilt from their images, verified, put back.
#[derive(Debug, Parser)]
#[command(name = "cleanslate", version, after_help = EXIT_CODES, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    /// Without a command: status.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Everywhere")]
pub(crate) struct Global {
    /// The fleet
    #[arg(long, global = true, value_name = "FILE", default_value = "site.toml")]
    pub(crate) config: PathBuf,
    /// Where journals are kept [default: /var/lib/cleanslate for root, else the XDG state folder]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    /// Asks a coordinator on another machine: https://HOST:PORT; no site.toml is read
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) api: Option<String>,
    /// The token that --api needs, in a file; CLEANSLATE_TOKEN holds one, too
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Who signed the certificate of --api, where the system does not know them: PEM
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// Prints JSON for programs
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Prints no progress
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// Prints what is done in detail; twice: in full
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// When to use colour; NO_COLOR holds too
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    pub(crate) color: Color,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Init(init::Init),
    Check(check::Check),
    Doctor(doctor::Doctor),
    Plan(plan::Show),
    Simulate(simulate::Simulate),
    Rotate(rotate::Rotate),
    Rebuild(rebuild::Rebuild),
    Status(status::Show),
    Serve(serve::Serve),
    Pause(pausing::Pause),
    Resume(pausing::Resume),
    Abort(abort::Abort),
    Retry(retry::Retry),
    Withdraw(by_hand::Withdraw),
    Restore(by_hand::Restore),
    Cordon(by_hand::Cordon),
    Uncordon(by_hand::Uncordon),
    Drift(drift::Show),
    History(history::History),
    Report(report::Show),
    Audit(audit::Show),
    Schedule(schedule::Show),
    Pull(pull::Pull),
    TakeOver(take_over::TakeOver),
    Recover(recover::Recover),
    Backup(backup::Backup),
    #[command(subcommand)]
    Release(release::Release),
    #[command(subcommand)]
    Token(token::Token),
    Completions(completions::Completions),
    Man(man::Manual),
}

/// Why something is asked for. The API refuses what steers terminals, and so does whoever writes to
/// the store without one: it is read again in journals, messages and pages.
pub(crate) fn reason(text: &str) -> Result<String, String> {
    if steers(text) {
        let what = "it holds control characters; write it as plain text";
        return Err(what.to_owned());
    }
    Ok(text.to_owned())
}

/// A change that a person asks for: why, and whether the question is answered already.
#[derive(Args, Clone, Debug)]
pub(crate) struct Because {
    /// Why; it is kept in the journal
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) yes: Yes,
}

#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Yes {
    /// Answers the question that is asked on a terminal
    #[arg(long, short)]
    pub(crate) yes: bool,
}

pub(crate) const EXIT_CODES: &str = "\
Every flag has a variable: --state DIR is CLEANSLATE_STATE=DIR; what is typed wins.

Exit codes, the first that applies of 2, 1, 6, 3, 4, 5:
  0  all that was planned is done; nothing was found
  1  a fault of cleanslate or of its store
  2  usage or configuration
  3  something was changed, it stands in a stated safe state, a person is needed;
     also a night that skipped a site
  4  a rule said no and nothing was changed; a check found something
  5  nothing was changed, later may do (marker held, store in use, unreachable)
  6  as 3, and the failed site serves its last good images
  130  a second Ctrl-C";

impl Cli {
    /// Parses what was typed; help, version and mistakes end the process as clap does (0 and 2).
    pub(crate) fn read() -> Cli {
        let matches = command().get_matches();
        Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }
}

/// The whole command line, a variable for every flag.
pub(crate) fn command() -> clap::Command {
    with_variables(Cli::command())
}

fn with_variables(command: clap::Command) -> clap::Command {
    let command = command.mut_args(|arg| match arg.get_long() {
        Some("help" | "version") | None => arg,
        Some(long) => {
            let variable = format!("CLEANSLATE_{}", long.replace('-', "_").to_uppercase());
            arg.env(variable).hide_env(true)
        }
    });
    command.mut_subcommands(with_variables)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn every_flag_of_every_command_has_a_variable() {
        let mut command = command();
        command.build();
        let subcommands: Vec<_> = command.get_subcommands().cloned().collect();
        for command in subcommands.iter().chain([&command]) {
            for arg in command
                .get_arguments()
                .filter(|arg| arg.get_long().is_some())
            {
                let long = arg.get_long().unwrap();
                if !matches!(long, "help" | "version") {
                    let name = format!("{} --{long}", command.get_name());
                    let variable = arg.get_env().unwrap_or_else(|| panic!("{name}"));
                    assert!(
                        variable.to_str().unwrap().starts_with("CLEANSLATE_"),
                        "{name}"
                    );
                }
            }
        }
    }

    #[test]
    fn mistakes_are_usage_errors() {
        for line in [
            "cleanslate rebuild nyc",
            "cleanslate rotat",
            "cleanslate rebuild NYC! --reason x",
            "cleanslate cordon fra",
            "cleanslate restore fra --unverified",
        ] {
            let error = command().try_get_matches_from(line.split(' ')).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn a_reason_that_would_steer_a_terminal_is_refused_by_every_command_that_takes_one() {
        let digest = format!("sha256:{}", "5".repeat(64));
        let lines = [
            "abort",
            "cordon fra",
            "pause",
            "rebuild fra",
            "recover",
            "release approve DIGEST",
            "release cancel master",
            "release clear DIGEST",
            "release promote staging master",
            "release rollback master",
            "restore fra",
            "resume",
            "retry",
            "rotate nightly",
            "take-over",
            "uncordon fra",
            "withdraw fra",
        ];
        for line in lines {
            let line = line.replace("DIGEST", &digest);
            let words = || {
                let words = ["cleanslate"].into_iter().chain(line.split(' '));
                words.map(str::to_owned).collect::<Vec<_>>()
            };
            let typed = |reason: &str| {
                let reason = ["--reason".to_owned(), reason.to_owned()];
                command().try_get_matches_from(words().into_iter().chain(reason))
            };
            typed("a look\tat fra,\nby ana").unwrap_or_else(|error| panic!("{line}: {error}"));
            let error = typed("\u{1b}[2J all is well").expect_err(&line);
            assert_eq!(error.exit_code(), 2, "{line}");
            assert!(error.to_string().contains("control characters"), "{error}");
        }
        // There are no others.
        let names = lines.map(|line| {
            let words = if line.starts_with("release") { 2 } else { 1 };
            line.split(' ').take(words).collect::<Vec<_>>().join(" ")
        });
        assert_eq!(taking_a_reason(&command(), ""), names);
    }

    /// The names of all commands with `--reason`, sorted.
    fn taking_a_reason(of: &clap::Command, name: &str) -> Vec<String> {
        let is_it = |arg: &clap::Arg| arg.get_long() == Some("reason");
        let mut names: Vec<String> = of.get_subcommands().fold(Vec::new(), |mut names, below| {
            let name = format!("{name} {}", below.get_name());
            names.extend(taking_a_reason(below, name.trim_start()));
            names
        });
        names.extend(of.get_arguments().any(is_it).then(|| name.to_owned()));
        names.sort();
        names
    }

    #[test]
    fn the_help_names_every_command_and_every_exit_code() {
        insta::assert_snapshot!(command().render_help().to_string(), @r"
        Rotates whole datacenters: out of DNS, emptied, rebuilt from their images, verified, put back

        Usage: cleanslate [OPTIONS] [COMMAND]

        Commands:
          init         Writes a first site.toml and compose.yaml; overwrites nothing
          check        Reads and validates every file; contacts nothing
          doctor       Asks every name server, engine, registry and probe, and proves the DNS rights
          plan         Shows what a rotation would do: order, floors, digests old → new, scale, DNS, times
          simulate     Plays nights full of faults on this fleet in a simulator; contacts nothing
          rotate       Visits every site of a playbook: out of DNS, emptied, rebuilt from its images, put
                       back
          rebuild      Destroys and rebuilds one site now; a sick one leaves DNS first
          status       Where every site stands, and what a person is needed for
          serve        Runs every playbook that has a schedule by itself, and whatever is asked of it
          pause        Holds the rotation before the next thing it would take away
          resume       Lets a paused rotation go on, or puts a site in that was tried by hand
          abort        Ends the rotation; what is visited is brought to safety first
          retry        Begins a new rotation of the sites that the last one did not complete
          withdraw     Takes a site out of DNS and holds it out; its containers are left alone
          restore      Puts a site back into DNS, once it is verified as it stands
          cordon       Lets rotations skip a site; its DNS is not touched
          uncordon     Lets rotations visit a site again
          drift        Compares what runs with what is declared, and shows what changed inside
          history      Every rotation: when, by whom, how long, how it ended
          report       One rotation: what happened, how long, digests, scale, and what was kept as evidence
          audit        Who asked for what, what was done, and what became of it; kept for ever
          schedule     The next runs: when, in whose time, and whether they end when they must
          pull         Pulls the images that the tags name now onto every host
          take-over    Takes the marker of another coordinator over at once
          recover      Takes over and brings back every site that the marker calls out
          backup       Copies all that a coordinator knows into one file: to move house with, or to keep
          release      Moves tags to tested images and back, all or none; tells how they stand and who moved
                       them
          token        Makes, lists and revokes tokens: who may ask the coordinator over the network
          completions  Prints what a shell needs to complete command lines
          man          Writes the manual: one page a command, and one over all of them

        Options:
          -h, --help     Print help
          -V, --version  Print version

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

        Every flag has a variable: --state DIR is CLEANSLATE_STATE=DIR; what is typed wins.

        Exit codes, the first that applies of 2, 1, 6, 3, 4, 5:
          0  all that was planned is done; nothing was found
          1  a fault of cleanslate or of its store
          2  usage or configuration
          3  something was changed, it stands in a stated safe state, a person is needed;
             also a night that skipped a site
          4  a rule said no and nothing was changed; a check found something
          5  nothing was changed, later may do (marker held, store in use, unreachable)
          6  as 3, and the failed site serves its last good images
          130  a second Ctrl-C
        ");
    }

    #[test]
    fn rebuild_explains_itself_with_examples() {
        let mut command = command();
        command.build();
        let rebuild = command.find_subcommand_mut("rebuild").unwrap();
        insta::assert_snapshot!(rebuild.render_long_help().to_string(), @r#"
        Destroys and rebuilds one site now; a sick one leaves DNS first

        Other sites need not all be well: the floor alone decides. What is dead can be left out by name; it
        is not touched, and its addresses do not come back until a visit includes it.

        Usage: cleanslate rebuild [OPTIONS] --reason <TEXT> <SITE>

        Arguments:
          <SITE>
                  Which site

        Options:
              --reason <TEXT>
                  Why; it is kept in the journal

          -y, --yes
                  Answers the question that is asked on a terminal

              --without <HOST>
                  A host that is dead; may be repeated

              --without-ns <ADDRESS>
                  A name server that is dead, by address; may be repeated. The drain lasts its at_most

              --images <SOURCE>
                  Takes the digests from the site's own hosts, and asks no registry

                  Possible values:
                  - running:   What the site's containers run
                  - last-good: What the site last passed on

              --restore
                  Puts a site in that was found out of DNS, once it is verified

              --below-floor
                  Goes on although fewer sites than the floor remain; never empties a record

              --kept
                  Recreates kept services too, this once; their named volumes always stay

              --wait <TIME>
                  How long to wait while another coordinator holds the marker [default: 35m, 0s on a
                  terminal]

          -h, --help
                  Print help (see a summary with '-h')

        Everywhere:
              --config <FILE>
                  The fleet
                  
                  [default: site.toml]

              --state <DIR>
                  Where journals are kept [default: /var/lib/cleanslate for root, else the XDG state folder]

              --api <URL>
                  Asks a coordinator on another machine: https://HOST:PORT; no site.toml is read

              --token-file <FILE>
                  The token that --api needs, in a file; CLEANSLATE_TOKEN holds one, too

              --ca <FILE>
                  Who signed the certificate of --api, where the system does not know them: PEM

              --json
                  Prints JSON for programs

          -q, --quiet
                  Prints no progress

          -v, --verbose...
                  Prints what is done in detail; twice: in full

              --color <WHEN>
                  When to use colour; NO_COLOR holds too
                  
                  [default: auto]
                  [possible values: auto, always, never]

        Examples:
          cleanslate rebuild nyc --reason "kernel oops on nyc2"
          cleanslate rebuild nyc --without nyc2 --reason "nyc2 is dead"
          cleanslate rebuild nyc --images running --reason "the registry is down"
          cleanslate rebuild fra --kept --reason "the database moves to its new image"
          cleanslate rebuild ams --restore --reason "a new site"
        "#);
    }

    #[test]
    fn promote_says_what_moves_and_what_does_not() {
        let mut command = command();
        command.build();
        let release = command.find_subcommand_mut("release").unwrap();
        let promote = release.find_subcommand_mut("promote").unwrap();
        let help = promote.render_long_help().to_string();
        let own = help.split("Everywhere:").next().unwrap();
        insta::assert_snapshot!(own, @r#"
        Moves the tags of a channel to the manifests that those of another name

        Every image that follows a channel (`${CHANNEL}` in its tag) moves, or none does. A manifest is put
        as it is, byte for byte. Running containers are not touched: sites take it in their next rotation.

        Usage: cleanslate release promote [OPTIONS] <FROM> <TO>

        Arguments:
          <FROM>
                  The channel, or any tag, that names what is good

          <TO>
                  The channel that is to take it

        Options:
              --at <TIME>
                  Not now but then, by the coordinator: 16:00, or 2026-11-24T16:00:00Z

              --unsoaked
                  However short it has been in service; takes a --reason

              --service <SERVICE>
                  Only the images of this service; may be repeated

              --reason <TEXT>
                  Why; it is kept in the ledger

              --now
                  Rotates the sites that take it as soon as it is done

          -y, --yes
                  Answers the question that is asked on a terminal

          -h, --help
                  Print help (see a summary with '-h')
        "#);
    }
}
