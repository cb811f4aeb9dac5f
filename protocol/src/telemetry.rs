//! Logs and metrics as they come from a page.
//!
//! Sentry's JavaScript SDK hands each over as a serialised object with typed attributes. They are
//! kept as that text; all that is done to them is that attributes are added.

use std::fmt;

use crate::json::{Fragment, Json, JsonError, Object, ObjectWriter, Precedence, Splice, Value};

/// The value of an attribute, which Sentry wants to know the type of.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Attribute<'a> {
    /// Text.
    String(&'a str),
    /// A whole number.
    Integer(i64),
    /// Any number.
    Double(f64),
    /// A truth value.
    Boolean(bool),
}

/// Attributes to be added to logs and metrics: made once, added to many.
///
/// ```
/// use guardhouse_protocol::json::Precedence;
/// use guardhouse_protocol::{Attribute, Attributes, Log};
///
/// let mut attributes = Attributes::new();
/// attributes.add("sentry.release", Attribute::String("app@1.0"));
/// attributes.add("process.pid", Attribute::Integer(7));
///
/// let mut log = Log::parse(br#"{"body":"opened","level":"info","timestamp":1795193689.9487}"#)?;
/// log.add_attributes(&attributes, Precedence::Present)?;
/// assert_eq!(
///     log.text(),
///     r#"{"body":"opened","level":"info","timestamp":1795193689.9487,"attributes":{"sentry.release":{"value":"app@1.0","type":"string"},"process.pid":{"value":7,"type":"integer"}}}"#
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Attributes {
    object: ObjectWriter,
}

impl Attributes {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one. If it is added twice, the last counts.
    pub fn add(&mut self, name: &str, value: Attribute<'_>) -> &mut Self {
        let (value, kind): (Fragment<'_>, _) = match value {
            Attribute::String(text) => (text.into(), "string"),
            Attribute::Integer(number) => (number.into(), "integer"),
            Attribute::Double(number) => (Json::number(number).into(), "double"),
            Attribute::Boolean(truth) => (truth.into(), "boolean"),
        };
        let mut attribute = ObjectWriter::new();
        attribute.member("value", value).member("type", kind);
        self.object.member(name, attribute.finish());
        self
    }
}

macro_rules! telemetry {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq)]
        pub struct $name {
            text: Box<str>,
        }

        impl $name {
            /// Takes what the SDK serialised, which has to be a JSON object.
            pub fn parse(bytes: &[u8]) -> Result<Self, JsonError> {
                let text = Object::parse(bytes)?.as_value().text().into();
                Ok(Self { text })
            }

            /// The text, as it goes into a container of many.
            pub fn text(&self) -> &str {
                &self.text
            }

            /// One of its members.
            pub fn get(&self, member: &str) -> Option<Value<'_>> {
                self.object().get(member)
            }

            /// One of its attributes: the object with its value and type.
            pub fn attribute(&self, name: &str) -> Option<Value<'_>> {
                self.object().at(&["attributes", name])
            }

            /// Adds attributes. Which one counts if it has one already, `precedence` says. A log or
            /// metric whose attributes are not an object stays as it is.
            pub fn add_attributes(
                &mut self,
                attributes: &Attributes,
                precedence: Precedence,
            ) -> Result<(), crate::json::SpliceError> {
                let added = attributes.object.clone().finish();
                let added = added.as_object().unwrap_or(Object::EMPTY);
                let mut splice = Splice::new(self.object());
                splice.merge(&["attributes"], &added, precedence)?;
                if splice.is_changed() {
                    self.text = splice.finish().into();
                }
                Ok(())
            }

            fn object(&self) -> Object<'_> {
                let object = Object::parse(self.text.as_bytes());
                debug_assert!(object.is_ok(), "the text was checked when it came in");
                object.unwrap_or(Object::EMPTY)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.text)
            }
        }
    };
}

telemetry! {
    /// One log, as the page's SDK serialised it.
    Log
}

telemetry! {
    /// One metric, as the page's SDK serialised it.
    Metric
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes() -> Attributes {
        let mut attributes = Attributes::new();
        attributes
            .add("a", Attribute::String("ours"))
            .add("b", Attribute::Double(0.5))
            .add("c", Attribute::Boolean(true));
        attributes
    }

    #[test]
    fn everything_but_the_added_attributes_stays_as_it_was() {
        let text =
            r#"{ "value":1.50,"attributes":{"a":{"value":"x\ud83d","type":"martian"}},"n":1e400}"#;
        let mut metric = Metric::parse(format!("{text}\n").as_bytes()).unwrap();
        assert_eq!(metric.text(), text);
        metric.add_attributes(&attributes(), Precedence::Present).unwrap();
        assert_eq!(
            metric.text(),
            r#"{ "value":1.50,"attributes":{"a":{"value":"x\ud83d","type":"martian"},"b":{"value":0.5,"type":"double"},"c":{"value":true,"type":"boolean"}},"n":1e400}"#
        );
        metric.add_attributes(&attributes(), Precedence::Incoming).unwrap();
        assert_eq!(metric.attribute("a").unwrap().text(), r#"{"value":"ours","type":"string"}"#);
    }

    #[test]
    fn what_is_no_object_is_refused_or_left_alone() {
        assert!(Log::parse(b"[]").is_err());
        assert!(Log::parse(b"{\"attributes\":").is_err());
        let text = r#"{"attributes":[1]}"#;
        let mut log = Log::parse(text.as_bytes()).unwrap();
        assert!(log.add_attributes(&attributes(), Precedence::Incoming).is_err());
        assert_eq!(log.text(), text);
        log.add_attributes(&Attributes::new(), Precedence::Incoming).unwrap();
        assert_eq!(log.text(), text);
    }
}
