//! The lab's executable: lays a lab to play with, and does inside the lab's network what tests
//! cannot do from outside of it. `lab --help` lists the commands.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it talks to people"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "it reads the PATH for `lab exec`"
)]

mod commands;
#[path = "mod.rs"]
mod lab;

fn main() -> std::process::ExitCode {
    commands::main()
}
