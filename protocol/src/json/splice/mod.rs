//! Changes to a JSON object that leave every other byte as it was.

mod error;
mod keys;
#[cfg(test)]
mod tests;
mod write;

use std::borrow::Cow;
use std::collections::HashSet;

use super::{Fragment, Json, Object, Value, text};
use crate::limits::JSON_DEPTH;

pub use error::SpliceError;
use keys::Keys;

/// Changes to an [`Object`], collected and then written in one go.
///
/// A path is a list of keys: `&["release"]` is a member of the object itself,
/// `&["tags", "event.process"]` one of the object that is its member `tags`. Changes take effect one
/// after the other, as if the text were written and read again in between; so a change can name what
/// a former one has put there. (Only the white space around members that come and go may differ.) A
/// change that cannot be made changes nothing, and others can still be.
///
/// What no change names is written as it was read, white space and number formats included. New
/// members come behind the last one. Where a key stands twice, the last one is read and replaced;
/// [`remove`](Self::remove) takes out all of them, since otherwise a former one would come back.
///
/// Paths lead through objects only. To change something inside of an array, walk to it with
/// [`Value::elements`] and [`replace`](Self::replace) it.
///
/// The text is borrowed for `'t`, the values that are put in for `'v`.
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
pub struct Splice<'t, 'v> {
    object: Object<'t>,
    /// Changes to members of the object, by their index and in its order.
    changes: Vec<(usize, Change<'t, 'v>)>,
    /// Members behind those of the object, with the canonical bodies of their keys.
    added: Vec<(Box<str>, Node<'t, 'v>)>,
    keys: Keys,
    /// Where in the text which values are replaced, in its order.
    replaced: Vec<Replacement<'v>>,
}

#[derive(Clone, Debug)]
enum Change<'t, 'v> {
    Put(Node<'t, 'v>),
    Remove,
}

/// What stands in place of a value.
#[derive(Clone, Debug)]
enum Node<'t, 'v> {
    Value(Fragment<'v>),
    /// The value that was there, with changes inside of it.
    Object(Box<Splice<'t, 'v>>),
}

#[derive(Clone, Debug)]
struct Replacement<'v> {
    start: usize,
    end: usize,
    with: Fragment<'v>,
}

/// Where a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Original(usize),
    Added(usize),
}

/// What to do at the end of a path.
enum Action<'m, 'v> {
    Set(Fragment<'v>),
    Insert(Fragment<'v>),
    Remove,
    Merge(&'m Object<'v>, Precedence),
}

/// Who wins where both sides of a [merge](Splice::merge) have a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precedence {
    /// What is there already stays.
    Present,
    /// What is merged in replaces it.
    Incoming,
}

impl<'t, 'v> Splice<'t, 'v> {
    /// No changes yet.
    pub fn new(object: Object<'t>) -> Self {
        Self {
            object,
            changes: Vec::new(),
            added: Vec::new(),
            keys: Keys::default(),
            replaced: Vec::new(),
        }
    }

    /// The object without the changes.
    pub fn original(&self) -> &Object<'t> {
        &self.object
    }

    /// Whether any change was made.
    pub fn is_changed(&self) -> bool {
        !self.changes.is_empty() || !self.added.is_empty() || !self.replaced.is_empty()
    }

    /// Puts `value` at the path, in place of what is there, and makes the objects on the way that
    /// are missing or `null`.
    pub fn set(
        &mut self,
        path: &[&str],
        value: impl Into<Fragment<'v>>,
    ) -> Result<(), SpliceError> {
        let value = value.into();
        check(path, &value)?;
        self.act(path, 0, Action::Set(value)).map(drop)
    }

    /// Puts `value` at the path if nothing, or `null`, is there. Says whether it did.
    pub fn insert(
        &mut self,
        path: &[&str],
        value: impl Into<Fragment<'v>>,
    ) -> Result<bool, SpliceError> {
        let value = value.into();
        check(path, &value)?;
        self.act(path, 0, Action::Insert(value))
    }

    /// Takes the member at the path out, all of them if its key stands twice. Says whether there
    /// was one.
    pub fn remove(&mut self, path: &[&str]) -> Result<bool, SpliceError> {
        if path.is_empty() {
            return Err(SpliceError::empty_path());
        }
        self.act(path, 0, Action::Remove)
    }

    /// Merges the members of `other` into the object at the path, which is made if it is missing or
    /// `null`. An empty path is the object itself. `null` counts as missing where
    /// [`Precedence::Present`] asks.
    pub fn merge(
        &mut self,
        path: &[&str],
        other: &Object<'v>,
        precedence: Precedence,
    ) -> Result<(), SpliceError> {
        if other.is_empty() {
            return Ok(());
        }
        if path.len() + other.depth() > JSON_DEPTH {
            return Err(SpliceError::too_deep(path));
        }
        self.act(path, 0, Action::Merge(other, precedence)).map(drop)
    }

    /// Replaces a value that was read from the text itself, wherever it stands: what a path cannot
    /// lead to, such as a member of an object in an array. If another change takes away or takes
    /// apart what the value stands in, that change wins.
    ///
    /// ```
    /// use guardhouse_protocol::json::{Object, Splice};
    ///
    /// let object = Object::parse(br#"{"frames":[{"filename":"/home/me/app/a.js"},{}]}"#)?;
    /// let mut splice = Splice::new(object.clone());
    /// for frame in object.get("frames").into_iter().filter_map(|v| v.elements()).flatten() {
    ///     if let Some(file) = frame.as_object().and_then(|frame| frame.get("filename")) {
    ///         splice.replace(file, "app:///a.js")?;
    ///     }
    /// }
    /// assert_eq!(splice.finish(), r#"{"frames":[{"filename":"app:///a.js"},{}]}"#);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn replace(
        &mut self,
        value: Value<'t>,
        with: impl Into<Fragment<'v>>,
    ) -> Result<(), SpliceError> {
        let (start, end) = self.place_of(value.text()).ok_or_else(SpliceError::foreign)?;
        let with = with.into();
        // How deep the value stands is not known, but the text is no deeper than this around it.
        if self.object.depth() - value.depth().min(self.object.depth()) + with.depth() > JSON_DEPTH
        {
            return Err(SpliceError::too_deep(&[]));
        }
        let replacement = Replacement { start, end, with };
        match self.replaced.binary_search_by_key(&start, |replaced| replaced.start) {
            Ok(found) => self.replaced[found] = replacement,
            Err(free) => self.replaced.insert(free, replacement),
        }
        Ok(())
    }

    /// Takes out members of the object itself whose key comes again later, which no reader should
    /// see: some take the first, some the last, some refuse the text.
    pub fn drop_duplicates(&mut self) {
        let keys: Vec<_> =
            self.object.members().map(|member| text::canonical_body(member.raw_key())).collect();
        let mut seen = HashSet::new();
        let former: Vec<usize> =
            (0..keys.len()).rev().filter(|&index| !seen.insert(&*keys[index])).collect();
        for index in former {
            self.change(index, Change::Remove);
        }
    }

    /// The value at a path as the changes so far leave it, but for [replaced](Self::replace) values.
    pub fn get(&self, path: &[&str]) -> Option<Cow<'_, str>> {
        let Some((key, rest)) = path.split_first() else {
            return Some(Cow::Owned(self.finish()));
        };
        let place = self.look_for(&text::body_of(key))?;
        let value = match self.node(place) {
            Some(Node::Object(splice)) => return splice.get(rest),
            _ => self.value(place)?,
        };
        rest.iter()
            .try_fold(value, |value, key| value.as_object()?.get(key))
            .map(|value| Cow::Borrowed(value.text()))
    }

    /// Writes the object with all changes.
    pub fn finish(&self) -> String {
        let mut out = String::with_capacity(self.size_hint());
        self.write(&mut out);
        out
    }

    fn act(
        &mut self,
        path: &[&str],
        from: usize,
        action: Action<'_, 'v>,
    ) -> Result<bool, SpliceError> {
        let ends_here = match action {
            Action::Merge(..) => from == path.len(),
            _ => from + 1 == path.len(),
        };
        if ends_here {
            return Ok(self.act_here(path, action));
        }
        let key = text::body_of(path[from]);
        let Some(place) = self.find(&key).filter(|place| !self.is_null(*place)) else {
            if let Action::Remove = action {
                return Ok(false);
            }
            let mut child = Splice::new(Object::EMPTY);
            let done = child.act(path, from + 1, action)?;
            self.put(key, Node::Object(Box::new(child)));
            return Ok(done);
        };
        let not_an_object = || SpliceError::not_an_object(&path[..=from]);
        if let Some(Node::Object(child)) = self.node_mut(place) {
            return child.act(path, from + 1, action);
        }
        if let Some(Node::Value(fragment)) = self.node_mut(place) {
            // A former change has put it here. It is changed on the spot, since nobody else holds
            // its text for long enough.
            let object = fragment.as_value().as_object().ok_or_else(not_an_object)?;
            let mut inner = Splice::new(object);
            let done = inner.act(path, from + 1, action)?;
            if inner.is_changed() {
                *fragment = Json::from_written(inner.finish()).into();
            }
            return Ok(done);
        }
        let Place::Original(index) = place else {
            return Err(not_an_object());
        };
        let mut child =
            Splice::new(self.object.value(index).as_object().ok_or_else(not_an_object)?);
        let done = child.act(path, from + 1, action)?;
        if child.is_changed() {
            self.change(index, Change::Put(Node::Object(Box::new(child))));
        }
        Ok(done)
    }

    /// The last key of the path, or for a merge the object itself.
    fn act_here(&mut self, path: &[&str], action: Action<'_, 'v>) -> bool {
        let key = || path.last().map_or(Cow::Borrowed(""), |key| text::body_of(key));
        match action {
            Action::Set(value) => {
                self.put(key(), Node::Value(value));
                true
            }
            Action::Insert(value) => {
                let is_free = self.is_free(&key());
                if is_free {
                    self.put(key(), Node::Value(value));
                }
                is_free
            }
            Action::Remove => self.take_out(&key()),
            Action::Merge(other, precedence) => {
                // Asked before anything is put there: where `other` has a key twice, its last one
                // counts.
                let may_put: Vec<bool> = other
                    .members()
                    .map(|member| match precedence {
                        Precedence::Incoming => true,
                        Precedence::Present => {
                            self.is_free(&text::canonical_body(member.raw_key()))
                        }
                    })
                    .collect();
                for (member, _) in other.members().zip(may_put).filter(|(_, may_put)| *may_put) {
                    let key = text::canonical_body(member.raw_key());
                    self.put(key, Node::Value(member.value().into()));
                }
                true
            }
        }
    }

    fn put(&mut self, key: Cow<'_, str>, node: Node<'t, 'v>) {
        match self.find(&key) {
            Some(Place::Original(index)) => self.change(index, Change::Put(node)),
            Some(Place::Added(index)) => self.added[index].1 = node,
            None => {
                let key = Box::from(key);
                self.keys.add(&key, Place::Added(self.added.len()));
                self.added.push((key, node));
            }
        }
    }

    fn take_out(&mut self, key: &str) -> bool {
        let before = self.added.len();
        self.added.retain(|(added, _)| **added != *key);
        let mut found = self.added.len() < before;
        if found {
            self.keys.forget();
        }
        for index in 0..self.object.len() {
            if self.object.is_key(index, key) && !self.is_removed(index) {
                self.change(index, Change::Remove);
                found = true;
            }
        }
        found
    }

    /// Whether nothing but perhaps `null` is at `key`.
    fn is_free(&mut self, key: &str) -> bool {
        self.find(key).is_none_or(|place| self.is_null(place))
    }

    fn is_null(&self, place: Place) -> bool {
        self.value(place).is_some_and(Value::is_null)
    }

    /// Where the member is that counts for the key, if there is one left.
    fn find(&mut self, key: &str) -> Option<Place> {
        let place = match self.keys.lookup(&self.object, &self.added) {
            Some(index) => index.get(key).copied(),
            None => return self.look_for(key),
        };
        place.filter(|place| self.is_left(*place))
    }

    /// The same, one member after the other.
    fn look_for(&self, key: &str) -> Option<Place> {
        if let Some(index) = self.added.iter().position(|(added, _)| **added == *key) {
            return Some(Place::Added(index));
        }
        self.object.find(key).map(Place::Original).filter(|place| self.is_left(*place))
    }

    /// Whether it was not removed. If the last of several is gone, so are all.
    fn is_left(&self, place: Place) -> bool {
        !matches!(place, Place::Original(index) if self.is_removed(index))
    }

    fn is_removed(&self, index: usize) -> bool {
        self.position(index).is_ok_and(|found| matches!(self.changes[found].1, Change::Remove))
    }

    /// What is at the place, unless it is an object with changes inside of it.
    fn value(&self, place: Place) -> Option<Value<'_>> {
        match (self.node(place), place) {
            (Some(Node::Value(fragment)), _) => Some(fragment.as_value()),
            (Some(Node::Object(_)), _) | (None, Place::Added(_)) => None,
            (None, Place::Original(index)) => Some(self.object.value(index)),
        }
    }

    /// What a change has put at the place.
    fn node(&self, place: Place) -> Option<&Node<'t, 'v>> {
        match place {
            Place::Added(index) => Some(&self.added[index].1),
            Place::Original(index) => match &self.changes[self.position(index).ok()?].1 {
                Change::Put(node) => Some(node),
                Change::Remove => None,
            },
        }
    }

    fn node_mut(&mut self, place: Place) -> Option<&mut Node<'t, 'v>> {
        match place {
            Place::Added(index) => Some(&mut self.added[index].1),
            Place::Original(index) => {
                let found = self.position(index).ok()?;
                match &mut self.changes[found].1 {
                    Change::Put(node) => Some(node),
                    Change::Remove => None,
                }
            }
        }
    }

    fn change(&mut self, index: usize, change: Change<'t, 'v>) {
        match self.position(index) {
            Ok(found) => self.changes[found].1 = change,
            Err(free) => self.changes.insert(free, (index, change)),
        }
    }

    /// Where in `changes` the change of a member is, or would be.
    fn position(&self, index: usize) -> Result<usize, usize> {
        self.changes.binary_search_by_key(&index, |(index, _)| *index)
    }

    /// Where in the text a part of it is.
    fn place_of(&self, part: &str) -> Option<(usize, usize)> {
        let text = self.object.text();
        // Addresses are only compared. Memory that is in use twice is the same text.
        let start = (part.as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
        let end = start.checked_add(part.len())?;
        (end <= text.len()).then_some((start, end))
    }
}

/// Whether a value may be put at a path, as far as that can be known without the text.
fn check(path: &[&str], value: &Fragment<'_>) -> Result<(), SpliceError> {
    if path.is_empty() {
        return Err(SpliceError::empty_path());
    }
    if path.len() + value.depth() > JSON_DEPTH {
        return Err(SpliceError::too_deep(path));
    }
    Ok(())
}
