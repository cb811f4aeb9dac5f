//! Whether everything that is built in may be: its licence, where it comes from, and what is known
//! against it.
//!
//! Licences and origins are read from Cargo's metadata and always checked. Advisories need a
//! database that somebody has fetched; without one that part says that it was skipped.

mod expression;

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::workspace::{cargo, has_program, root};
use expression::Expression;

/// The licences under which code may become part of an application: none of them asks more of it
/// than to be named.
const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Licences that are allowed to one package only: the package, the licence.
const EXCEPTIONS: &[(&str, &str)] = &[
    // LLVM's former licence, of the code that drives the fuzz targets. It is in nothing we publish.
    ("libfuzzer-sys", "NCSA"),
    // Mozilla's root certificates, as data under a permissive licence for data. They are compiled
    // for Android only, where the platform cannot be asked.
    ("webpki-root-certs", "CDLA-Permissive-2.0"),
];

/// How Cargo names crates.io, by its Git index and by its sparse one.
const CRATES_IO: [&str; 2] =
    ["registry+https://github.com/rust-lang/crates.io-index", "sparse+https://index.crates.io/"];

/// Checks all packages of the workspace and of the fuzz targets.
pub(crate) fn check() -> Result<(), String> {
    let mut objections = Vec::new();
    for manifest in ["Cargo.toml", "fuzz/Cargo.toml"] {
        let path = root().join(manifest);
        if !path.exists() {
            continue;
        }
        let metadata = metadata(&path)?;
        let packages = metadata["packages"].as_array().map_or(&[][..], |all| all);
        let foreign: Vec<Package> = packages
            .iter()
            .map(Package::read)
            .filter(|package| !package.is_ours(&root()))
            .collect();
        println!("{manifest}: {} packages of others", foreign.len());
        objections.extend(foreign.iter().filter_map(Package::objection));
    }
    for objection in &objections {
        println!("  {objection}");
    }
    if !objections.is_empty() {
        return Err(
            "do without the packages named above, or say in xtask/src/licences.rs why not".into()
        );
    }
    advisories()
}

fn metadata(manifest: &Path) -> Result<Value, String> {
    let output = cargo(["metadata", "--format-version", "1", "--locked"])
        .arg("--manifest-path")
        .arg(manifest)
        .output()
        .map_err(|error| format!("cargo could not be started: {error}"))?;
    if !output.status.success() {
        return Err(format!("cargo metadata says:\n{}", String::from_utf8_lossy(&output.stderr)));
    }
    serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("what cargo metadata says is not understood: {error}"))
}

/// What is asked of a package.
#[derive(Debug)]
struct Package<'a> {
    name: &'a str,
    version: &'a str,
    /// Nothing for a package that is built from a folder.
    source: Option<&'a str>,
    manifest: &'a str,
    licence: Option<&'a str>,
}

impl<'a> Package<'a> {
    fn read(value: &'a Value) -> Self {
        let text = |key: &str| value[key].as_str();
        Self {
            name: text("name").unwrap_or_default(),
            version: text("version").unwrap_or_default(),
            source: text("source"),
            manifest: text("manifest_path").unwrap_or_default(),
            licence: text("license"),
        }
    }

    fn is_ours(&self, root: &Path) -> bool {
        self.source.is_none() && Path::new(self.manifest).starts_with(root)
    }

    /// What speaks against the package, if something does.
    fn objection(&self) -> Option<String> {
        let because = |what: String| Some(format!("{} {}: {what}", self.name, self.version));
        match self.source {
            Some(source) if CRATES_IO.contains(&source) => {}
            Some(source) => return because(format!("it comes from {source}, not crates.io")),
            None => return because(format!("it comes from the folder of {}", self.manifest)),
        }
        let Some(licence) = self.licence else {
            return because("it does not say its licence".into());
        };
        match Expression::parse(licence) {
            Err(error) => because(format!("its licence {licence:?} is not understood: {error}")),
            Ok(expression) if expression.is_met(&|name| self.allows(name)) => None,
            Ok(_) => because(format!("its licence {licence:?} is not on the list")),
        }
    }

    fn allows(&self, licence: &str) -> bool {
        ALLOWED.contains(&licence) || EXCEPTIONS.contains(&(self.name, licence))
    }
}

/// Asks `cargo deny` for known vulnerabilities, if it is there and has a database.
fn advisories() -> Result<(), String> {
    let skipped = |why: &str| {
        println!(
            "Advisories were not checked: {why}. `cargo install cargo-deny && cargo deny check \
             advisories` checks them, with network."
        );
        Ok(())
    };
    if !has_program("cargo-deny") {
        return skipped("there is no cargo-deny");
    }
    let output = Command::new("cargo-deny")
        .args(["--offline", "--format", "json", "check", "advisories"])
        .current_dir(root())
        .output();
    let output = match output {
        Ok(output) => output,
        Err(error) => return skipped(&format!("cargo-deny could not be started: {error}")),
    };
    if output.status.success() {
        println!("No advisory of the fetched database speaks against what is used.");
        return Ok(());
    }
    let findings = findings(&String::from_utf8_lossy(&output.stderr));
    if findings.is_empty() {
        return skipped("cargo-deny has no database, or not one that it can use offline");
    }
    for finding in findings {
        println!("  {finding}");
    }
    Err("update the packages named above, or ignore the advisory in deny.toml with a reason".into())
}

/// The errors about packages in what `cargo deny` says, which is one JSON object a line. Its
/// troubles with itself, such as a missing database or settings of another version, name none.
fn findings(said: &str) -> Vec<String> {
    said.lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|line| line["type"] == "diagnostic")
        .filter_map(|line| {
            let fields = &line["fields"];
            let package = &fields["graphs"][0]["Krate"];
            if fields["severity"] != "error" || package["name"].is_null() {
                return None;
            }
            let text = |value: &Value| value.as_str().map(str::to_owned);
            let parts = [
                text(&package["name"]),
                text(&package["version"]),
                text(&fields["code"]),
                text(&fields["advisory"]["id"]),
                text(&fields["message"]),
            ];
            Some(parts.into_iter().flatten().collect::<Vec<_>>().join(" "))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FINE: Package<'_> = Package {
        name: "some-package",
        version: "1.0.0",
        source: Some(CRATES_IO[0]),
        manifest: "/somewhere/Cargo.toml",
        licence: Some("MIT OR Apache-2.0"),
    };

    #[test]
    fn a_package_of_crates_io_with_a_licence_of_the_list_is_fine() {
        assert_eq!(FINE.objection(), None);
    }

    #[test]
    fn other_licences_are_named() {
        let of = |licence| Package { licence, ..FINE }.objection().unwrap();
        assert!(of(None).contains("does not say its licence"));
        assert!(of(Some("GPL-3.0-only")).contains("\"GPL-3.0-only\" is not on the list"));
        assert!(of(Some("MIT AND GPL-3.0-only")).contains("not on the list"));
        assert!(of(Some("MIT OR")).contains("not understood"));
    }

    #[test]
    fn an_exception_is_for_one_package() {
        let licence = Some("(MIT OR Apache-2.0) AND NCSA");
        let fuzzer = Package { name: "libfuzzer-sys", licence, ..FINE };
        assert_eq!(fuzzer.objection(), None);
        assert!(Package { licence, ..FINE }.objection().is_some());
    }

    #[test]
    fn packages_come_from_crates_io_or_from_here() {
        let git = Package { source: Some("git+https://example.com/fork"), ..FINE };
        assert!(git.objection().unwrap().contains("not crates.io"));

        let folder = Package { source: None, ..FINE };
        assert!(folder.is_ours(Path::new("/somewhere")));
        assert!(!folder.is_ours(Path::new("/somewhere/else")));
        assert!(folder.objection().unwrap().contains("/somewhere/Cargo.toml"));
    }

    #[test]
    fn only_what_is_said_about_a_package_is_a_finding() {
        let missing = r#"{"type":"log","fields":{"level":"ERROR","message":"failed to get HEAD"}}"#;
        let settings =
            r#"{"type":"diagnostic","fields":{"severity":"error","message":"no such key"}}"#;
        assert!(findings(&format!("{missing}\n{settings}\nnot JSON")).is_empty());

        let found = r#"{"type":"diagnostic","fields":{"severity":"error","code":"vulnerability","message":"reads too far","advisory":{"id":"RUSTSEC-2026-0001"},"graphs":[{"Krate":{"name":"memchr","version":"2.8.3"}}]}}"#;
        assert_eq!(
            findings(&format!("{missing}\n{found}")),
            ["memchr 2.8.3 vulnerability RUSTSEC-2026-0001 reads too far"]
        );
        assert!(findings(&found.replace("error", "warning")).is_empty());
    }
}
