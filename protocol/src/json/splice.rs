//! Changes to a JSON object that leave every other byte as it was.

use std::borrow::Cow;
use std::fmt;

use super::scan::skip_space;
use super::{Fragment, Object, Value, text};
use crate::error::excerpt;
use crate::limits::JSON_DEPTH;

/// Changes to an [`Object`], collected and then written in one go.
///
/// A path is a list of keys: `&["release"]` is a member of the object itself,
/// `&["tags", "event.process"]` one of the object that is its member `tags`. Changes take effect one
/// after the other, as if the text were written and read again in between; so a change can name what
/// a former one has put there.
///
/// What no change names is written as it was read, white space and number formats included. New
/// members come behind the last one. Where a key stands twice, the last one is read and replaced;
/// [`remove`](Self::remove) takes out all of them, since otherwise a former one would come back.
///
/// ```
/// use guardhouse_protocol::json::{Object, Precedence, Splice};
///
/// let mut splice = Splice::new(Object::parse(br#"{ "a": 1.0, "user": {"id": 7} }"#)?);
/// splice.set(&["a"], 2_u64)?;
/// splice.insert(&["user", "id"], "another")?;
/// splice.remove(&["nothing"])?;
/// let more = Object::parse(br#"{"id":8,"name":"Z"}"#)?;
/// splice.merge(&["user"], &more, Precedence::Present)?;
/// assert_eq!(splice.finish(), r#"{ "a": 2, "user": {"id": 7,"name":"Z"} }"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Splice<'a> {
    object: Object<'a>,
    /// Changes to members of the object, by their index and in its order.
    changes: Vec<(usize, Change<'a>)>,
    /// Members behind those of the object, with the canonical bodies of their keys.
    added: Vec<(Box<str>, Node<'a>)>,
}

#[derive(Clone, Debug)]
enum Change<'a> {
    Replace(Node<'a>),
    Remove,
}

/// What stands in place of a value.
#[derive(Clone, Debug)]
enum Node<'a> {
    Value(Fragment<'a>),
    Object(Box<Splice<'a>>),
}

/// Where a member is that a change names.
enum Place {
    Original(usize),
    Added(usize),
}

/// What is at a place.
enum Look<'s, 'a> {
    Value(Value<'s>),
    Object(&'s Splice<'a>),
}

/// What a member is for a change that goes through it.
enum Child<'s, 'a> {
    Object(&'s mut Splice<'a>),
    /// Not there, or `null`.
    Missing,
    Other,
}

/// Who wins where both sides of a [merge](Splice::merge) have a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precedence {
    /// What is there already stays.
    Present,
    /// What is merged in replaces it.
    Incoming,
}

impl<'a> Splice<'a> {
    /// No changes yet.
    pub fn new(object: Object<'a>) -> Self {
        Self {
            object,
            changes: Vec::new(),
            added: Vec::new(),
        }
    }

    /// Whether any change was made.
    pub fn is_changed(&self) -> bool {
        !self.changes.is_empty() || !self.added.is_empty()
    }

    /// The value at a path as the changes so far leave it.
    pub fn get(&self, path: &[&str]) -> Option<Cow<'_, str>> {
        let Some((key, rest)) = path.split_first() else {
            return Some(Cow::Owned(self.finish()));
        };
        let value = match self.look(&self.find(&text::canonical_of(key))?) {
            Look::Object(splice) => return splice.get(rest),
            Look::Value(value) => value,
        };
        rest.iter()
            .try_fold(value, |value, key| value.as_object()?.get(key))
            .map(|value| Cow::Borrowed(value.text()))
    }

    /// Puts `value` at the path, in place of what is there, and makes the objects on the way that
    /// are missing or `null`.
    pub fn set(
        &mut self,
        path: &[&str],
        value: impl Into<Fragment<'a>>,
    ) -> Result<(), SpliceError> {
        let value = value.into();
        if path.len() + value.depth() > JSON_DEPTH {
            return Err(SpliceError::too_deep(path));
        }
        let (key, parents) = split_last(path)?;
        self.open_or_make(path, 0, parents)?
            .put(text::canonical_of(key), Node::Value(value));
        Ok(())
    }

    /// Puts `value` at the path if nothing, or `null`, is there. Says whether it did.
    pub fn insert(
        &mut self,
        path: &[&str],
        value: impl Into<Fragment<'a>>,
    ) -> Result<bool, SpliceError> {
        let (key, parents) = split_last(path)?;
        let is_free = match self.open(path, 0, parents)? {
            Some(parent) => parent.is_free(&text::canonical_of(key)),
            None => true,
        };
        if is_free {
            self.set(path, value)?;
        }
        Ok(is_free)
    }

    /// Takes the member at the path out, all of them if its key stands twice. Says whether there
    /// was one.
    pub fn remove(&mut self, path: &[&str]) -> Result<bool, SpliceError> {
        let (key, parents) = split_last(path)?;
        let parent = self.open(path, 0, parents)?;
        Ok(parent.is_some_and(|parent| parent.take_out(&text::canonical_of(key))))
    }

    /// Merges the members of `other` into the object at the path, which is made if it is missing or
    /// `null`. An empty path is the object itself. `null` counts as missing where
    /// [`Precedence::Present`] asks.
    pub fn merge(
        &mut self,
        path: &[&str],
        other: &Object<'a>,
        precedence: Precedence,
    ) -> Result<(), SpliceError> {
        if other.is_empty() {
            return Ok(());
        }
        if path.len() + other.depth() > JSON_DEPTH {
            return Err(SpliceError::too_deep(path));
        }
        let target = self.open_or_make(path, 0, path.len())?;
        // Asked before anything is put there: where `other` has a key twice, its last one counts.
        let may_put: Vec<bool> = other
            .members()
            .map(|member| match precedence {
                Precedence::Incoming => true,
                Precedence::Present => target.is_free(&text::canonical(member.raw_key())),
            })
            .collect();
        for (member, _) in other.members().zip(may_put).filter(|(_, may_put)| *may_put) {
            let key = text::canonical(member.raw_key());
            target.put(key, Node::Value(member.value().into()));
        }
        Ok(())
    }

    /// Writes the object with all changes.
    pub fn finish(&self) -> String {
        let mut out = String::with_capacity(self.size_hint());
        self.write(&mut out);
        out
    }

    /// The object at the end of the first `to` keys of the path, of which `from` are behind us;
    /// nothing if it, or one on the way, is missing or `null`.
    fn open(
        &mut self,
        path: &[&str],
        from: usize,
        to: usize,
    ) -> Result<Option<&mut Self>, SpliceError> {
        if from == to {
            return Ok(Some(self));
        }
        match self.child(&text::canonical_of(path[from])) {
            Child::Object(child) => child.open(path, from + 1, to),
            Child::Missing => Ok(None),
            Child::Other => Err(SpliceError::not_an_object(&path[..=from])),
        }
    }

    /// The same, but what is missing is made.
    fn open_or_make(
        &mut self,
        path: &[&str],
        from: usize,
        to: usize,
    ) -> Result<&mut Self, SpliceError> {
        if from == to {
            return Ok(self);
        }
        let key = text::canonical_of(path[from]);
        if let Child::Missing = self.child(&key) {
            self.put(
                key.clone(),
                Node::Object(Box::new(Self::new(Object::EMPTY))),
            );
        }
        match self.child(&key) {
            Child::Object(child) => child.open_or_make(path, from + 1, to),
            Child::Missing | Child::Other => Err(SpliceError::not_an_object(&path[..=from])),
        }
    }

    /// The member `key`, opened for changes if it is an object.
    fn child(&mut self, key: &str) -> Child<'_, 'a> {
        let Some(place) = self.find(key) else {
            return Child::Missing;
        };
        let opened = match (self.look(&place), &place) {
            (Look::Object(_), _) => None,
            (Look::Value(value), _) if value.is_null() => return Child::Missing,
            // The original lives long enough to be borrowed from.
            (Look::Value(_), Place::Original(index)) if self.change_of(*index).is_none() => {
                match self.object.value(*index).as_object() {
                    Some(object) => Some(Self::new(object)),
                    None => return Child::Other,
                }
            }
            (Look::Value(value), _) => match value.as_object() {
                Some(object) => Some(Self::detached(&object)),
                None => return Child::Other,
            },
        };
        if let Some(opened) = opened {
            self.put_at(&place, Node::Object(Box::new(opened)));
        }
        match self.node_mut(&place) {
            Some(Node::Object(splice)) => Child::Object(splice),
            _ => Child::Other,
        }
    }

    /// The members of an object that does not live long enough, as additions to nothing. It is one
    /// that a former change has put here, so this is rare and small.
    fn detached(object: &Object<'_>) -> Self {
        let mut splice = Self::new(Object::EMPTY);
        for member in object.members() {
            let value = Fragment::from(member.value().to_json());
            splice.put(text::canonical(member.raw_key()), Node::Value(value));
        }
        splice
    }

    /// Whether nothing but perhaps `null` is at `key`.
    fn is_free(&self, key: &str) -> bool {
        self.find(key).is_none_or(|place| match self.look(&place) {
            Look::Object(_) => false,
            Look::Value(value) => value.is_null(),
        })
    }

    fn put(&mut self, key: Cow<'_, str>, node: Node<'a>) {
        match self.find(&key) {
            Some(place) => self.put_at(&place, node),
            None => self.added.push((key.into_owned().into(), node)),
        }
    }

    fn take_out(&mut self, key: &str) -> bool {
        let before = self.added.len();
        self.added.retain(|(added, _)| **added != *key);
        let mut found = self.added.len() < before;
        for index in 0..self.object.len() {
            if self.object.is_key(index, key) && !self.is_removed(index) {
                self.change(index, Change::Remove);
                found = true;
            }
        }
        found
    }

    /// Where the member is that counts for the key.
    fn find(&self, key: &str) -> Option<Place> {
        if let Some(index) = self.added.iter().position(|(added, _)| **added == *key) {
            return Some(Place::Added(index));
        }
        // If the last of several is gone, so are all.
        self.object
            .find(key)
            .filter(|&index| !self.is_removed(index))
            .map(Place::Original)
    }

    /// What is at the place as the changes leave it.
    fn look(&self, place: &Place) -> Look<'_, 'a> {
        let node = match *place {
            Place::Added(index) => &self.added[index].1,
            Place::Original(index) => match self.change_of(index) {
                Some(Change::Replace(node)) => node,
                _ => return Look::Value(self.object.value(index)),
            },
        };
        match node {
            Node::Value(fragment) => Look::Value(fragment.as_value()),
            Node::Object(splice) => Look::Object(splice),
        }
    }

    fn node_mut(&mut self, place: &Place) -> Option<&mut Node<'a>> {
        match *place {
            Place::Added(index) => Some(&mut self.added[index].1),
            Place::Original(index) => {
                let found = self.position(index).ok()?;
                match &mut self.changes[found].1 {
                    Change::Replace(node) => Some(node),
                    Change::Remove => None,
                }
            }
        }
    }

    fn put_at(&mut self, place: &Place, node: Node<'a>) {
        match *place {
            Place::Added(index) => self.added[index].1 = node,
            Place::Original(index) => self.change(index, Change::Replace(node)),
        }
    }

    fn change(&mut self, index: usize, change: Change<'a>) {
        match self.position(index) {
            Ok(found) => self.changes[found].1 = change,
            Err(free) => self.changes.insert(free, (index, change)),
        }
    }

    fn change_of(&self, index: usize) -> Option<&Change<'a>> {
        self.position(index)
            .ok()
            .map(|found| &self.changes[found].1)
    }

    fn is_removed(&self, index: usize) -> bool {
        matches!(self.change_of(index), Some(Change::Remove))
    }

    /// Where in `changes` the change of a member is, or would be.
    fn position(&self, index: usize) -> Result<usize, usize> {
        self.changes
            .binary_search_by_key(&index, |(index, _)| *index)
    }

    fn write(&self, out: &mut String) {
        let text = self.object.text();
        let spans = self.object.spans();
        // Members from this one on are all removed.
        let mut kept = spans.len();
        while kept > 0 && self.is_removed(kept - 1) {
            kept -= 1;
        }

        // The original goes out in runs, cut only where a change is.
        let mut written = 0;
        for (index, change) in self.changes.iter().take_while(|(index, _)| *index < kept) {
            let span = spans[*index];
            match change {
                Change::Replace(node) => {
                    out.push_str(&text[written..span.value().start]);
                    node.write(out);
                    written = span.end();
                }
                // It goes with what separates it from the next, which exists: it is below `kept`.
                Change::Remove => {
                    out.push_str(&text[written..span.start()]);
                    written = spans[index + 1].start();
                }
            }
        }
        // Where the last kept member, or the opening brace, ends.
        let end_of_kept = match kept.checked_sub(1) {
            Some(last) => spans[last].end(),
            None => skip_space(text.as_bytes(), 0) + 1,
        };
        out.push_str(&text[written..end_of_kept]);
        for (index, (key, node)) in self.added.iter().enumerate() {
            out.push_str(if kept + index > 0 { ",\"" } else { "\"" });
            out.push_str(key);
            out.push_str("\":");
            node.write(out);
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

    /// How long the text will be, or a little less.
    fn size_hint(&self) -> usize {
        let changed = self.changes.iter().map(|(_, change)| match change {
            Change::Replace(node) => node.size_hint(),
            Change::Remove => 0,
        });
        let added = self
            .added
            .iter()
            .map(|(key, node)| key.len() + node.size_hint() + 4);
        self.object.text().len() + changed.sum::<usize>() + added.sum::<usize>()
    }
}

impl Node<'_> {
    fn write(&self, out: &mut String) {
        match self {
            Node::Value(fragment) => out.push_str(fragment.text()),
            Node::Object(splice) => splice.write(out),
        }
    }

    fn size_hint(&self) -> usize {
        match self {
            Node::Value(fragment) => fragment.text().len(),
            Node::Object(splice) => splice.size_hint(),
        }
    }
}

/// The last key, and how many are before it.
fn split_last<'k>(path: &[&'k str]) -> Result<(&'k str, usize), SpliceError> {
    match path.split_last() {
        Some((key, parents)) => Ok((key, parents.len())),
        None => Err(SpliceError {
            path: Box::from([]),
            fault: Fault::EmptyPath,
        }),
    }
}

/// Why a change cannot be made. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpliceError {
    path: Box<[Box<str>]>,
    fault: Fault,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// The caller named no member.
    EmptyPath,
    /// The text has something else where the path needs an object.
    NotAnObject,
    /// The result would be nested deeper than anybody reads.
    TooDeep,
}

impl SpliceError {
    fn not_an_object(path: &[&str]) -> Self {
        Self {
            path: owned(path),
            fault: Fault::NotAnObject,
        }
    }

    fn too_deep(path: &[&str]) -> Self {
        Self {
            path: owned(path),
            fault: Fault::TooDeep,
        }
    }

    /// Whether the path leads through something that is not an object: the text is of another shape
    /// than the caller expects.
    pub fn is_not_an_object(&self) -> bool {
        self.fault == Fault::NotAnObject
    }
}

fn owned(path: &[&str]) -> Box<[Box<str>]> {
    path.iter().map(|key| Box::from(excerpt(key))).collect()
}

impl fmt::Display for SpliceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.join(".");
        match self.fault {
            Fault::EmptyPath => f.write_str("a change to JSON has to name a member"),
            Fault::NotAnObject => {
                write!(
                    f,
                    "cannot change what is inside `{path}`: it is not an object"
                )
            }
            Fault::TooDeep => write!(
                f,
                "cannot put a value at `{path}`: it would be nested deeper than {JSON_DEPTH} levels"
            ),
        }
    }
}

impl std::error::Error for SpliceError {}

#[cfg(test)]
mod tests {
    use super::super::Json;
    use super::*;

    fn splice(text: &str) -> Splice<'_> {
        Splice::new(Object::parse(text.as_bytes()).unwrap())
    }

    #[test]
    fn without_changes_every_byte_stays() {
        for text in [" { } ", r#"{"a" :1.0e0,"a":[ ],"\u0062":"\ud83d"}"#] {
            assert_eq!(splice(text).finish(), text);
        }
    }

    #[test]
    fn a_value_is_replaced_where_it_stands() {
        let mut s = splice(r#"{ "a" : 1 , "b":2 }"#);
        s.set(&["a"], "x").unwrap();
        assert_eq!(s.finish(), r#"{ "a" : "x" , "b":2 }"#);
        s.set(&["a"], true).unwrap();
        s.set(&["b"], Json::null()).unwrap();
        assert_eq!(s.finish(), r#"{ "a" : true , "b":null }"#);
    }

    #[test]
    fn new_members_come_last() {
        for (text, expected) in [
            ("{}", r#"{"a":1,"b":2}"#),
            ("{ }", r#"{"a":1,"b":2 }"#),
            (r#"{"c":3}"#, r#"{"c":3,"a":1,"b":2}"#),
            ("{ \"c\": 3\n}\n", "{ \"c\": 3,\"a\":1,\"b\":2\n}\n"),
        ] {
            let mut s = splice(text);
            s.set(&["a"], 1_u64).unwrap();
            s.set(&["b"], 2_u64).unwrap();
            assert_eq!(s.finish(), expected);
        }
    }

    #[test]
    fn members_go_with_what_separates_them() {
        let text = r#"{ "a":1, "b":2 , "c":3 }"#;
        for (keys, expected) in [
            (&["a"][..], r#"{ "b":2 , "c":3 }"#),
            (&["b"], r#"{ "a":1, "c":3 }"#),
            (&["c"], r#"{ "a":1, "b":2 }"#),
            (&["a", "b"], r#"{ "c":3 }"#),
            (&["b", "c"], r#"{ "a":1 }"#),
            (&["a", "c"], r#"{ "b":2 }"#),
            (&["c", "a", "b"], r#"{  }"#),
        ] {
            let mut s = splice(text);
            for key in keys {
                assert!(s.remove(&[key]).unwrap());
                assert!(!s.remove(&[key]).unwrap());
            }
            assert_eq!(s.finish(), expected);
            s.set(&["n"], 0_u64).unwrap();
            Object::parse(s.finish().as_bytes()).unwrap();
        }
    }

    #[test]
    fn of_several_the_last_is_replaced_and_all_are_removed() {
        let text = r#"{"a":1,"b":2,"\u0061":3}"#;
        let mut s = splice(text);
        s.set(&["a"], 4_u64).unwrap();
        assert_eq!(s.finish(), r#"{"a":1,"b":2,"\u0061":4}"#);
        s.remove(&["a"]).unwrap();
        assert_eq!(s.finish(), r#"{"b":2}"#);
        s.set(&["a"], 5_u64).unwrap();
        assert_eq!(s.finish(), r#"{"b":2,"a":5}"#);
    }

    #[test]
    fn paths_open_and_make_objects() {
        let mut s = splice(r#"{"tags":{ "a":"1" },"contexts":null}"#);
        s.set(&["tags", "b"], "2").unwrap();
        s.set(&["contexts", "device", "name"], "x").unwrap();
        s.set(&["new", "deep"], 1_u64).unwrap();
        assert_eq!(
            s.finish(),
            r#"{"tags":{ "a":"1","b":"2" },"contexts":{"device":{"name":"x"}},"new":{"deep":1}}"#
        );
        assert_eq!(
            s.get(&["contexts", "device", "name"]).as_deref(),
            Some(r#""x""#)
        );
        assert_eq!(s.get(&["tags"]).as_deref(), Some(r#"{ "a":"1","b":"2" }"#));
        assert_eq!(s.get(&["tags", "c"]), None);
    }

    #[test]
    fn changes_see_the_changes_before_them() {
        let object = Json::parse(br#"{"x":1,"y":{"z":2}}"#).unwrap();
        let mut s = splice(r#"{"a":{"b":0}}"#);
        s.set(&["a"], &object).unwrap();
        s.set(&["a", "y", "z"], 3_u64).unwrap();
        s.set(&["n"], &object).unwrap();
        s.remove(&["n", "x"]).unwrap();
        assert_eq!(s.finish(), r#"{"a":{"x":1,"y":{"z":3}},"n":{"y":{"z":2}}}"#);
        s.set(&["a"], 0_u64).unwrap();
        assert_eq!(s.finish(), r#"{"a":0,"n":{"y":{"z":2}}}"#);
    }

    #[test]
    fn insert_leaves_what_is_there() {
        let mut s = splice(r#"{"a":1,"n":null}"#);
        assert!(!s.insert(&["a"], 2_u64).unwrap());
        assert!(s.insert(&["n"], 3_u64).unwrap());
        assert!(s.insert(&["o", "p"], 4_u64).unwrap());
        assert!(!s.insert(&["o", "p"], 5_u64).unwrap());
        assert_eq!(s.finish(), r#"{"a":1,"n":3,"o":{"p":4}}"#);
    }

    #[test]
    fn a_merge_asks_who_wins() {
        let text = r#"{"u":{"id":1,"name":null,"\ud83d":1}}"#;
        let other = Object::parse(br#"{"id":2,"name":"Z","x":true,"\uD83D":2}"#).unwrap();
        for (precedence, expected) in [
            (
                Precedence::Present,
                r#"{"u":{"id":1,"name":"Z","\ud83d":1,"x":true}}"#,
            ),
            (
                Precedence::Incoming,
                r#"{"u":{"id":2,"name":"Z","\ud83d":2,"x":true}}"#,
            ),
        ] {
            let mut s = splice(text);
            s.merge(&["u"], &other, precedence).unwrap();
            assert_eq!(s.finish(), expected);
        }
        let twice = Object::parse(br#"{"x":1,"x":2}"#).unwrap();
        for precedence in [Precedence::Present, Precedence::Incoming] {
            let mut s = splice("{}");
            s.merge(&[], &twice, precedence).unwrap();
            assert_eq!(s.finish(), r#"{"x":2}"#);
        }
        let mut s = splice("{}");
        s.merge(&["n"], &other, Precedence::Present).unwrap();
        s.merge(
            &[],
            &Object::parse(b"{\"m\":1}").unwrap(),
            Precedence::Present,
        )
        .unwrap();
        assert_eq!(
            s.finish(),
            r#"{"n":{"id":2,"name":"Z","x":true,"\ud83d":2},"m":1}"#
        );
    }

    #[test]
    fn what_is_no_object_is_left_alone_and_named() {
        let text = r#"{"tags":[["a","1"]],"a":{"b":"c"}}"#;
        let mut s = splice(text);
        for (path, named) in [
            (&["tags", "x"][..], "tags"),
            (&["a", "b", "c"], "a.b"),
            (&["a", "b", "c", "d"], "a.b"),
        ] {
            for error in [
                s.set(path, true).unwrap_err(),
                s.insert(path, true).unwrap_err(),
                s.remove(path).unwrap_err(),
            ] {
                assert!(error.is_not_an_object());
                assert_eq!(
                    error.to_string(),
                    format!("cannot change what is inside `{named}`: it is not an object")
                );
            }
        }
        let other = Object::parse(b"{\"m\":1}").unwrap();
        let error = s
            .merge(&["tags"], &other, Precedence::Incoming)
            .unwrap_err();
        assert!(error.to_string().contains("`tags`"), "{error}");
        let error = s
            .merge(&["a", "b"], &other, Precedence::Incoming)
            .unwrap_err();
        assert!(error.to_string().contains("`a.b`"), "{error}");
        assert!(s.set(&[], true).is_err());
        assert_eq!(s.finish(), text);
    }

    #[test]
    fn the_result_is_never_too_deep_to_be_read() {
        let nested = "[".repeat(JSON_DEPTH - 1) + &"]".repeat(JSON_DEPTH - 1);
        let nested = Json::parse(nested.as_bytes()).unwrap();
        let mut s = splice("{}");
        assert!(s.set(&["a", "b"], &nested).is_err());
        s.set(&["a"], &nested).unwrap();
        Object::parse(s.finish().as_bytes()).unwrap();
    }
}
