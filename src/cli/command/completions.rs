//! `completions`: what a shell needs to complete command lines.
use clap::Args;
use clap_complete::{Shell, generate};

use super::super::args;
use super::super::desk::Desk;
use super::super::exit::Exit;
use super::super::failure::Outcome;

/// Prints what a shell needs to complete command lines
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  source <(cleanslate completions bash)
  cleanslate completions zsh > /usr/local/share/zsh/site-functions/_cleanslate
  cleanslate completions fish > ~/.config/fish/completions/cleanslate.fish")]
pub(crate) struct Completions {
    /// Which shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(crate) fn run(desk: &Desk, args: &Completions) -> Outcome {
    desk.output.result(script(args.shell).trim_end());
    Ok(Exit::Done)
}

fn script(shell: Shell) -> String {
    let mut script = Vec::new();
    generate(shell, &mut args::command(), "cleanslate", &mut script);
    String::from_utf8(script).expect("names and help are text")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_learns_every_command() {
        let command = args::command();
        let shells = <Shell as clap::ValueEnum>::value_variants();
        for shell in shells {
            let script = script(*shell);
            for command in command.get_subcommands() {
                assert!(script.contains(command.get_name()), "{shell}");
            }
        }
    }
}
