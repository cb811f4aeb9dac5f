//! The language and the place in time of the user.

use guardhouse_protocol::json::ObjectWriter;

pub(super) fn gather() -> ObjectWriter {
    let variable = |name: &str| std::env::var(name).ok();
    let mut context = ObjectWriter::new();
    if let Some(locale) = locale(variable) {
        context.member("locale", locale);
    }
    if let Some(timezone) = variable("TZ").and_then(|zone| zone_of_variable(&zone)) {
        context.member("timezone", timezone);
    } else if let Some(timezone) = system_zone() {
        context.member("timezone", timezone);
    }
    // The calendar that programs get from the C library, whatever the user reads elsewhere.
    if cfg!(unix) {
        context.member("calendar", "GregorianCalendar");
    }
    context
}

#[cfg(unix)]
fn system_zone() -> Option<String> {
    let link = std::fs::read_link("/etc/localtime").ok()?;
    zone_of_path(link.to_str()?)
}

#[cfg(not(unix))]
fn system_zone() -> Option<String> {
    None
}

/// The locale as RFC 4646 writes it, by the first variable that says one.
pub(super) fn locale(variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    let said = ["LC_ALL", "LC_MESSAGES", "LANG"]
        .into_iter()
        .find_map(|name| variable(name).filter(|value| !value.is_empty()))?;
    // The encoding, and a variant such as a currency, are no part of it.
    let name = said.split(['.', '@']).next().unwrap_or_default();
    let is_plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    let is_none = matches!(name, "" | "C" | "POSIX");
    (is_plain && !is_none && name.len() <= 35).then(|| name.replace('_', "-"))
}

/// The zone that `TZ` names: by itself, with a colon before it, or by a path.
pub(super) fn zone_of_variable(value: &str) -> Option<String> {
    let value = value.strip_prefix(':').unwrap_or(value);
    if value.starts_with('/') { zone_of_path(value) } else { zone(value) }
}

/// The zone whose file this is. Only what stands behind the folder of all zones is taken: another path
/// could say anything.
pub(super) fn zone_of_path(path: &str) -> Option<String> {
    let (_, name) = path.rsplit_once("zoneinfo/")?;
    zone(name)
}

fn zone(name: &str) -> Option<String> {
    let is_plain =
        name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '-' | '+'));
    let name = name.strip_prefix("posix/").or(name.strip_prefix("right/")).unwrap_or(name);
    (is_plain && !name.is_empty() && name.len() <= 64).then(|| name.to_owned())
}
