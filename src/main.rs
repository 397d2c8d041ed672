//! The program.
use std::process::ExitCode;

fn main() -> ExitCode {
    cleanslate::cli::main()
}
