//! Where the workspace is, and how other programs are run in it.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The root of the workspace, whatever directory the command was typed in.
pub(crate) fn root() -> PathBuf {
    // Cargo sets the variable for what it runs. What was compiled in is for who runs the binary.
    let here = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    here.parent().map_or(here.clone(), Path::to_owned)
}

/// Where Cargo puts what it builds.
pub(crate) fn target() -> PathBuf {
    chosen_target().unwrap_or_else(|| root().join("target"))
}

/// The target directory of the environment. As for Cargo, a relative one begins at the directory in
/// which the command was typed.
fn chosen_target() -> Option<PathBuf> {
    let directory = env::var_os("CARGO_TARGET_DIR")?;
    let here = env::current_dir().unwrap_or_else(|_| root());
    Some(here.join(directory))
}

/// A call of the same Cargo that runs us, in the root of the workspace.
pub(crate) fn cargo<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root());
    // What Cargo told us about this package would make build scripts run again that look at it.
    let ours = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_str().is_some_and(ours)) {
        command.env_remove(name);
    }
    // It runs in another directory, but means the same one.
    if let Some(target) = chosen_target() {
        command.env("CARGO_TARGET_DIR", target);
    }
    command
}

/// Runs `command` with our own output, and says whether it succeeded. An error is that it could
/// not be started at all.
pub(crate) fn succeeds(command: &mut Command) -> Result<bool, String> {
    let status = command.status().map_err(|error| {
        format!("{} could not be started: {error}", command.get_program().display())
    })?;
    Ok(status.success())
}

/// Whether a command, which should be one without effects, succeeds. What it prints is dropped.
pub(crate) fn answers(mut command: Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Whether a program of this name is on the path. It is not started.
pub(crate) fn has_program(name: &str) -> bool {
    let Some(path) = env::var_os("PATH") else {
        return false;
    };
    let file = format!("{name}{}", env::consts::EXE_SUFFIX);
    env::split_paths(&path).any(|folder| folder.join(&file).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_where_the_workspace_is_declared() {
        let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
        assert!(manifest.contains("[workspace]"));
    }

    #[test]
    fn programs_are_found_by_name() {
        assert!(!has_program("no-program-has-this-name"));
        assert!(!answers(Command::new("no-program-has-this-name")));
    }
}
