//! The attachments in the scope of one process.

use super::Attachment;
use crate::limits::{SCOPE_ATTACHMENTS, SCOPE_ATTACHMENTS_BYTES};

/// Attachments, each once, in the order in which they were last attached. The oldest make room.
#[derive(Clone, Debug, Default)]
pub(super) struct Attachments {
    list: Vec<Attachment>,
    bytes: usize,
}

impl Attachments {
    /// Attaches one. One that is the same counts as attached now. Says whether anything changed.
    pub(super) fn add(&mut self, attachment: Attachment) -> bool {
        if self.list.last() == Some(&attachment) {
            return false;
        }
        if let Some(same) = self.list.iter().position(|other| *other == attachment) {
            self.list[same..].rotate_left(1);
            return true;
        }
        self.bytes += attachment.size();
        self.list.push(attachment);
        while self.list.len() > SCOPE_ATTACHMENTS || self.bytes > SCOPE_ATTACHMENTS_BYTES {
            self.bytes -= self.list.remove(0).size();
        }
        true
    }

    /// Detaches all. Says whether there were any.
    pub(super) fn clear(&mut self) -> bool {
        !std::mem::take(self).list.is_empty()
    }

    pub(super) fn as_slice(&self) -> &[Attachment] {
        &self.list
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::SCOPE_ATTACHMENT_BYTES;

    fn names(attachments: &Attachments) -> Vec<&str> {
        let list = attachments.as_slice().iter();
        list.map(Attachment::filename).collect()
    }

    fn attachment(name: &str, bytes: usize) -> Attachment {
        Attachment::new(name, vec![0; bytes]).unwrap()
    }

    #[test]
    fn each_is_there_once_and_the_one_attached_last_is_last() {
        let mut attachments = Attachments::default();
        for (name, is_change) in [("a", true), ("b", true), ("a", true), ("a", false)] {
            assert_eq!(attachments.add(attachment(name, 1)), is_change);
        }
        assert_eq!(names(&attachments), ["b", "a"]);
        assert!(attachments.add(attachment("a", 2)), "other bytes");
        assert_eq!(names(&attachments), ["b", "a", "a"]);
        assert!(attachments.clear() && !attachments.clear());
        assert_eq!(attachments.bytes(), 0);
    }

    #[test]
    fn the_oldest_make_room() {
        let mut attachments = Attachments::default();
        for n in 0..=SCOPE_ATTACHMENTS {
            attachments.add(attachment(&n.to_string(), 1));
        }
        assert_eq!(attachments.as_slice().len(), SCOPE_ATTACHMENTS);
        assert_eq!(names(&attachments)[0], "1");

        let mut attachments = Attachments::default();
        for name in ["a", "b", "c", "d", "e"] {
            attachments.add(attachment(name, SCOPE_ATTACHMENT_BYTES));
        }
        assert_eq!(names(&attachments), ["c", "d", "e"]);
        assert!(attachments.bytes() <= SCOPE_ATTACHMENTS_BYTES);
    }
}
