//! How much memory there is, and how much of it the application has.

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Memory {
    pub(super) of_app: Option<u64>,
    pub(super) total: Option<u64>,
    pub(super) free: Option<u64>,
}

impl Memory {
    #[cfg(target_os = "linux")]
    pub(super) fn read() -> Self {
        let text = |path| std::fs::read_to_string(path).unwrap_or_default();
        // `statm` is shorter, but counts in pages, whose size nobody says here.
        let (status, memory) = (text("/proc/self/status"), text("/proc/meminfo"));
        Self {
            of_app: kibibytes(&status, "VmRSS"),
            total: kibibytes(&memory, "MemTotal"),
            // What is free in the narrow sense is always little, since the system uses the rest as a
            // cache that it gives back.
            free: kibibytes(&memory, "MemAvailable").or_else(|| kibibytes(&memory, "MemFree")),
        }
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn read() -> Self {
        Self::default()
    }
}

/// The value of a line such as `MemTotal:  16 kB`, in bytes.
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
pub(super) fn kibibytes(text: &str, name: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let number: u64 = value.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    number.checked_mul(1024)
}
