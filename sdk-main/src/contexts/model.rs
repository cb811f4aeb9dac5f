//! Which machine it is: what thousands of them are called, never this one.

/// The model's name.
#[cfg(target_os = "linux")]
pub(super) fn model() -> Option<String> {
    name_in("/sys/class/dmi/id/product_name").or_else(|| name_in("/proc/device-tree/model"))
}

/// Who made it.
#[cfg(target_os = "linux")]
pub(super) fn manufacturer() -> Option<String> {
    name_in("/sys/class/dmi/id/sys_vendor")
}

/// The model's name.
#[cfg(not(target_os = "linux"))]
pub(super) fn model() -> Option<String> {
    None
}

/// Who made it.
#[cfg(not(target_os = "linux"))]
pub(super) fn manufacturer() -> Option<String> {
    cfg!(target_os = "macos").then(|| "Apple".to_owned())
}

#[cfg(target_os = "linux")]
fn name_in(path: &str) -> Option<String> {
    name(&std::fs::read_to_string(path).ok()?)
}

/// The name, unless it is what firmware has in its place if nobody gave one.
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
pub(super) fn name(text: &str) -> Option<String> {
    /// Names that say nothing, in lower case.
    const EMPTY: [&str; 8] = [
        "",
        "none",
        "default string",
        "not applicable",
        "not specified",
        "o.e.m.",
        "system manufacturer",
        "system product name",
    ];
    let name: String = text.trim_matches(['\0', ' ', '\n']).chars().take(100).collect();
    let lower = name.to_ascii_lowercase();
    let says_nothing = EMPTY.contains(&&*lower) || lower.starts_with("to be filled by");
    (!says_nothing).then_some(name)
}
