//! The commands of the project, as `cargo xtask COMMAND`.
//!
//! Each command is a file of its own. It prints what it does while it does it, and ends with one
//! sentence that says what to do if it fails. They work from any directory of the checkout.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "commands talk to whoever typed them"
)]

mod bench;
mod check;
mod contract;
mod demo;
mod licences;
mod packages;
mod programs;
mod test;
mod workspace;

use std::process::ExitCode;

const USAGE: &str = "\
The commands of Guardhouse.

Usage: cargo xtask COMMAND

Commands:
  test                      Check everything that CI checks, after installing what that needs
  bench [ROW...] [--quick]  Measure ours beside a peer; results also go to target/bench/ROW.json
  contract [--check]        Write what is derived from the contract, or check that it is fresh
  programs                  Build the programs of README.md and docs/, and run README's
  check bugsink             Run the example against a strict server from PyPI
  check relay               Have Relay, from PyPI, look at what the tests send
  demo                      Show what exists so far
  help                      Print this text
";

/// Why a command ended early.
enum Failure {
    /// It was asked for something that it does not know. The fault is with whoever typed it.
    Usage(String),
    /// What it did or checked failed; the text says what to do. Empty if it has been said already.
    Failed(String),
}

impl From<String> for Failure {
    fn from(text: String) -> Self {
        Self::Failed(text)
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Failed(text)) => {
            if !text.is_empty() {
                eprintln!("\nxtask: {text}");
            }
            ExitCode::FAILURE
        }
        Err(Failure::Usage(text)) => {
            eprintln!("xtask: {text}\n\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &[String]) -> Result<(), Failure> {
    let Some((command, rest)) = arguments.split_first() else {
        return Err(Failure::Usage("no command was given".into()));
    };
    if rest.iter().any(|word| word == "--help" || word == "-h") && command != "bench" {
        println!("{USAGE}");
        return Ok(());
    }
    match command.as_str() {
        "test" => no_arguments(command, rest).and_then(|()| test::run()),
        "bench" => bench::run(rest),
        "contract" => match rest {
            [] => contract::write().map_err(Failure::from),
            [flag] if flag == "--check" => contract::check().map_err(Failure::from),
            _ => Err(unexpected(command, rest)),
        },
        "check" => check::run(rest),
        "programs" => no_arguments(command, rest).and_then(|()| Ok(programs::check()?)),
        "demo" => no_arguments(command, rest).and_then(|()| demo::run()),
        "help" | "--help" | "-h" => {
            println!("{USAGE}");
            Ok(())
        }
        _ => Err(Failure::Usage(format!("there is no command {command:?}"))),
    }
}

fn no_arguments(command: &str, rest: &[String]) -> Result<(), Failure> {
    if rest.is_empty() { Ok(()) } else { Err(unexpected(command, rest)) }
}

fn unexpected(command: &str, rest: &[String]) -> Failure {
    Failure::Usage(format!("{command} does not know what to do with: {}", rest.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage_error(words: &[&str]) -> String {
        let words: Vec<String> = words.iter().copied().map(String::from).collect();
        match run(&words) {
            Err(Failure::Usage(text)) => text,
            _ => panic!("{words:?} was taken"),
        }
    }

    #[test]
    fn what_is_not_understood_is_named() {
        assert_eq!(usage_error(&[]), "no command was given");
        assert_eq!(usage_error(&["tset"]), "there is no command \"tset\"");
        assert!(usage_error(&["test", "protocol"]).ends_with("protocol"));
        assert!(usage_error(&["contract", "--check", "--all"]).ends_with("--check --all"));
        assert!(usage_error(&["demo", "now"]).starts_with("demo"));
    }
}
