//! `cargo xtask contract`: what is derived from the contract, so that nobody writes it twice.
//!
//! The table in `guardhouse_protocol::contract` is the only place where the contract is written
//! down. [`write()`] renders it for those who do not read Rust, and [`check`] says whether what is
//! checked in is what [`write()`] would write.

mod declaration;
mod page;
pub(crate) mod text;

use std::fs;
use std::path::PathBuf;

use crate::workspace::root;

/// What stands in the first line of each derived file.
const NOTICE: &str =
    "Generated from protocol/src/contract.rs by `cargo xtask contract`. Do not edit.";

/// A file that is derived from the contract.
struct Derived {
    /// Where it lives, from the root of the workspace.
    path: &'static str,
    render: fn() -> String,
}

const DERIVED: &[Derived] = &[
    Derived { path: "sdk-preload/js/bridge.d.ts", render: declaration::render },
    Derived { path: "docs/contract.md", render: page::render },
];

/// Writes every derived file that is not as it should be.
pub(crate) fn write() -> Result<(), String> {
    for derived in DERIVED {
        let path = derived.full_path();
        let text = (derived.render)();
        if fs::read_to_string(&path).is_ok_and(|found| difference(&found, &text).is_none()) {
            println!("{} is fresh", derived.path);
            continue;
        }
        let written = fs::create_dir_all(path.parent().unwrap_or(&path))
            .and_then(|()| fs::write(&path, &text));
        written.map_err(|error| format!("{} could not be written: {error}", path.display()))?;
        println!("{} is written", derived.path);
    }
    Ok(())
}

/// Checks that every derived file is fresh.
pub(crate) fn check() -> Result<(), String> {
    let mut stale = Vec::new();
    for derived in DERIVED {
        let path = derived.full_path();
        match fs::read_to_string(&path) {
            Err(error) => println!("{} could not be read: {error}", derived.path),
            Ok(found) => match difference(&found, &(derived.render)()) {
                None => {
                    println!("{} is fresh", derived.path);
                    continue;
                }
                Some(difference) => println!("{}:{difference}", derived.path),
            },
        }
        stale.push(derived.path);
    }
    if stale.is_empty() {
        Ok(())
    } else {
        Err(format!(
            "stale: {}; run `cargo xtask contract` and commit the result",
            stale.join(", ")
        ))
    }
}

impl Derived {
    fn full_path(&self) -> PathBuf {
        root().join(self.path)
    }
}

/// The first line in which two texts differ, and how. Which line endings a checkout uses is not a
/// difference.
fn difference(found: &str, expected: &str) -> Option<String> {
    let (mut found_lines, mut expected_lines) = (found.lines(), expected.lines());
    for number in 1.. {
        let (found_line, expected_line) = (found_lines.next(), expected_lines.next());
        if found_line != expected_line {
            return Some(format!(
                "{number}\n  found     {}\n  expected  {}",
                found_line.unwrap_or("(the end of the file)"),
                expected_line.unwrap_or("(the end of the file)"),
            ));
        }
        if found_line.is_none() {
            break;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_differs_is_shown() {
        let shown = difference("a\nb\nc\n", "a\nB\nC\n").unwrap();
        assert_eq!(shown, "2\n  found     b\n  expected  B");
        assert_eq!(difference("a\r\nb\r\n", "a\nb\n"), None);
        assert!(difference("a\n", "a\nb\n").unwrap().starts_with("2\n"));
        assert!(difference("a\nb\n", "a\n").unwrap().starts_with("2\n"));
    }

    #[test]
    fn each_file_says_first_how_it_came_about() {
        for derived in DERIVED {
            let text = (derived.render)();
            let first = text.lines().next().unwrap();
            assert!(first.contains("cargo xtask contract"), "{first}");
            assert!(text.ends_with('\n') && !text.ends_with("\n\n"));
        }
    }
}
