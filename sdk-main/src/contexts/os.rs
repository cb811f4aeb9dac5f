//! The operating system.

use guardhouse_protocol::json::ObjectWriter;

#[cfg(target_os = "linux")]
pub(super) fn gather() -> ObjectWriter {
    let mut context = ObjectWriter::new();
    context.member("name", "Linux");
    let kernel = kernel_version();
    if let Some(kernel) = &kernel {
        context.member("version", &**kernel).member("kernel_version", &**kernel);
    }
    // The second is for systems that keep the first for the administrator.
    let release = ["/etc/os-release", "/usr/lib/os-release"]
        .into_iter()
        .find_map(|path| std::fs::read_to_string(path).ok());
    if let Some(distribution) = release.as_deref().and_then(distribution) {
        for (member, value) in distribution {
            context.member(member, value);
        }
    }
    context
}

#[cfg(target_os = "macos")]
pub(super) fn gather() -> ObjectWriter {
    let mut context = ObjectWriter::new();
    context.member("name", "macOS");
    let path = "/System/Library/CoreServices/SystemVersion.plist";
    if let Ok(text) = std::fs::read_to_string(path) {
        if let Some(version) = plist_string(&text, "ProductVersion") {
            context.member("distribution_version", version);
        }
        if let Some(build) = plist_string(&text, "ProductBuildVersion") {
            context.member("build", build);
        }
    }
    if let Some(kernel) = kernel_version() {
        context.member("kernel_version", kernel);
    }
    context
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
pub(super) fn gather() -> ObjectWriter {
    let mut context = ObjectWriter::new();
    let name = if cfg!(windows) { "Windows" } else { std::env::consts::OS };
    context.member("name", name);
    context
}

/// The architecture of the machine, which may run programs of another.
#[cfg(unix)]
pub(super) fn arch() -> String {
    match rustix::system::uname().machine().to_str() {
        Ok(machine) if !machine.is_empty() => machine.to_owned(),
        _ => std::env::consts::ARCH.to_owned(),
    }
}

/// The architecture of the machine, or that of the program where nobody says the machine's.
#[cfg(not(unix))]
pub(super) fn arch() -> String {
    // The second is what a program of another architecture is told.
    let arch = ["PROCESSOR_ARCHITEW6432", "PROCESSOR_ARCHITECTURE"];
    let said = arch.into_iter().find_map(|name| std::env::var(name).ok());
    match said.as_deref() {
        Some("AMD64") => "x86_64",
        Some("ARM64") => "aarch64",
        Some("x86") => "x86",
        _ => std::env::consts::ARCH,
    }
    .to_owned()
}

/// The kernel's release. Its `version` is left out, which may name the machine it was built on, and
/// `nodename` of course, which is the name of this one.
#[cfg(unix)]
fn kernel_version() -> Option<String> {
    let release = rustix::system::uname().release().to_str().map(str::to_owned);
    release.ok().filter(|release| !release.is_empty())
}

/// Name, version and full name of a distribution, as they stand in `os-release`, by the members that
/// Sentry's own native SDK has for them.
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
pub(super) fn distribution(release: &str) -> Option<Vec<(&'static str, String)>> {
    let value = |key| {
        let of_line = |line: &str| line.trim().strip_prefix(key)?.strip_prefix('=').map(unquote);
        release.lines().find_map(of_line).filter(|value| !value.is_empty())
    };
    let mut found = vec![("distribution_name", value("ID")?)];
    found.extend(value("VERSION_ID").map(|version| ("distribution_version", version)));
    found.extend(value("PRETTY_NAME").map(|name| ("distribution_pretty_name", name)));
    Some(found)
}

/// A value as a shell reads it: in quotes of either kind or in none, with backslashes before what would
/// mean something else.
fn unquote(value: &str) -> String {
    let is_quoted = |quote| value.len() >= 2 && value.starts_with(quote) && value.ends_with(quote);
    if is_quoted('\'') {
        return value[1..value.len() - 1].to_owned();
    }
    let inside = if is_quoted('"') { &value[1..value.len() - 1] } else { value };
    let mut is_escaped = false;
    inside
        .chars()
        .filter(|character| {
            is_escaped = *character == '\\' && !is_escaped;
            !is_escaped
        })
        .collect()
}

/// The string that follows a key in a property list. Those of the system are plain XML.
#[cfg_attr(not(target_os = "macos"), allow(dead_code))]
pub(super) fn plist_string(text: &str, key: &str) -> Option<String> {
    let (_, behind) = text.split_once(&format!("<key>{key}</key>"))?;
    let value = behind.trim_start().strip_prefix("<string>")?;
    let (value, _) = value.split_once("</string>")?;
    // A version has no characters that XML would write in another way.
    (!value.contains(['<', '&'])).then(|| value.trim().to_owned())
}
