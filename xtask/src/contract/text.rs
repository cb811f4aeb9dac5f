//! How numbers and sentences are set.

/// A number of bytes as a person reads it.
pub(crate) fn bytes(count: u64) -> String {
    const KIB: u64 = 1024;
    const MIB: u64 = 1024 * KIB;
    match count {
        0 => "none".to_owned(),
        _ if count.is_multiple_of(MIB) => format!("{} MiB", count / MIB),
        _ if count.is_multiple_of(KIB) => format!("{} KiB", count / KIB),
        _ => format!("{} bytes", number(count)),
    }
}

/// A number with its thousands set apart.
pub(crate) fn number(count: u64) -> String {
    let digits = count.to_string();
    let mut set = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            set.push(',');
        }
        set.push(digit);
    }
    set
}

/// The words of `text` in lines that, each behind `prefix`, are at most a hundred characters long.
/// A longer word has a line to itself.
pub(super) fn wrap(text: &str, prefix: &str) -> String {
    const WIDTH: usize = 100;
    let mut lines = String::new();
    let mut used = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if used == 0 || used + 1 + length > WIDTH {
            if used > 0 {
                lines.push('\n');
            }
            lines.push_str(prefix);
            used = prefix.chars().count();
        } else {
            lines.push(' ');
            used += 1;
        }
        lines.push_str(word);
        used += length;
    }
    lines.push('\n');
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_by_people() {
        assert_eq!(bytes(0), "none");
        assert_eq!(bytes(4096), "4 KiB");
        assert_eq!(bytes(32 << 20), "32 MiB");
        assert_eq!(bytes(1_234_567), "1,234,567 bytes");
        assert_eq!(number(999), "999");
        assert_eq!(number(10_000), "10,000");
    }

    #[test]
    fn lines_are_full_and_none_is_too_long() {
        let text = "word ".repeat(100);
        let wrapped = wrap(&text, "   * ");
        for line in wrapped.lines() {
            assert!(line.starts_with("   * word") && line.len() <= 100, "{line}");
        }
        assert_eq!(wrapped.matches("word").count(), 100);
        assert_eq!(wrapped.lines().next().unwrap().len(), 99);
    }

    #[test]
    fn a_word_is_never_cut() {
        let word = "w".repeat(200);
        assert_eq!(wrap(&format!("a {word} b"), "> "), format!("> a\n> {word}\n> b\n"));
    }
}
