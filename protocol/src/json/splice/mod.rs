//! Changes to a JSON object that leave every other byte as it was.

mod error;
mod keys;
#[cfg(test)]
mod tests;
mod write;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

use super::{Fragment, Json, Object, Value, text};
use crate::limits::{JSON_DEPTH, JSON_MEMBERS};

pub use error::SpliceError;
use keys::Keys;

/// Changes to an [`Object`], collected and then written in one go.
///
/// A path is a list of keys: `&["release"]` is a member of the object itself,
/// `&["tags", "event.process"]` one of the object that is its member `tags`. Changes take effect one
/// after the other, as if the text were written and read again in between; so a change can name what
/// a former one has put there. (Only the white space around members that come and go may differ, and
/// other changes do not see what [`replace`](Self::replace) does.) A change that cannot be made
/// changes nothing, and others can still be.
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
    /// Changes to members of the object, by their index.
    changes: BTreeMap<usize, Change<'t, 'v>>,
    /// Members behind those of the object, with the canonical bodies of their keys, and nothing where
    /// one was taken out again.
    added: Vec<(Box<str>, Option<Node<'t, 'v>>)>,
    keys: Keys,
    /// Which values are replaced, by where they begin in the text.
    replaced: BTreeMap<usize, Replacement<'v>>,
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
            changes: BTreeMap::new(),
            added: Vec::new(),
            keys: Keys::default(),
            replaced: BTreeMap::new(),
        }
    }

    /// The object without the changes.
    pub fn original(&self) -> &Object<'t> {
        &self.object
    }

    /// Whether any change was made.
    pub fn is_changed(&self) -> bool {
        let is_change = |change: &Change<'_, '_>| match change {
            // It may only have been looked into.
            Change::Put(Node::Object(splice)) => splice.is_changed(),
            Change::Put(Node::Value(_)) | Change::Remove => true,
        };
        !self.replaced.is_empty()
            || self.added.iter().any(|(_, node)| node.is_some())
            || self.changes.values().any(is_change)
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

    /// Merges the members of `other`, if it has any, into the object at the path, which is made if it
    /// is missing or `null`. An empty path is the object itself. `null` counts as missing where
    /// [`Precedence::Present`] asks. Members that are objects on both sides are not merged themselves.
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

    /// Replaces a value that was reached from the object that is changed, wherever it stands: what a
    /// path cannot lead to, such as a member of an object in an array. If another change takes away
    /// or takes apart what the value stands in, before or after, that change wins.
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
        if value.text().len() == self.object.as_value().text().len() {
            return Err(SpliceError::empty_path());
        }
        let with = with.into();
        // How deep the value stands is not known, but the text is no deeper than this around it.
        let around = self.object.depth().saturating_sub(value.depth());
        if around + with.depth() > JSON_DEPTH {
            return Err(SpliceError::too_deep(&[]));
        }
        self.replaced.insert(start, Replacement { end, with });
        Ok(())
    }

    /// Takes out members of the object itself whose key comes again later, which no reader should
    /// see: some take the first, some the last, some refuse the text.
    pub fn drop_duplicates(&mut self) {
        let keys: Vec<_> =
            self.object.members().map(|member| text::canonical_body(member.raw_key())).collect();
        let mut seen = HashSet::new();
        for index in (0..keys.len()).rev() {
            if !seen.insert(&*keys[index]) {
                self.changes.insert(index, Change::Remove);
            }
        }
    }

    /// The value at a path as the changes so far leave it, but for [replaced](Self::replace) values;
    /// with an empty path, what [`finish`](Self::finish) writes.
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
            return self.act_here(path, action);
        }
        let key = text::body_of(path[from]);
        let Some(place) = self.find(&key).filter(|place| !self.is_null(*place)) else {
            if let Action::Remove = action {
                return Ok(false);
            }
            self.check_room(&path[..=from], 1)?;
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
        let Place::Original(index) = place else { return Err(not_an_object()) };
        // It stays open, whether it is changed or not: the next change may go through it too.
        let child = Splice::new(self.object.value(index).as_object().ok_or_else(not_an_object)?);
        self.changes.insert(index, Change::Put(Node::Object(Box::new(child))));
        match self.node_mut(place) {
            Some(Node::Object(child)) => child.act(path, from + 1, action),
            _ => Err(not_an_object()),
        }
    }

    /// The last key of the path, or for a merge the object itself.
    fn act_here(&mut self, path: &[&str], action: Action<'_, 'v>) -> Result<bool, SpliceError> {
        let key = path.last().map_or(Cow::Borrowed(""), |key| text::body_of(key));
        match action {
            Action::Set(value) => {
                let place = self.find(&key);
                self.check_room(path, usize::from(place.is_none()))?;
                self.put_at(place, key, Node::Value(value));
                Ok(true)
            }
            Action::Insert(value) => {
                let place = self.find(&key);
                let is_free = place.is_none_or(|place| self.is_null(place));
                if is_free {
                    self.check_room(path, usize::from(place.is_none()))?;
                    self.put_at(place, key, Node::Value(value));
                }
                Ok(is_free)
            }
            Action::Remove => Ok(self.take_out(&key)),
            Action::Merge(other, precedence) => {
                // Asked before anything is put there: where `other` has a key twice, its last one
                // counts.
                let mut more = 0;
                let may_put: Vec<bool> = other
                    .members()
                    .map(|member| {
                        let place = self.find(&text::canonical_body(member.raw_key()));
                        more += usize::from(place.is_none());
                        precedence == Precedence::Incoming
                            || place.is_none_or(|place| self.is_null(place))
                    })
                    .collect();
                self.check_room(path, more)?;
                for (member, _) in other.members().zip(may_put).filter(|(_, may_put)| *may_put) {
                    let key = text::canonical_body(member.raw_key());
                    self.put(key, Node::Value(member.value().into()));
                }
                Ok(true)
            }
        }
    }

    /// Refuses more members than can be read again.
    fn check_room(&self, path: &[&str], more: usize) -> Result<(), SpliceError> {
        if self.object.len() + self.added.len() + more <= JSON_MEMBERS {
            return Ok(());
        }
        let is_removed = |change: &&Change<'_, '_>| matches!(change, Change::Remove);
        let removed = self.changes.values().filter(is_removed).count();
        let added = self.added.iter().filter(|(_, node)| node.is_some()).count();
        if self.object.len() - removed + added + more <= JSON_MEMBERS {
            return Ok(());
        }
        Err(SpliceError::too_many_members(path))
    }

    fn put(&mut self, key: Cow<'_, str>, node: Node<'t, 'v>) {
        let place = self.find(&key);
        self.put_at(place, key, node);
    }

    /// The same, where it has been found out already whether and where the key is.
    fn put_at(&mut self, place: Option<Place>, key: Cow<'_, str>, node: Node<'t, 'v>) {
        match place {
            Some(Place::Original(index)) => {
                self.changes.insert(index, Change::Put(node));
            }
            Some(Place::Added(index)) => self.added[index].1 = Some(node),
            None => {
                let key = Box::from(key);
                self.keys.add(&key, Place::Added(self.added.len()));
                self.added.push((key, Some(node)));
            }
        }
    }

    fn take_out(&mut self, key: &str) -> bool {
        match self.find(key) {
            None => return false,
            Some(Place::Added(index)) => self.added[index].1 = None,
            Some(Place::Original(_)) => {}
        }
        for index in 0..self.object.len() {
            if self.object.is_key(index, key) {
                self.changes.insert(index, Change::Remove);
            }
        }
        true
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
        let is_here =
            |(added, node): &(Box<str>, Option<Node<'_, '_>>)| **added == *key && node.is_some();
        if let Some(index) = self.added.iter().position(is_here) {
            return Some(Place::Added(index));
        }
        self.object.find(key).map(Place::Original).filter(|place| self.is_left(*place))
    }

    /// Whether it was not removed. If the last of several is gone, so are all.
    fn is_left(&self, place: Place) -> bool {
        match place {
            Place::Original(index) => !self.is_removed(index),
            Place::Added(index) => self.added[index].1.is_some(),
        }
    }

    fn is_removed(&self, index: usize) -> bool {
        matches!(self.changes.get(&index), Some(Change::Remove))
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
            Place::Added(index) => self.added[index].1.as_ref(),
            Place::Original(index) => match self.changes.get(&index)? {
                Change::Put(node) => Some(node),
                Change::Remove => None,
            },
        }
    }

    fn node_mut(&mut self, place: Place) -> Option<&mut Node<'t, 'v>> {
        match place {
            Place::Added(index) => self.added[index].1.as_mut(),
            Place::Original(index) => match self.changes.get_mut(&index)? {
                Change::Put(node) => Some(node),
                Change::Remove => None,
            },
        }
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
