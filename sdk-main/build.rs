//! Finds out which compiler compiles this, for the context `runtime` of events.

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=RUSTC");
    // Cargo always says which one it is. Without a version the context goes without.
    let Some(rustc) = std::env::var_os("RUSTC") else { return };
    let said = Command::new(rustc).arg("--version").output().map(|output| output.stdout);
    let said = String::from_utf8(said.unwrap_or_default()).unwrap_or_default();
    // As in "rustc 1.95.0 (59807616e 2026-04-14)".
    if let Some(version) = said.strip_prefix("rustc ").and_then(|said| said.split(' ').next()) {
        println!("cargo:rustc-env=GUARDHOUSE_RUSTC_VERSION={}", version.trim());
    }
}
