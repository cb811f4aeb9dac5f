//! The programs of the documentation: every block of Rust in README.md and `docs/`.
//!
//! Each is a whole program, so that a reader can copy it. They are built as README.md says, with its
//! manifest, in a folder beside a checkout and outside of the workspace. README's own programs, whose
//! first line names their file, are also run: what they report has to arrive at the mock Sentry.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use guardhouse_tests::desk::Scratch;
use guardhouse_tests::sentry::{
    Expectation, Sentry, a_feedback, a_session, a_transaction, an_event, an_item,
};

use crate::workspace::{cargo, root, target};

/// What README calls the package, and the programs of it that are run.
const PACKAGE: &str = "notes";

/// A block of code in a page.
struct Block {
    /// The word behind the fence.
    language: String,
    text: String,
}

/// Builds all programs and runs those of README.md.
pub(crate) fn check() -> Result<(), String> {
    let scratch = Scratch::new();
    let package = lay_out(scratch.path())?;
    let mut build = cargo(["build", "--bins"]);
    build.current_dir(&package).env("CARGO_TARGET_DIR", target().join("programs"));
    let is_built = build.status().map_err(|error| error.to_string())?.success();
    if !is_built {
        return Err(
            "a program of the documentation does not compile; a file without a name of its \
                    own is called after its page and the number of its block"
                .into(),
        );
    }
    run(PACKAGE, first_report())?;
    run("tour", tour())
}

/// What README.md says of its first program.
fn first_report() -> Vec<Expectation> {
    let from = |process: &str| an_event().from_process(process).with_tag("channel", "beta");
    vec![
        from("main").with_message("the main process works").times(1),
        from("settings").with_message("the child works").with_tag("view", "accounts").times(1),
        a_session().with_status("exited").times(1),
    ]
}

/// What README.md says of its second one.
fn tour() -> Vec<Expectation> {
    vec![
        an_event().with_message("the disk is nearly full").with_breadcrumb("saving").times(1),
        an_event().with_message("saving took long").times(1),
        an_event().times(2),
        a_transaction().with("/transaction", "save").times(1),
        an_item("log"),
        a_feedback().with_message("Saving takes long.").times(1),
        an_item("attachment").that("of a million bytes", |_, item| item.payload.len() == 1_000_000),
    ]
}

/// Writes a package with all programs, and puts the checkout beside it, as README.md has it.
fn lay_out(folder: &Path) -> Result<PathBuf, String> {
    let package = folder.join(PACKAGE);
    let binaries = package.join("src/bin");
    fs::create_dir_all(&binaries).map_err(|error| error.to_string())?;
    let failed = |error: std::io::Error| error.to_string();
    link(&root(), &folder.join("guardhouse")).map_err(failed)?;
    // The versions that everything else is tested with.
    fs::copy(root().join("Cargo.lock"), package.join("Cargo.lock")).map_err(failed)?;
    for page in pages()? {
        let name = page.file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
        let text = fs::read_to_string(&page).map_err(failed)?;
        for (number, block) in blocks(&text).into_iter().enumerate() {
            let file = match block.language.as_str() {
                "rust" => match block.text.lines().next().and_then(|it| it.strip_prefix("// src/"))
                {
                    Some(file) => package.join("src").join(file),
                    None => binaries.join(format!("{name}_{number}.rs")),
                },
                "toml" if name == "readme" => package.join("Cargo.toml"),
                _ => continue,
            };
            fs::write(file, block.text).map_err(failed)?;
        }
    }
    Ok(package)
}

/// README.md and all pages in `docs/`.
fn pages() -> Result<Vec<PathBuf>, String> {
    let mut pages = vec![root().join("README.md")];
    let docs = fs::read_dir(root().join("docs")).map_err(|error| error.to_string())?;
    pages.extend(docs.flatten().map(|entry| entry.path()));
    pages.retain(|page| page.extension().is_some_and(|it| it == "md"));
    pages.sort();
    Ok(pages)
}

/// All blocks of code in a page, in order.
fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for line in page.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(language)) => {
                open = Some(Block { language: language.to_owned(), text: String::new() });
            }
            (None, None) => {}
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(block), None) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
        }
    }
    blocks
}

#[cfg(unix)]
fn link(from: &Path, to: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(from, to)
}

#[cfg(windows)]
fn link(from: &Path, to: &Path) -> std::io::Result<()> {
    std::os::windows::fs::symlink_dir(from, to)
}

/// Runs a program with a DSN in its environment and a directory of its own to keep things in.
fn run(program: &str, expected: Vec<Expectation>) -> Result<(), String> {
    let (cache, sentry) = (Scratch::new(), Sentry::start());
    let name = format!("{program}{}", std::env::consts::EXE_SUFFIX);
    let mut command = Command::new(target().join("programs/debug").join(name));
    command.current_dir(cache.path()).env("SENTRY_DSN", sentry.dsn());
    for variable in ["XDG_CACHE_HOME", "LOCALAPPDATA", "HOME"] {
        command.env(variable, cache.path());
    }
    let status = command.status().map_err(|error| format!("{program}: {error}"))?;
    if !status.success() {
        return Err(format!("the program {program} of README.md ended with {status}"));
    }
    for expectation in expected {
        sentry.expect(expectation);
    }
    sentry.verify();
    println!("{program} reports all that README.md says.");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_found_with_their_language() {
        let page = "text\n```toml\na = 1\n```\nmore `code`\n```\nplain\n```\n";
        let found: Vec<_> =
            blocks(page).into_iter().map(|block| (block.language, block.text)).collect();
        let expected = [("toml", "a = 1\n"), ("", "plain\n")];
        assert_eq!(found, expected.map(|(language, text)| (language.into(), text.into())));
    }
}
