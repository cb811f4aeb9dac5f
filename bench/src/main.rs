//! Measurements of Guardhouse, each beside a peer in the same run.
//!
//! `cargo xtask bench` runs this. A row is one subject, in a file of its own in `rows/`, and
//! registered in [`ROWS`]; how things are measured stands in [`measure`], how they are shown and
//! kept in [`report`].
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "measurements are shown to whoever asked for them"
)]

#[cfg(unix)]
mod child;
mod measure;
mod report;
mod rows;

use std::process::ExitCode;

use measure::{Measure, Settings};

/// One subject of measurement.
struct Row {
    /// Its name on the command line, and of its file of results.
    name: &'static str,
    /// What it is about, in a line.
    about: &'static str,
    run: fn(&Settings) -> Vec<Measure>,
}

/// All rows, in the order in which they run.
const ROWS: &[Row] = &[
    Row {
        name: "envelope",
        about: "an envelope read, edited and written",
        run: rows::envelope::run,
    },
    Row {
        name: "breadcrumb",
        about: "a breadcrumb, and what the application's thread pays for it",
        run: rows::breadcrumb::run,
    },
    Row {
        name: "flush",
        about: "flushing and ending while the server hangs",
        run: rows::flush::run,
    },
    #[cfg(target_os = "linux")]
    Row { name: "idle", about: "processes that have nothing to do", run: rows::idle::run },
    Row { name: "init", about: "starting, until `init` returns", run: rows::init::run },
    #[cfg(unix)]
    Row {
        name: "ipc-classic",
        about: "an envelope from a renderer to main's disk, over a socket",
        run: rows::ipc::run_classic,
    },
    #[cfg(unix)]
    Row {
        name: "ipc-protocol",
        about: "an envelope from a renderer to main's disk, over HTTP",
        run: rows::ipc::run_protocol,
    },
    Row {
        name: "merge",
        about: "the scope of all processes laid over an event",
        run: rows::merge::run,
    },
    Row {
        name: "outbox",
        about: "an envelope acknowledged, and so on disk",
        run: rows::outbox::run,
    },
    #[cfg(unix)]
    Row {
        name: "scope-sync",
        about: "a breadcrumb of a renderer, until main has it",
        run: rows::scope_sync::run,
    },
    Row {
        name: "splice",
        about: "the JSON of an event checked, edited and written",
        run: rows::splice::run,
    },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    #[cfg(unix)]
    if let [word, name, arguments @ ..] = &arguments[..]
        && word == child::WORD
    {
        let child = rows::CHILDREN.iter().find(|(known, _)| known == name);
        child.expect("a row knows its children").1(arguments);
        return ExitCode::SUCCESS;
    }
    if arguments.iter().any(|word| word == "--help" || word == "-h") {
        println!("Usage: cargo xtask bench [ROW...] [--quick]\n\n{}", known());
        return ExitCode::SUCCESS;
    }
    let (rows, settings) = match choose(&arguments) {
        Ok(chosen) => chosen,
        Err(error) => {
            eprintln!("bench: {error}\n\n{}", known());
            return ExitCode::from(2);
        }
    };
    let mut measures = Vec::new();
    for row in rows {
        println!("Measuring {}: {}", row.name, row.about);
        let measured = (row.run)(&settings);
        match report::write(row.name, &measured) {
            Ok(path) => println!("  written to {}", path.display()),
            Err(error) => {
                eprintln!("bench: {error}");
                return ExitCode::FAILURE;
            }
        }
        measures.extend(measured);
    }
    println!("\n{}", report::table(&measures));
    ExitCode::SUCCESS
}

/// The rows that `arguments` ask for, all of them if they name none.
fn choose(arguments: &[String]) -> Result<(Vec<&'static Row>, Settings), String> {
    let mut chosen: Vec<&Row> = Vec::new();
    let mut settings = Settings::THOROUGH;
    for word in arguments {
        if word == "--quick" {
            settings = Settings::QUICK;
        } else if let Some(row) = ROWS.iter().find(|row| row.name == word) {
            if !chosen.iter().any(|other| other.name == row.name) {
                chosen.push(row);
            }
        } else {
            return Err(format!("there is no row {word:?}"));
        }
    }
    if chosen.is_empty() {
        chosen.extend(ROWS);
    }
    Ok((chosen, settings))
}

fn known() -> String {
    let lines: Vec<String> =
        ROWS.iter().map(|row| format!("  {:<12} {}", row.name, row.about)).collect();
    format!("Rows:\n{}", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(words: &[&str]) -> Result<Vec<&'static str>, String> {
        let words: Vec<String> = words.iter().copied().map(String::from).collect();
        choose(&words).map(|(rows, _)| rows.iter().map(|row| row.name).collect())
    }

    #[test]
    fn all_rows_run_unless_some_are_named() {
        let all: Vec<_> = ROWS.iter().map(|row| row.name).collect();
        assert_eq!(names(&[]).unwrap(), all);
        assert_eq!(names(&["--quick"]).unwrap(), all);
        let first = all[0];
        assert_eq!(names(&["--quick", first, first]).unwrap(), [first]);
    }

    #[test]
    fn an_unknown_row_is_an_error_that_names_it() {
        assert_eq!(names(&["chanel"]).unwrap_err(), "there is no row \"chanel\"");
        assert!(names(&["--slow"]).is_err());
    }
}
