//! Writing the text with the changes made to it.

use std::collections::BTreeMap;

use super::{Change, Node, Replacement, Splice};
use crate::json::scan::skip_space;

impl<'t, 'v> Splice<'t, 'v> {
    pub(super) fn write(&self, out: &mut String) {
        self.write_in(out, &Runs { text: self.object.text(), replaced: &self.replaced });
    }

    fn write_in(&self, out: &mut String, runs: &Runs<'_, 'v>) {
        let text = self.object.text();
        let spans = self.object.spans();
        // Members from this one on are all removed.
        let mut kept = spans.len();
        while kept > 0 && self.is_removed(kept - 1) {
            kept -= 1;
        }

        // The original goes out in runs, cut only where a change is.
        let mut written = 0;
        for (index, change) in self.changes.range(..kept) {
            let span = spans[*index];
            match change {
                Change::Put(node) => {
                    runs.write(&text[written..span.value().start], out);
                    node.write(out, runs);
                    written = span.end();
                }
                // It goes with what separates it from the next, which exists: it is below `kept`.
                Change::Remove => {
                    runs.write(&text[written..span.start()], out);
                    written = spans[index + 1].start();
                }
            }
        }
        // Where the last kept member, or the opening brace, ends.
        let end_of_kept = match kept.checked_sub(1) {
            Some(last) => spans[last].end(),
            None => skip_space(text.as_bytes(), 0) + 1,
        };
        runs.write(&text[written..end_of_kept], out);
        let added = self.added.iter().filter_map(|(key, node)| Some((key, node.as_ref()?)));
        for (index, (key, node)) in added.enumerate() {
            out.push_str(if kept + index > 0 { ",\"" } else { "\"" });
            out.push_str(key);
            out.push_str("\":");
            node.write(out, runs);
        }
        // Those removed at the end go with what separates them from the last that is kept, or, if
        // none is, with nothing: then there is no separator.
        let mut rest = end_of_kept;
        if let (Some(first), Some(end)) = (spans.get(kept), spans.last()) {
            if kept == 0 {
                out.push_str(&text[rest..first.start()]);
            }
            rest = end.end();
        }
        out.push_str(&text[rest..]);
    }

    /// How long the text will be; a little more, where members are removed.
    pub(super) fn size_hint(&self) -> usize {
        let changed = self.changes.iter().map(|(index, change)| match change {
            Change::Put(node) => {
                node.size_hint().saturating_sub(self.object.spans()[*index].value().len())
            }
            Change::Remove => 0,
        });
        let added = self
            .added
            .iter()
            .filter_map(|(key, node)| Some(key.len() + node.as_ref()?.size_hint() + 4));
        let replaced = self.replaced.values().map(|replaced| replaced.with.text().len());
        let more = changed.chain(added).chain(replaced).sum::<usize>();
        self.object.text().len() + more
    }
}

impl<'v> Node<'_, 'v> {
    fn write(&self, out: &mut String, runs: &Runs<'_, 'v>) {
        match self {
            Node::Value(fragment) => out.push_str(fragment.text()),
            Node::Object(splice) => splice.write_in(out, runs),
        }
    }

    fn size_hint(&self) -> usize {
        match self {
            Node::Value(fragment) => fragment.text().len(),
            Node::Object(splice) => splice.size_hint(),
        }
    }
}

/// The text as a whole, of which runs are written, and the values in it that are replaced.
struct Runs<'r, 'v> {
    text: &'r str,
    replaced: &'r BTreeMap<usize, Replacement<'v>>,
}

impl Runs<'_, '_> {
    /// Writes a run with the replacements in it.
    fn write(&self, run: &str, out: &mut String) {
        // What was put in is no part of the text, and has no place in it.
        let start = (run.as_ptr() as usize).wrapping_sub(self.text.as_ptr() as usize);
        let end = start.saturating_add(run.len());
        if self.replaced.is_empty() || end > self.text.len() {
            return out.push_str(run);
        }
        let mut written = start;
        for (&begin, replaced) in self.replaced.range(start..end) {
            // What stands in a value that is replaced itself is gone; and a value that reaches beyond
            // the run has been taken apart by another change.
            if begin >= written && replaced.end <= end {
                out.push_str(&run[written - start..begin - start]);
                out.push_str(replaced.with.text());
                written = replaced.end;
            }
        }
        out.push_str(&run[written - start..]);
    }
}
