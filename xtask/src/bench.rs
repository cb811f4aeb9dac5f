//! `cargo xtask bench`: builds the measurements as they should be built and runs them.
//!
//! What is measured, and how, is for the package in `bench/`. The status is 0 whatever was
//! measured; it is not when the measurements could not be built, or a row is not known.

use crate::Failure;
use crate::workspace::{cargo, succeeds};

/// Runs the rows that `arguments` names, or all of them.
pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    let mut command = cargo(["run", "--locked", "--profile", "bench"]);
    command.args(["--package", "guardhouse-bench", "--"]);
    command.args(arguments);
    if succeeds(&mut command)? {
        Ok(())
    } else {
        // Cargo or the measurements have said why.
        Err(Failure::Failed(String::new()))
    }
}
