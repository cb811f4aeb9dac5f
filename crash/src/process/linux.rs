//! Linux: the line that `/proc` has for each process.

/// What of the line is needed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) state: char,
    pub(crate) parent: u32,
    /// As `wait` says it. Zero for those who may not know.
    pub(crate) exit_code: i32,
}

impl Stat {
    /// `None` if there is no such process.
    pub(crate) fn read(pid: u32) -> Option<Self> {
        // A name may be any bytes.
        let line = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
        Self::parse(&String::from_utf8_lossy(&line))
    }

    fn parse(line: &str) -> Option<Self> {
        // The name comes before and may itself have parentheses and spaces.
        let (_, fields) = line.rsplit_once(')')?;
        let mut fields = fields.split_ascii_whitespace();
        let state = fields.next()?.chars().next()?;
        let parent = fields.next()?.parse().ok()?;
        // The 52nd field of the line; the fourth was the parent.
        let exit_code = fields.nth(47).and_then(|code| code.parse().ok()).unwrap_or(0);
        Some(Self { state, parent, exit_code })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_look_like_the_rest_of_the_line() {
        let tail = "0 ".repeat(47);
        let line = format!("7 (a) R 1 (b) T 41 {tail}768\n");
        assert_eq!(Stat::parse(&line), Some(Stat { state: 'T', parent: 41, exit_code: 768 }));
    }

    #[test]
    fn what_is_no_such_line_is_nothing() {
        for line in ["", "7", "7 (a)", "7 (a) ", "7 (a) T", "7 (a) T x"] {
            assert_eq!(Stat::parse(line), None, "{line}");
        }
    }
}
