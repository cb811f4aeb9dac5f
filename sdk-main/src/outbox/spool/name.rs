//! What the name of a file says, so that nothing has to be opened to know it.
//!
//! An envelope's file is called `{created}-{run}-{mark}-{priority}-{length}-{checksum}-{categories}`
//! and then its state. Sorted by name, files are in the order in which they were created. A name is
//! never given twice: the run's number is random, and marks are not used again within a run.

use std::fmt;
use std::time::{Duration, SystemTime};

use guardhouse_protocol::{Envelope, RunId};

use crate::losses::{Category, category_of};
use crate::outbox::Priority;

/// What tells the envelopes of a run apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// The number under which it was put.
    Number(u64),
    /// The name that its author gave it.
    Key(Key),
}

/// No envelope is longer: what a name claims beyond that is not ours.
const LONGEST: u64 = 2 * guardhouse_protocol::limits::ENVELOPE_BYTES as u64;

/// A name for what there is once in a run: lower-case letters, digits and underscores, at most 40.
///
/// ```
/// use guardhouse_main::outbox::spool::Key;
///
/// assert_eq!(Key::new("session").unwrap().as_str(), "session");
/// assert_eq!(Key::new("../session"), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key(String);

impl Key {
    /// Checks a name.
    pub fn new(key: &str) -> Option<Self> {
        let is_good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        ((1..=40).contains(&key.len()) && key.bytes().all(is_good)).then(|| Self(key.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Milliseconds since 1970, as names hold them.
pub(super) type Millis = u64;

/// The last moment that a name has digits for: in the year 2286.
const LAST: Millis = 9_999_999_999_999;

/// Most categories that a name holds. Real envelopes have up to four.
const CATEGORIES: usize = 6;

/// What is known of an envelope without opening its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) created: Millis,
    pub(super) run: RunId,
    pub(super) mark: Mark,
    pub(super) priority: Priority,
    pub(super) length: u64,
    pub(super) checksum: u32,
    /// What it counts as, the most telling first.
    pub(super) categories: Vec<Category>,
}

/// What a file of a run's folder is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// An envelope to be sent.
    Envelope(Name),
    /// An envelope that was found damaged and may not be mended yet.
    Broken(Name),
    /// What is left of a damaged envelope, for people to look at.
    Corrupt,
    /// Something that was being written.
    Temp,
    /// A stream that was being written.
    Stream,
    /// Counts of what was lost: this run's, or those of one that was adopted.
    Ledger,
    /// What another part of main keeps under this name.
    Side(String),
    /// What this run has captured and could not merge.
    Unmerged(RunId),
    /// Nothing of ours.
    Unknown,
}

/// The ledger of a run.
pub(super) const LEDGER: &str = "losses";
/// How the name of an adopted ledger ends; before it stands whose it was.
pub(super) const ADOPTED_LEDGER: &str = ".losses";
const SIDE: &str = "side-";
pub(super) const TEMP: &str = ".tmp";
pub(super) const CORRUPT: &str = ".corrupt";
const STREAM: &str = ".stream";
const ENVELOPE: &str = ".envelope";
const BROKEN: &str = ".broken";
const KEY: &str = "k_";
const UNMERGED: &str = ".unmerged";

/// The file with what a run could not merge.
pub(super) fn unmerged(run: RunId) -> String {
    format!("{run}{UNMERGED}")
}

impl Name {
    /// The name of an envelope that waits to be sent.
    pub(super) fn envelope(&self) -> String {
        format!("{self}{ENVELOPE}")
    }

    /// The name of one that is damaged.
    pub(super) fn broken(&self) -> String {
        format!("{self}{BROKEN}")
    }

    /// The name of one that is set aside.
    pub(super) fn corrupt(&self) -> String {
        format!("{self}{CORRUPT}")
    }

    /// The name while it is being written, when length and checksum are not known yet.
    pub(super) fn temp(run: RunId, mark: &Mark) -> String {
        format!("{run}-{mark}{TEMP}")
    }

    /// The name of a stream as long as it grows.
    pub(super) fn stream(run: RunId, mark: &Mark) -> String {
        format!("{run}-{mark}{STREAM}")
    }

    /// Whether it holds attachments and nothing that they are attached to.
    pub(super) fn is_only_attached(&self) -> bool {
        self.categories == [Category::Attachment]
    }

    /// Whether both are the same envelope, be it that one was mended.
    pub(super) fn is_same_as(&self, other: &Self) -> bool {
        self.run == other.run && self.mark == other.mark
    }

    fn parse(stem: &str) -> Option<Self> {
        let mut parts = stem.split('-');
        let name = Self {
            created: parts.next()?.parse().ok().filter(|created| *created <= LAST)?,
            run: parts.next()?.parse().ok()?,
            mark: Mark::parse(parts.next()?)?,
            priority: priority(parts.next()?)?,
            length: parts.next()?.parse().ok().filter(|length| *length <= LONGEST)?,
            checksum: u32::from_str_radix(parts.next()?, 16).ok()?,
            // A category that a later version wrote is not known to this one.
            categories: parts.next()?.split('+').filter_map(Category::from_name).collect(),
        };
        parts.next().is_none().then_some(name)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { created, run, mark, priority, length, checksum, categories } = self;
        let letter = letter(*priority);
        write!(f, "{created:013}-{run}-{mark}-{letter}-{length}-{checksum:08x}-")?;
        for (index, category) in categories.iter().enumerate() {
            let plus = if index > 0 { "+" } else { "" };
            write!(f, "{plus}{category}")?;
        }
        Ok(())
    }
}

impl Mark {
    fn parse(text: &str) -> Option<Self> {
        match text.strip_prefix(KEY) {
            Some(key) => Key::new(key).map(Self::Key),
            None => u64::from_str_radix(text, 16).ok().map(Self::Number),
        }
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number:08x}"),
            Self::Key(key) => write!(f, "{KEY}{}", key.as_str()),
        }
    }
}

const fn letter(priority: Priority) -> char {
    match priority {
        Priority::Crash => 'c',
        Priority::Session => 's',
        Priority::Normal => 'n',
    }
}

fn priority(text: &str) -> Option<Priority> {
    Priority::ALL.into_iter().find(|priority| text.chars().eq([letter(*priority)]))
}

/// What a file is, by its name.
pub(super) fn kind(file: &str) -> Kind {
    if let Some(name) = file.strip_prefix(SIDE) {
        return Kind::Side(name.to_owned());
    }
    let envelope = |stem: &str, make: fn(Name) -> Kind| Name::parse(stem).map(make);
    let kind = match file {
        LEDGER => Some(Kind::Ledger),
        _ if file.ends_with(TEMP) => Some(Kind::Temp),
        _ if file.ends_with(STREAM) => Some(Kind::Stream),
        _ if file.ends_with(CORRUPT) => Some(Kind::Corrupt),
        _ => {
            if let Some(stem) = file.strip_suffix(ENVELOPE) {
                envelope(stem, Kind::Envelope)
            } else if let Some(stem) = file.strip_suffix(BROKEN) {
                envelope(stem, Kind::Broken)
            } else if let Some(run) = file.strip_suffix(ADOPTED_LEDGER) {
                run.parse::<RunId>().ok().map(|_| Kind::Ledger)
            } else if let Some(run) = file.strip_suffix(UNMERGED) {
                run.parse().ok().map(Kind::Unmerged)
            } else {
                None
            }
        }
    };
    kind.unwrap_or(Kind::Unknown)
}

/// The file in which another part keeps what it calls `name`.
pub(super) fn side(name: &str) -> String {
    format!("{SIDE}{name}")
}

/// What an envelope counts as: what makes an event of it first, then the rest as it comes.
pub(super) fn categories(envelope: &Envelope) -> Vec<Category> {
    let mut categories = Vec::new();
    let main = envelope.items().iter().find(|item| item.creates_event());
    for item in main.into_iter().chain(envelope.items()) {
        let category = if item.creates_event() && !item.item_type().creates_event() {
            // Such as a minidump, of which Sentry makes an error.
            Category::Error
        } else {
            category_of(item.item_type())
        };
        if !categories.contains(&category) && categories.len() < CATEGORIES {
            categories.push(category);
        }
    }
    categories
}

/// A time as names hold it.
pub(super) fn millis(time: SystemTime) -> Millis {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(LAST).min(LAST)
}

/// A time from a name.
pub(super) fn time(millis: Millis) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(mark: Mark) -> Name {
        Name {
            created: 1_700_000_000_123,
            run: RunId::new(0xab),
            mark,
            priority: Priority::Crash,
            length: 17,
            checksum: 0xbeef,
            categories: vec![Category::Error, Category::Attachment],
        }
    }

    #[test]
    fn a_name_says_everything_and_is_read_again() {
        let numbered = name(Mark::Number(9));
        assert_eq!(
            numbered.envelope(),
            "1700000000123-00000000000000ab-00000009-c-17-0000beef-error+attachment.envelope"
        );
        let keyed = name(Mark::Key(Key::new("session_end").unwrap()));
        for name in [numbered, keyed, Name { categories: vec![], ..name(Mark::Number(0)) }] {
            assert_eq!(kind(&name.envelope()), Kind::Envelope(name.clone()));
            assert_eq!(kind(&name.broken()), Kind::Broken(name.clone()));
            assert_eq!(kind(&name.corrupt()), Kind::Corrupt);
            assert!(name.envelope().len() < 200, "{name}");
        }
    }

    #[test]
    fn the_longest_name_is_one_that_disks_take() {
        let mut longest = Category::ALL.to_vec();
        longest.sort_by_key(|category| std::cmp::Reverse(category.name().len()));
        longest.truncate(CATEGORIES);
        let mark = Mark::Key(Key::new(&"k".repeat(40)).unwrap());
        let name = Name { length: u64::MAX, categories: longest, ..name(mark) };
        assert!(name.envelope().len() <= 255);
    }

    #[test]
    fn what_is_not_ours_is_left_alone() {
        for file in [
            ".envelope",
            "x.envelope",
            "1-2-3.envelope",
            "1700000000123-00000000000000ab-00000009-x-17-0000beef-error.envelope",
            "1700000000123-00000000000000ab-00000009-c-17-0000beef-error-more.envelope",
            "notes.txt",
            "zz.losses",
        ] {
            assert_eq!(kind(file), Kind::Unknown, "{file}");
        }
        assert_eq!(kind(&side("session")), Kind::Side("session".to_owned()));
        assert_eq!(kind(&Name::stream(RunId::new(0xab), &Mark::Number(9))), Kind::Stream);
        for key in ["", "A", "a-b", "../x", &"k".repeat(41)] {
            assert_eq!(Key::new(key), None, "{key}");
        }
    }

    #[test]
    fn times_that_no_name_can_hold_are_the_nearest_that_it_can() {
        assert_eq!(millis(SystemTime::UNIX_EPOCH - Duration::from_secs(1)), 0);
        let far = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 40);
        assert_eq!(millis(far), LAST);
        assert_eq!(millis(time(1_700_000_000_123)), 1_700_000_000_123);
    }
}
