//! The counts of what was lost, on disk until they are reported.
//!
//! Counting survives a kill at any point, and counts once. A file that stands for losses is either
//! named in the ledger, and then its counts are in there and it is only to be deleted, or it is not,
//! and then it is still what it was. Both change at once, since the ledger is written as a whole.
//! Such files are envelopes that are given up, and ledgers of runs that were adopted.

use guardhouse_protocol::Timestamp;
use guardhouse_protocol::json::{Json, Object, ObjectWriter, Value};

use crate::losses::Losses;

/// So many bytes the counts of every category and reason have, and the names of the files that are
/// given up at once. The slots are whole pages with it.
pub(super) const CAPACITY: usize = 7 * 4096 - 24;

/// What the file holds.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    /// What was lost and is not reported.
    pub(super) losses: Losses,
    /// Files whose counts are in there and that may not be deleted yet.
    pub(super) included: Vec<String>,
}

impl Ledger {
    pub(super) fn is_empty(&self) -> bool {
        self.losses.is_empty() && self.included.is_empty()
    }

    pub(super) fn to_json(&self) -> Json {
        let mut ledger = ObjectWriter::new();
        ledger.member("losses", self.losses.to_json(Timestamp::EPOCH));
        ledger.member("included", Json::array(self.included.iter().map(String::as_str)));
        ledger.finish()
    }

    /// Nothing if it cannot be read, as after a power cut.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let object = Object::parse(bytes).ok()?;
        let mut losses = Losses::new();
        losses.absorb(&object.get("losses")?.as_object()?);
        let included = object.get("included")?.elements()?.filter_map(Value::as_str);
        Some(Self { losses, included: included.map(String::from).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::losses::{Category, Reason};

    #[test]
    fn what_is_written_is_read_again() {
        let mut losses = Losses::new();
        losses.count(Category::Error, Reason::CacheOverflow, 3);
        let ledger = Ledger { losses, included: vec!["a.envelope".to_owned(), "b".to_owned()] };
        let read = Ledger::parse(ledger.to_json().text().as_bytes()).unwrap();
        assert_eq!(read.losses, ledger.losses);
        assert_eq!(read.included, ledger.included);
        assert!(!read.is_empty());
    }

    #[test]
    fn everything_that_can_be_counted_fits_beside_what_is_given_up_at_once() {
        let mut ledger = Ledger::default();
        for &category in Category::ALL {
            for &reason in Reason::ALL {
                ledger.losses.count(category, reason, 1_000_000_000);
            }
        }
        ledger.included = vec!["x".repeat(255); 16];
        let length = ledger.to_json().text().len();
        assert!(length <= CAPACITY, "{length}");
    }

    #[test]
    fn what_cannot_be_read_is_none() {
        for bytes in [&b""[..], b"\0\0\0\0", b"{\"losses\":{}", b"{}"] {
            assert!(Ledger::parse(bytes).is_none());
        }
    }
}
