//! One change to what a process contributes.

use super::kind::Kind;
use super::{Attachment, Breadcrumb, Field, Refusal, Trimmed, meta};
use crate::Timestamp;
use crate::json::{Fragment, Json, ObjectWriter, Value};

/// One change to a [`Contribution`](super::Contribution). Its values fit already.
///
/// ```
/// use guardhouse_protocol::scope::{Field, ScopeUpdate};
///
/// let update = ScopeUpdate::set(Field::tag("channel")?, "beta")?;
/// assert_eq!(update.to_json().text(), r#"["set","tag","channel","beta"]"#);
/// assert_eq!(ScopeUpdate::parse(update.to_json().as_value())?, update);
/// # Ok::<(), guardhouse_protocol::scope::Refusal>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScopeUpdate {
    /// A field has a value.
    Set {
        /// Which one.
        field: Field,
        /// Its value, which fits.
        value: Trimmed,
        /// Since when, if it is not since the change arrives: where it comes late, as after a
        /// failover or from a black box, it does not win over what was set later. What is unset or
        /// cleared is so from when the change arrives.
        at: Option<Timestamp>,
    },
    /// A field has none any more.
    Unset(Field),
    /// Something happened.
    AddBreadcrumb(Breadcrumb),
    /// What has happened is forgotten.
    ClearBreadcrumbs,
    /// A file is to go with events from now on.
    AddAttachment(Attachment),
    /// No files are to go with events any more.
    ClearAttachments,
    /// Everything is forgotten.
    Clear,
}

impl ScopeUpdate {
    /// Sets a field. A value that means to clear it, such as `null`, clears it. What is too long is
    /// cut; what cannot be cut, or is of the wrong kind, is refused. Whoever is refused should
    /// [unset](Self::Unset) the field, as the other side does: its former value is not meant any more.
    pub fn set<'v>(field: Field, value: impl Into<Fragment<'v>>) -> Result<Self, Refusal> {
        let value = value.into();
        let value = value.as_value();
        if field.is_cleared_by(value) {
            return Ok(Self::Unset(field));
        }
        let value = field.fit(value)?;
        Ok(Self::Set { field, value, at: None })
    }

    /// Says when the field was set. Other changes do not need it.
    #[must_use]
    pub fn since(mut self, time: Timestamp) -> Self {
        if let Self::Set { at, .. } = &mut self {
            *at = Some(time);
        }
        self
    }

    /// Adds a breadcrumb, which is cut if it is too large.
    pub fn add_breadcrumb(breadcrumb: Value<'_>) -> Result<Self, Refusal> {
        Breadcrumb::new(breadcrumb).map(Self::AddBreadcrumb)
    }

    /// The change as it crosses between processes: an array that begins with what is done. What has
    /// to be said about a value stands behind it in an object, which a newer version may add to.
    pub fn to_json(&self) -> Json {
        let mut parts = vec![Json::from(self.name())];
        match self {
            Self::Set { field, value, at } => {
                parts.extend(name_and_key(field));
                parts.push(value.value().clone());
                parts.extend(about(value.meta(), *at));
            }
            Self::Unset(field) => parts.extend(name_and_key(field)),
            Self::AddBreadcrumb(breadcrumb) => {
                parts.push(breadcrumb.json().clone());
                parts.extend(about(breadcrumb.meta(), breadcrumb.counted()));
            }
            Self::AddAttachment(attachment) => parts.push(attachment.to_json()),
            Self::ClearBreadcrumbs | Self::ClearAttachments | Self::Clear => {}
        }
        Json::array(&parts)
    }

    /// Reads a change. What a newer version may say and this one does not know is refused as
    /// [`Refusal::Unknown`].
    pub fn parse(value: Value<'_>) -> Result<Self, Refusal> {
        Self::read(value).map_err(|refused| refused.why)
    }

    /// Reads a change; if it is refused, says also which field it was to set.
    pub(super) fn read(value: Value<'_>) -> Result<Self, RefusedUpdate> {
        let mut parts = value.elements().ok_or(Refusal::WrongKind)?;
        let mut next = || parts.next();
        let name = next().and_then(Value::as_str).ok_or(Refusal::WrongKind)?;
        Ok(match &*name {
            "set" => {
                let field = field(next(), next())?;
                return Self::read_set(&field, next(), next())
                    .map_err(|why| RefusedUpdate { why, field: Some(field) });
            }
            "unset" => Self::Unset(field(next(), next())?),
            "breadcrumb" => {
                let breadcrumb = Breadcrumb::new(next().ok_or(Refusal::WrongKind)?)?;
                let (meta, at) = read_about(next());
                Self::AddBreadcrumb(breadcrumb.told_on(meta, at))
            }
            "attachment" => {
                Self::AddAttachment(Attachment::parse(next().ok_or(Refusal::WrongKind)?)?)
            }
            "clear-breadcrumbs" => Self::ClearBreadcrumbs,
            "clear-attachments" => Self::ClearAttachments,
            "clear" => Self::Clear,
            _ => return Err(Refusal::Unknown.into()),
        })
    }

    fn read_set(
        field: &Field,
        value: Option<Value<'_>>,
        about: Option<Value<'_>>,
    ) -> Result<Self, Refusal> {
        Ok(match Self::set(field.clone(), value.ok_or(Refusal::WrongKind)?)? {
            Self::Set { field, value, .. } => {
                let (meta, at) = read_about(about);
                let value = value.cut_before(meta);
                Self::Set { field, value, at }
            }
            other => other,
        })
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Set { .. } => "set",
            Self::Unset(_) => "unset",
            Self::AddBreadcrumb(_) => "breadcrumb",
            Self::ClearBreadcrumbs => "clear-breadcrumbs",
            Self::AddAttachment(_) => "attachment",
            Self::ClearAttachments => "clear-attachments",
            Self::Clear => "clear",
        }
    }
}

/// A field by its name and, where it has one, its key; `null` where it has none.
fn name_and_key(field: &Field) -> [Json; 2] {
    let key = match field.key() {
        Some(key) => Json::from_canonical_body(key.as_json_body()),
        None => Json::null(),
    };
    [Json::from(field.name()), key]
}

/// What has to be said about a value, if anything.
fn about(meta: Option<&Json>, at: Option<Timestamp>) -> Option<Json> {
    let mut about = ObjectWriter::new();
    if let Some(meta) = meta {
        about.member("meta", meta);
    }
    if let Some(at) = at {
        // A double would lose the nanoseconds.
        about.member("at", format!("{at:#}").as_str());
    }
    (!about.is_empty()).then(|| about.finish())
}

/// What is said about a value. What cannot be understood is not said.
fn read_about(about: Option<Value<'_>>) -> (Option<Json>, Option<Timestamp>) {
    let about = about.and_then(Value::as_object);
    let get = |member: &str| about.as_ref()?.get(member);
    let at = get("at").and_then(Value::as_str);
    let at = at.and_then(|at| Timestamp::parse_rfc3339(&at));
    (meta::read(get("meta")), at)
}

fn field(name: Option<Value<'_>>, key: Option<Value<'_>>) -> Result<Field, Refusal> {
    let name = name.and_then(Value::as_str).ok_or(Refusal::WrongKind)?;
    let kind = Kind::from_name(&name).ok_or(Refusal::Unknown)?;
    kind.field(key.and_then(Value::string_body))
}

/// A change that was refused.
pub(super) struct RefusedUpdate {
    pub(super) why: Refusal,
    /// The field that it was to set.
    pub(super) field: Option<Field>,
}

impl From<Refusal> for RefusedUpdate {
    fn from(why: Refusal) -> Self {
        Self { why, field: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::SCOPE_DEPTH;
    use crate::scope::ScopeMessage;

    fn parse(text: &str) -> Result<ScopeUpdate, Refusal> {
        ScopeUpdate::parse(Json::parse(text.as_bytes()).unwrap().as_value())
    }

    #[test]
    fn every_change_is_read_back() {
        let long = "x".repeat(1000);
        let breadcrumb = Json::parse(br#"{"message":"m","data":{"a":[1.0]}}"#).unwrap();
        let object = Json::parse(br#"{"id":7}"#).unwrap();
        let list = Json::parse(br#"["a","{{ default }}"]"#).unwrap();
        for update in [
            ScopeUpdate::set(Field::User, &object).unwrap(),
            ScopeUpdate::set(Field::Level, "warning").unwrap(),
            ScopeUpdate::set(Field::Transaction, long.as_str()).unwrap(),
            ScopeUpdate::set(Field::Fingerprint, &list).unwrap(),
            ScopeUpdate::set(Field::Propagation, &object).unwrap(),
            ScopeUpdate::set(Field::tag("a\"b").unwrap(), long.as_str()).unwrap(),
            ScopeUpdate::set(Field::extra("a").unwrap(), Json::null()).unwrap(),
            ScopeUpdate::set(Field::context("a").unwrap(), &object).unwrap(),
            ScopeUpdate::set(Field::attribute("a").unwrap(), true).unwrap(),
            ScopeUpdate::set(Field::tag("a").unwrap(), long.as_str())
                .unwrap()
                .since(Timestamp::from_unix(7, 123_456_789)),
            ScopeUpdate::Unset(Field::User),
            ScopeUpdate::Unset(Field::tag("a").unwrap()),
            ScopeUpdate::add_breadcrumb(breadcrumb.as_value()).unwrap(),
            ScopeUpdate::ClearBreadcrumbs,
            ScopeUpdate::AddAttachment(Attachment::new("f", &b"hi"[..]).unwrap()),
            ScopeUpdate::ClearAttachments,
            ScopeUpdate::Clear,
        ] {
            assert_eq!(ScopeUpdate::parse(update.to_json().as_value()), Ok(update));
        }
    }

    #[test]
    fn times_are_told_to_the_nanosecond() {
        let update = ScopeUpdate::set(Field::tag("a").unwrap(), "x")
            .unwrap()
            .since(Timestamp::from_unix(1_795_193_675, 123_456_789));
        assert_eq!(
            update.to_json().text(),
            r#"["set","tag","a","x",{"at":"2026-11-20T16:54:35.123456789Z"}]"#
        );
        let unreadable = parse(r#"["set","tag","a","x",{"at":7}]"#).unwrap();
        assert_eq!(unreadable.to_json().text(), r#"["set","tag","a","x"]"#);

        let mut breadcrumb = Breadcrumb::new(Json::parse(b"{}").unwrap().as_value()).unwrap();
        breadcrumb.arrived(Timestamp::from_unix(1_795_193_675, 123_456_789));
        let update = ScopeUpdate::AddBreadcrumb(breadcrumb);
        assert_eq!(ScopeUpdate::parse(update.to_json().as_value()), Ok(update));
    }

    #[test]
    fn what_is_said_about_a_value_is_bounded() {
        let meta = |bytes: usize| format!("{{\"x\":\"{}\"}}", "m".repeat(bytes - 8));
        let size = |bytes: usize| {
            let set = format!(r#"["set","extra","a",1,{{"meta":{}}}]"#, meta(bytes));
            let add = format!(r#"["breadcrumb",{{"timestamp":1}},{{"meta":{}}}]"#, meta(bytes));
            let ScopeUpdate::Set { value, .. } = parse(&set).unwrap() else {
                panic!("it sets");
            };
            let ScopeUpdate::AddBreadcrumb(breadcrumb) = parse(&add).unwrap() else {
                panic!("it adds");
            };
            (value.size(), breadcrumb.size())
        };
        let ((set, added), (bare_set, bare_added)) = (size(4096), size(4097));
        assert_eq!((set - bare_set, added - bare_added), (4096, 4096));
    }

    #[test]
    fn the_deepest_value_that_is_cut_at_every_level_can_be_told_on() {
        let text = format!("\"{}\"", "x".repeat(20_000));
        let nested = |open: &str, close: &str, depth: usize| {
            let text = open.repeat(depth) + &text + &close.repeat(depth);
            Json::parse(text.as_bytes()).unwrap()
        };
        let deep = nested("[", ",1]", SCOPE_DEPTH);
        let extra = ScopeUpdate::set(Field::extra("a").unwrap(), &deep).unwrap();
        let deep = nested(r#"{"a":"#, "}", SCOPE_DEPTH);
        let context = ScopeUpdate::set(Field::context("a").unwrap(), &deep).unwrap();
        let breadcrumb = ScopeUpdate::add_breadcrumb(deep.as_value()).unwrap();
        // Each array has lost its last element; each object has one member, which is cut.
        for (update, cuts) in [(extra, SCOPE_DEPTH + 1), (context, 1), (breadcrumb, 1)] {
            assert_eq!(update.to_json().text().matches(r#""len""#).count(), cuts);
            let written = ScopeMessage::write(std::slice::from_ref(&update));
            let ScopeMessage::Changes(read, refusals) = ScopeMessage::parse(&written[0]).unwrap()
            else {
                panic!("it is an array");
            };
            assert!(refusals.is_empty());
            assert_eq!(read, [update]);
        }
    }

    #[test]
    fn a_value_that_means_to_clear_clears() {
        for (field, text) in [
            (Field::User, "{}"),
            (Field::User, "null"),
            (Field::Fingerprint, "[]"),
            (Field::Level, "null"),
            (Field::tag("a").unwrap(), "null"),
            (Field::context("a").unwrap(), "null"),
        ] {
            let value = Json::parse(text.as_bytes()).unwrap();
            assert_eq!(ScopeUpdate::set(field.clone(), value), Ok(ScopeUpdate::Unset(field)));
        }
    }

    #[test]
    fn what_is_no_change_is_refused_and_what_is_newer_is_unknown() {
        for (text, refusal) in [
            ("{}", Refusal::WrongKind),
            ("[]", Refusal::WrongKind),
            ("[1]", Refusal::WrongKind),
            (r#"["set"]"#, Refusal::WrongKind),
            (r#"["set","tag","a"]"#, Refusal::WrongKind),
            (r#"["set","tag",null,"x"]"#, Refusal::WrongKind),
            (r#"["breadcrumb",1]"#, Refusal::WrongKind),
            (r#"["set","mood",null,"x"]"#, Refusal::Unknown),
            (r#"["dance"]"#, Refusal::Unknown),
        ] {
            assert_eq!(parse(text), Err(refusal), "{text}");
        }
    }
}
