//! `cargo xtask test`: everything that decides whether a change lands.
//!
//! CI runs this and nothing else, so whoever sees it succeed has seen what CI will say. The steps
//! run in order, the cheap ones first, and the first that fails ends it with what to do about it.

use std::io::Write;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::workspace::{answers, cargo, root, succeeds, target};
use crate::{Failure, contract, licences, packages, programs};

/// One thing that is checked.
struct Step {
    name: &'static str,
    check: fn() -> Result<(), String>,
}

const STEPS: &[Step] = &[
    Step { name: "system packages", check: packages::install },
    Step { name: "formatting", check: formatting },
    Step { name: "clippy", check: clippy },
    Step { name: "the SDKs as applications have them", check: as_applications_have_it },
    Step { name: "tests", check: tests },
    Step { name: "documentation", check: documentation },
    Step { name: "programs of the documentation", check: programs::check },
    Step { name: "freshness of what is derived from the contract", check: contract::check },
    Step { name: "licences and advisories", check: licences::check },
    Step { name: "fuzz targets", check: fuzz_targets },
    Step { name: "packages to publish", check: publishable },
];

/// Packages that stay here (`publish = false`). Cargo cannot package what depends on one of them.
const UNPUBLISHED: &[&str] =
    &["guardhouse-bench", "guardhouse-example-native", "guardhouse-tests", "xtask"];

/// Runs all steps.
pub(crate) fn run() -> Result<(), Failure> {
    let mut times = Vec::new();
    for step in STEPS {
        println!("\n=== {} ===", step.name);
        // What the step runs writes to the same place, and should come after the heading.
        let _ = std::io::stdout().flush();
        let start = Instant::now();
        let outcome = (step.check)();
        let time = start.elapsed();
        println!("--- {}: {}", step.name, seconds(time));
        outcome.map_err(|text| format!("{} failed: {text}", step.name))?;
        times.push((step.name, time));
    }
    println!("\nAll is well:");
    for (name, time) in times {
        println!("{:>9}  {name}", seconds(time));
    }
    Ok(())
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

fn formatting() -> Result<(), String> {
    component("fmt", "rustfmt")?;
    expect(&mut cargo(["fmt", "--all", "--check"]), "run `cargo fmt --all`")
}

fn clippy() -> Result<(), String> {
    component("clippy", "clippy")?;
    let mut command = cargo(["clippy", "--workspace", "--all-targets", "--locked"]);
    expect(
        command.args(["--", "-D", "warnings"]),
        "repair what clippy says above, or `#[expect]` it with a reason",
    )
}

/// What applications get: without the features that the rest of the workspace turns on. Nothing may be
/// wrong with it, and its documentation names no internals.
fn as_applications_have_it() -> Result<(), String> {
    for package in ["guardhouse-main", "guardhouse-renderer"] {
        expect(
            cargo(["clippy", "--lib", "--locked", "-p", package]).args(["--", "-D", "warnings"]),
            "repair what clippy says above: it is so without the feature `internals`",
        )?;
        expect(
            cargo(["doc", "--no-deps", "--locked", "-p", package])
                .env("RUSTDOCFLAGS", "-D warnings"),
            "repair what rustdoc says above: it is so without the feature `internals`",
        )?;
    }
    Ok(())
}

fn tests() -> Result<(), String> {
    expect(
        &mut cargo(["test", "--workspace", "--locked"]),
        "the failing test is named above; `cargo test NAME` runs it alone",
    )
}

fn documentation() -> Result<(), String> {
    expect(
        cargo(["doc", "--workspace", "--no-deps", "--locked"]).env("RUSTDOCFLAGS", "-D warnings"),
        "repair what rustdoc says above",
    )
}

/// The fuzz targets are a workspace of their own. Building them needs a nightly compiler and a
/// sanitizer; without their default features they are plain functions, which any compiler checks.
fn fuzz_targets() -> Result<(), String> {
    let manifest = root().join("fuzz/Cargo.toml");
    if !manifest.exists() {
        println!("There are none yet.");
        return Ok(());
    }
    expect(
        cargo(["fmt", "--check", "--manifest-path"]).arg(&manifest),
        "run `cargo fmt --manifest-path fuzz/Cargo.toml`",
    )?;
    expect(
        cargo(["check", "--locked", "--no-default-features"])
            .arg("--manifest-path")
            .arg(&manifest)
            // A place of its own, so that the two workspaces do not evict each other's artefacts.
            .env("CARGO_TARGET_DIR", target().join("fuzz-check")),
        "repair what the compiler says above about the targets in fuzz/",
    )
}

/// What is to be published can be packaged: the manifests say what crates.io asks for, and every file
/// that a crate needs is part of it.
fn publishable() -> Result<(), String> {
    let mut command = cargo(["package", "--workspace", "--no-verify", "--allow-dirty", "--locked"]);
    for package in UNPUBLISHED {
        command.args(["--exclude", package]);
    }
    expect(&mut command, "complete the manifest that is named above")
}

/// Sees to it that a component of the toolchain is there. A minimal toolchain has neither of the two
/// that are needed, and Cargo's own word for what is missing is not clear.
fn component(subcommand: &str, name: &str) -> Result<(), String> {
    if answers(cargo([subcommand, "--version"])) {
        return Ok(());
    }
    println!("{name} is missing; asking rustup for it.");
    let was_added = succeeds(Command::new("rustup").args(["component", "add", name]));
    if was_added == Ok(true) && answers(cargo([subcommand, "--version"])) {
        return Ok(());
    }
    Err(format!("it needs the component {name} of the Rust toolchain; install it"))
}

fn expect(command: &mut Command, advice: &str) -> Result<(), String> {
    if succeeds(command)? { Ok(()) } else { Err(advice.to_owned()) }
}
