//! One change to what a process contributes.

use super::{Attachment, Breadcrumb, Field, Refusal, Trimmed};
use crate::Timestamp;
use crate::json::{Fragment, Json, Kind, ObjectWriter, Value, array};

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
        /// failover or from a black box, it must not win over what was set later.
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
    /// cut; what cannot be cut, or is of the wrong kind, is refused.
    pub fn set<'v>(field: Field, value: impl Into<Fragment<'v>>) -> Result<Self, Refusal> {
        let value = value.into();
        let value = value.as_value();
        if field.is_cleared_by(value) {
            return Ok(Self::Unset(field));
        }
        let value = field.fit(value)?;
        Ok(Self::Set {
            field,
            value,
            at: None,
        })
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
                parts.push(value.value.clone());
                parts.extend(about(value.meta.as_ref(), *at));
            }
            Self::Unset(field) => parts.extend(name_and_key(field)),
            Self::AddBreadcrumb(breadcrumb) => {
                parts.push(breadcrumb.json().clone());
                parts.extend(about(breadcrumb.meta(), None));
            }
            Self::AddAttachment(attachment) => parts.push(attachment.to_json()),
            Self::ClearBreadcrumbs | Self::ClearAttachments | Self::Clear => {}
        }
        array(parts.iter().map(Fragment::from))
    }

    /// Reads a change. What a newer version may say and this one does not know is refused as
    /// [`Refusal::Unknown`].
    pub fn parse(value: Value<'_>) -> Result<Self, Refusal> {
        let mut parts = value.elements().ok_or(Refusal::WrongKind)?;
        let mut next = || parts.next();
        let name = next().and_then(Value::as_str).ok_or(Refusal::WrongKind)?;
        match &*name {
            "set" => {
                let field = field(next(), next())?;
                let value = next().ok_or(Refusal::WrongKind)?;
                let about = next().and_then(Value::as_object);
                let about = |member: &str| about.as_ref().and_then(|about| about.get(member));
                let mut update = Self::set(field, value)?;
                if let Self::Set { value, at, .. } = &mut update {
                    // What is cut here is cut more than it was there.
                    value.meta = value.meta.take().or_else(|| meta(about("meta")));
                    *at = about("at").and_then(Timestamp::from_json);
                }
                Ok(update)
            }
            "unset" => Ok(Self::Unset(field(next(), next())?)),
            "breadcrumb" => {
                let breadcrumb = Breadcrumb::new(next().ok_or(Refusal::WrongKind)?)?;
                let about = next().and_then(Value::as_object);
                let meta = meta(about.and_then(|about| about.get("meta")));
                Ok(Self::AddBreadcrumb(breadcrumb.with_meta(meta)))
            }
            "attachment" => {
                Attachment::parse(next().ok_or(Refusal::WrongKind)?).map(Self::AddAttachment)
            }
            "clear-breadcrumbs" => Ok(Self::ClearBreadcrumbs),
            "clear-attachments" => Ok(Self::ClearAttachments),
            "clear" => Ok(Self::Clear),
            _ => Err(Refusal::Unknown),
        }
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
        about.member("at", Json::number(at.as_seconds()));
    }
    (!about.is_empty()).then(|| about.finish())
}

fn meta(value: Option<Value<'_>>) -> Option<Json> {
    value
        .filter(|value| value.kind() == Kind::Object)
        .map(Value::to_json)
}

fn field(name: Option<Value<'_>>, key: Option<Value<'_>>) -> Result<Field, Refusal> {
    let name = name.and_then(Value::as_str).ok_or(Refusal::WrongKind)?;
    Field::from_name(&name, key.and_then(Value::string_body))
}

#[cfg(test)]
mod tests {
    use super::*;

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
                .since(Timestamp::from_unix(7, 500_000_000)),
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
            assert_eq!(
                ScopeUpdate::set(field.clone(), value),
                Ok(ScopeUpdate::Unset(field))
            );
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
