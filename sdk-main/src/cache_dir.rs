//! Where a platform keeps an application's files that can be made again or be sent.

use std::env;
use std::path::PathBuf;

use sentry::types::Dsn;

/// The folder for an application and the project that it reports to, if the environment says where
/// such folders are. Two applications may have the same name, and one of them two projects.
pub(crate) fn of(app: &str, dsn: Option<&Dsn>) -> Option<PathBuf> {
    let folder = base()?.join(folder_name(app)).join("sentry");
    Some(dsn.map_or_else(|| folder.clone(), |dsn| folder.join(project(dsn))))
}

/// The project of a DSN, whatever key it is reported to with.
fn project(dsn: &Dsn) -> String {
    let server = format!("{}:{}{}", dsn.host(), dsn.port(), dsn.path());
    format!(
        "{}-{:08x}",
        folder_name(&dsn.project_id().to_string()),
        crc32fast::hash(server.as_bytes())
    )
}

#[cfg(target_os = "windows")]
fn base() -> Option<PathBuf> {
    absolute("LOCALAPPDATA")
}

#[cfg(target_os = "macos")]
fn base() -> Option<PathBuf> {
    Some(absolute("HOME")?.join("Library").join("Caches"))
}

#[cfg(not(any(target_os = "windows", target_os = "macos")))]
fn base() -> Option<PathBuf> {
    absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))
}

/// A relative path is no directory to find again, and by the specification of `XDG_CACHE_HOME` to be
/// ignored.
fn absolute(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute())
}

/// The application's name without what a file system may take for something else.
fn folder_name(app: &str) -> String {
    let name: String = app
        .chars()
        .map(|c| if c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ' ') { c } else { '_' })
        .take(100)
        .collect();
    let name = name.trim_matches(['.', ' ']);
    if name.is_empty() { "application".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn projects_have_folders_of_their_own_and_keys_have_not() {
        let of = |dsn: &str| project(&dsn.parse().unwrap());
        assert!(of("https://a@example.com/42").starts_with("42-"));
        assert_eq!(of("https://a@example.com/42"), of("https://b@example.com/42"));
        assert_ne!(of("https://a@example.com/42"), of("https://a@example.org/42"));
    }

    #[test]
    fn a_name_cannot_lead_elsewhere() {
        assert_eq!(folder_name("my-app"), "my-app");
        assert_eq!(folder_name("../../etc"), "_.._etc");
        assert_eq!(folder_name("a/b\\c:d"), "a_b_c_d");
        assert_eq!(folder_name(".."), "application");
        assert_eq!(folder_name(""), "application");
    }
}
