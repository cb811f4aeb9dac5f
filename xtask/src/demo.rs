//! `cargo xtask demo`: what there is to see so far.
//!
//! First what main hears from renderers, then a main that is killed while Sentry cannot be reached, and
//! at last an application of three processes, the one in `examples/native`, of which each fails in
//! its own way. Whatever the demo claims it checks, and it fails if that does not hold.

mod arrived;
mod contract;
mod house;
mod native;

use crate::{Failure, packages};

/// Prints what exists.
pub(crate) fn run() -> Result<(), Failure> {
    packages::install()?;
    contract::run()?;
    house::run()?;
    native::run()?;
    println!(
        "\nThat is all there is to see so far: no window opens. The application of the last part is in\n\
         examples/native, two files to copy from; README.md says what state each part is in."
    );
    Ok(())
}

fn heading(text: &str) {
    println!("\n{text}\n{}", "-".repeat(text.len()));
}

fn check(is_so: bool, otherwise: &str) -> Result<(), Failure> {
    if is_so { Ok(()) } else { Err(failed(otherwise)) }
}

fn shortened(text: &str) -> String {
    const CHARS: usize = 60;
    match text.char_indices().nth(CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::Failed(format!("the demo does not do what it should: {error}"))
}
