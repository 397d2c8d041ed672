//! The question before something is changed. It is asked on a terminal only: a timer has nobody
//! who could answer.
use std::io::{BufRead, IsTerminal};

use super::args::Yes;
use super::exit::Exit;
use super::failure::Failure;
use super::output::Output;

/// Asks; anything but `y` or `yes` is a no.
///
/// # Errors
/// The answer was no: nothing was changed.
pub(crate) fn confirm(output: &Output, yes: Yes, question: &str) -> Result<(), Failure> {
    let is_asked = std::io::stdin().is_terminal() && output.is_terminal;
    if yes.yes || !is_asked {
        return Ok(());
    }
    output.say(&format!("{question} [y/N]"));
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    let is_yes = read.is_ok() && matches!(answer.trim().to_lowercase().as_str(), "y" | "yes");
    if is_yes {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Later,
        "not confirmed: nothing was changed",
        "answer y, or add --yes",
    ))
}
