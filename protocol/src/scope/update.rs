//! One change to what a process contributes.

use super::{Attachment, Breadcrumb, Field, Refusal, Trimmed};
use crate::json::{Fragment, Json, Kind, Value, array};

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
    /// A field has a value now.
    Set(Field, Trimmed),
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
        let trimmed = field.fit(value)?;
        Ok(Self::Set(field, trimmed))
    }

    /// Adds a breadcrumb, which is cut if it is too large.
    pub fn add_breadcrumb(breadcrumb: Value<'_>) -> Result<Self, Refusal> {
        Breadcrumb::new(breadcrumb).map(Self::AddBreadcrumb)
    }

    /// The change as it crosses between processes: an array that begins with what is done.
    pub fn to_json(&self) -> Json {
        let key = |field: &Field| {
            field.key().map_or_else(Json::null, |key| {
                Json::from_canonical_body(key.as_json_body())
            })
        };
        let mut parts: Vec<Json> = vec![Json::from(self.name())];
        match self {
            Self::Set(field, Trimmed { value, meta }) => {
                parts.extend([Json::from(field.name()), key(field), value.clone()]);
                parts.extend(meta.clone());
            }
            Self::Unset(field) => parts.extend([Json::from(field.name()), key(field)]),
            Self::AddBreadcrumb(breadcrumb) => {
                parts.push(breadcrumb.json().clone());
                parts.extend(breadcrumb.meta().cloned());
            }
            Self::AddAttachment(attachment) => parts.push(attachment.to_json()),
            Self::ClearBreadcrumbs | Self::ClearAttachments | Self::Clear => {}
        }
        // Fields without a key leave its place out at the end, but not in the middle.
        if parts.last().is_some_and(|last| last.as_value().is_null())
            && matches!(self, Self::Unset(_))
        {
            parts.pop();
        }
        array(parts.iter().map(Fragment::from))
    }

    /// Reads a change. What a newer version may say and this one does not know is refused as
    /// [`Refusal::Unknown`].
    pub fn parse(value: Value<'_>) -> Result<Self, Refusal> {
        let mut parts = value.elements().ok_or(Refusal::WrongKind)?;
        let mut next = || parts.next();
        let name = next().and_then(Value::as_str).ok_or(Refusal::WrongKind)?;
        let meta = |part: Option<Value<'_>>| {
            part.filter(|part| part.kind() == Kind::Object)
                .map(Value::to_json)
        };
        match &*name {
            "set" => {
                let field = field(next(), next())?;
                let value = next().ok_or(Refusal::WrongKind)?;
                let about = meta(next());
                Ok(match Self::set(field, value)? {
                    // Cut here is cut more than it was there.
                    Self::Set(field, Trimmed { value, meta }) => Self::Set(
                        field,
                        Trimmed {
                            value,
                            meta: meta.or(about),
                        },
                    ),
                    cleared => cleared,
                })
            }
            "unset" => Ok(Self::Unset(field(next(), next())?)),
            "breadcrumb" => {
                let breadcrumb = Breadcrumb::new(next().ok_or(Refusal::WrongKind)?)?;
                Ok(Self::AddBreadcrumb(breadcrumb.with_meta(meta(next()))))
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
            Self::Set(..) => "set",
            Self::Unset(_) => "unset",
            Self::AddBreadcrumb(_) => "breadcrumb",
            Self::ClearBreadcrumbs => "clear-breadcrumbs",
            Self::AddAttachment(_) => "attachment",
            Self::ClearAttachments => "clear-attachments",
            Self::Clear => "clear",
        }
    }
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
