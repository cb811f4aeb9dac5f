//! The channels by name, and how they are written as keys, URLs and paths.
//!
//! What a channel carries and what it may cost stands in [`contract`](crate::contract), what else
//! stands in the head of a request in [`http`](crate::http).

use std::fmt;
use std::str::FromStr;

use crate::Namespace;
use crate::contract::{CONTRACT, Declaration};
use crate::error::excerpt;

/// The last part of every protocol URL. It keeps the page's own HTTP instrumentation, which skips
/// requests to Sentry, from reporting our messages as the page's requests.
pub const URL_TAIL: &str = "sentry_key";

/// The global that holds the bridges of a page, by namespace.
pub const BRIDGE_GLOBAL: &str = "__SENTRY_IPC__";

/// The global that holds the id of a page that talks the protocol.
pub const RENDERER_ID_GLOBAL: &str = "__SENTRY_RENDERER_ID__";

/// The global by which a page's SDK notices that it runs already.
pub const INIT_GUARD_GLOBAL: &str = "__SENTRY__RENDERER_INIT__";

listed! {
    /// A channel of the contract: one kind of message between a renderer and main.
    ///
    /// ```
    /// use guardhouse_protocol::{Channel, Namespace, UrlForm};
    ///
    /// let namespace = Namespace::default();
    /// assert_eq!(Channel::StructuredLog.key(&namespace), "sentry-ipc.structured-log");
    /// assert_eq!(
    ///     Channel::Scope.url(&namespace, UrlForm::Scheme),
    ///     "sentry-ipc://scope/sentry_key"
    /// );
    /// assert_eq!(
    ///     Channel::from_url(&namespace, "http://sentry-ipc.scope/sentry_key"),
    ///     Ok(Channel::Scope)
    /// );
    /// ```
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
    #[non_exhaustive]
    #[repr(u8)]
    pub enum Channel {
        /// A renderer's SDK has started.
        Start = 1,
        /// The scope of a renderer has changed.
        Scope = 2,
        /// An envelope for Sentry.
        Envelope = 3,
        /// User feedback, whose sender wants to know what became of it.
        Feedback = 4,
        /// Heartbeat of a renderer's main thread, and whether its page is visible.
        Status = 5,
        /// One structured log.
        StructuredLog = 6,
        /// One metric.
        Metric = 7,
        /// A question: is all that I have sent durable?
        Flush = 8,
        /// A stream of bytes that is too large for a message.
        Attachment = 9,
        /// Main tells renderers how to behave.
        Config = 10,
        /// Main tells a renderer which trace to continue.
        Trace = 11,
    }
}

impl Channel {
    /// The channel's row in the contract.
    pub const fn declaration(self) -> &'static Declaration {
        &CONTRACT[self as usize - 1]
    }

    /// The name, as it stands in keys and URLs.
    pub const fn name(self) -> &'static str {
        self.declaration().name
    }

    /// The number that stands for the channel in native frames.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The channel of a native frame.
    pub fn from_code(code: u8) -> Result<Self, ChannelError> {
        Self::ALL
            .into_iter()
            .find(|channel| channel.code() == code)
            .ok_or_else(|| ChannelError::new(Form::Code, &code.to_string(), Fault::Unknown))
    }

    /// The key of the classic way: `{namespace}.{channel}`.
    pub fn key(self, namespace: &Namespace) -> String {
        format!("{namespace}.{}", self.name())
    }

    /// Reads a key of the classic way. The whole key has to fit; anything else is an error that
    /// says what did not.
    pub fn from_key(namespace: &Namespace, key: &str) -> Result<Self, ChannelError> {
        let error = |fault| ChannelError::new(Form::Key, key, fault);
        let (found, name) = key.split_once('.').ok_or_else(|| error(Fault::Shape))?;
        if found != namespace.as_str() {
            return Err(error(Fault::Namespace));
        }
        Self::by_name(name).ok_or_else(|| error(Fault::Unknown))
    }

    /// The URL to which a page posts, in one of its two forms.
    pub fn url(self, namespace: &Namespace, form: UrlForm) -> String {
        let name = self.name();
        match form {
            UrlForm::Scheme => format!("{namespace}://{name}/{URL_TAIL}"),
            UrlForm::Host => format!("http://{namespace}.{name}/{URL_TAIL}"),
        }
    }

    /// Reads a URL in either form. `https` is taken like `http`, since a webview may be told to use
    /// it; scheme and host are read without regard to case, as browsers do; a query or fragment is
    /// ignored.
    pub fn from_url(namespace: &Namespace, url: &str) -> Result<Self, ChannelError> {
        let error = |fault| ChannelError::new(Form::Url, url, fault);

        let (scheme, rest) = url.split_once("://").ok_or_else(|| error(Fault::Shape))?;
        let (host, path) = rest.split_once('/').ok_or_else(|| error(Fault::Shape))?;
        let name = if scheme.eq_ignore_ascii_case(namespace.as_str()) {
            host
        } else if scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https") {
            let (found, name) = host.split_once('.').ok_or_else(|| error(Fault::Shape))?;
            if !found.eq_ignore_ascii_case(namespace.as_str()) {
                return Err(error(Fault::Namespace));
            }
            name
        } else {
            return Err(error(Fault::Namespace));
        };
        let channel = Self::by_name_in_any_case(name).ok_or_else(|| error(Fault::Unknown))?;
        if without_query(path) != URL_TAIL {
            return Err(error(Fault::Shape));
        }
        Ok(channel)
    }

    /// The path to which a native renderer posts on the loopback interface: `/{channel}/sentry_key`.
    pub fn path(self) -> String {
        format!("/{}/{URL_TAIL}", self.name())
    }

    /// Reads the path of a request on the loopback interface.
    pub fn from_path(path: &str) -> Result<Self, ChannelError> {
        let error = |fault| ChannelError::new(Form::Path, path, fault);
        let (name, tail) = path
            .strip_prefix('/')
            .and_then(|rest| rest.split_once('/'))
            .ok_or_else(|| error(Fault::Shape))?;
        let channel = Self::by_name(name).ok_or_else(|| error(Fault::Unknown))?;
        if without_query(tail) != URL_TAIL {
            return Err(error(Fault::Shape));
        }
        Ok(channel)
    }

    fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|channel| channel.name() == name)
    }

    fn by_name_in_any_case(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|channel| channel.name().eq_ignore_ascii_case(name))
    }
}

fn without_query(path: &str) -> &str {
    path.split(['?', '#']).next().unwrap_or(path)
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Channel {
    type Err = ChannelError;

    fn from_str(name: &str) -> Result<Self, ChannelError> {
        Self::by_name(name).ok_or_else(|| ChannelError::new(Form::Name, name, Fault::Unknown))
    }
}

/// The two ways in which the URL of a channel is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UrlForm {
    /// `{namespace}://{channel}/sentry_key`: where a webview knows custom schemes.
    Scheme,
    /// `http://{namespace}.{channel}/sentry_key`: on Windows and Android, where the webview library
    /// stands in for a host.
    Host,
}

/// Something that names no channel of the contract. The fault is with whoever sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelError {
    form: Form,
    given: Box<str>,
    fault: Fault,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Name,
    Code,
    Key,
    Url,
    Path,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Unknown,
    Namespace,
    Shape,
}

impl ChannelError {
    fn new(form: Form, given: &str, fault: Fault) -> Self {
        Self { form, given: excerpt(given).into(), fault }
    }

    /// Whether it belongs to somebody else: the form is right, the namespace is another. A host that
    /// shares its channels or schemes with the application passes these on instead of refusing them.
    ///
    /// ```
    /// use guardhouse_protocol::{Channel, Namespace};
    ///
    /// let namespace = Namespace::default();
    /// let theirs = Channel::from_key(&namespace, "some-app.save").unwrap_err();
    /// assert!(theirs.is_foreign());
    ///
    /// let nobodys = Channel::from_key(&namespace, "sentry-ipc.save").unwrap_err();
    /// assert!(!nobodys.is_foreign());
    /// ```
    pub fn is_foreign(&self) -> bool {
        self.fault == Fault::Namespace
    }

    /// What was given, shortened if it was long.
    pub fn given(&self) -> &str {
        &self.given
    }
}

impl fmt::Display for ChannelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.form {
            Form::Name => "name",
            Form::Code => "number",
            Form::Key => "key",
            Form::Url => "URL",
            Form::Path => "path",
        };
        write!(f, "the channel {what} {:?} ", &*self.given)?;
        match (self.fault, self.form) {
            (Fault::Unknown, _) => f.write_str("names no channel of the contract"),
            (Fault::Namespace, _) => f.write_str("belongs to another namespace"),
            (Fault::Shape, Form::Url) => write!(
                f,
                "is not of the form {{namespace}}://{{channel}}/{URL_TAIL} or \
                 http://{{namespace}}.{{channel}}/{URL_TAIL}"
            ),
            (Fault::Shape, Form::Path) => {
                write!(f, "is not of the form /{{channel}}/{URL_TAIL}")
            }
            (Fault::Shape, _) => f.write_str("is not of the form {namespace}.{channel}"),
        }
    }
}

impl std::error::Error for ChannelError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn app() -> Namespace {
        Namespace::new("some-app").unwrap()
    }

    #[test]
    fn the_seven_channels_have_the_keys_and_urls_of_sentry_electron() {
        let names =
            ["start", "scope", "envelope", "feedback", "status", "structured-log", "metric"];
        for (channel, name) in Channel::ALL.into_iter().zip(names) {
            assert_eq!(channel.key(&Namespace::DEFAULT), format!("sentry-ipc.{name}"));
            assert_eq!(
                channel.url(&Namespace::DEFAULT, UrlForm::Scheme),
                format!("sentry-ipc://{name}/sentry_key")
            );
            assert_eq!(
                channel.url(&app(), UrlForm::Host),
                format!("http://some-app.{name}/sentry_key")
            );
        }
    }

    #[test]
    fn every_form_is_read_back() {
        for channel in Channel::ALL {
            assert_eq!(channel.name().parse(), Ok(channel));
            assert_eq!(Channel::from_code(channel.code()), Ok(channel));
            assert_eq!(Channel::from_key(&app(), &channel.key(&app())), Ok(channel));
            assert_eq!(Channel::from_path(&channel.path()), Ok(channel));
            for form in [UrlForm::Scheme, UrlForm::Host] {
                assert_eq!(Channel::from_url(&app(), &channel.url(&app(), form)), Ok(channel));
            }
        }
    }

    #[test]
    fn urls_are_read_as_a_webview_may_hand_them_over() {
        for url in [
            "https://some-app.scope/sentry_key",
            "HTTP://Some-App.Scope/sentry_key",
            "SOME-APP://scope/sentry_key",
            "some-app://scope/sentry_key?x=1",
            "some-app://scope/sentry_key#x",
        ] {
            assert_eq!(Channel::from_url(&app(), url), Ok(Channel::Scope), "{url}");
        }
    }

    #[test]
    fn what_is_not_in_the_table_is_an_error_that_names_it() {
        for (error, message) in [
            (
                "ipc".parse::<Channel>().unwrap_err(),
                "the channel name \"ipc\" names no channel of the contract",
            ),
            (
                Channel::from_code(99).unwrap_err(),
                "the channel number \"99\" names no channel of the contract",
            ),
            (
                Channel::from_key(&app(), "some-app.nothing").unwrap_err(),
                "the channel key \"some-app.nothing\" names no channel of the contract",
            ),
            (
                Channel::from_key(&app(), "other.scope").unwrap_err(),
                "the channel key \"other.scope\" belongs to another namespace",
            ),
            (
                Channel::from_key(&app(), "scope").unwrap_err(),
                "the channel key \"scope\" is not of the form {namespace}.{channel}",
            ),
            (
                Channel::from_url(&app(), "some-app://scope.x/sentry_key").unwrap_err(),
                "the channel URL \"some-app://scope.x/sentry_key\" names no channel of the contract",
            ),
            (
                Channel::from_url(&app(), "http://some-app/sentry_key").unwrap_err(),
                "the channel URL \"http://some-app/sentry_key\" is not of the form \
                 {namespace}://{channel}/sentry_key or http://{namespace}.{channel}/sentry_key",
            ),
            (
                Channel::from_url(&app(), "file://scope/sentry_key").unwrap_err(),
                "the channel URL \"file://scope/sentry_key\" belongs to another namespace",
            ),
            (
                Channel::from_path("/scope").unwrap_err(),
                "the channel path \"/scope\" is not of the form /{channel}/sentry_key",
            ),
        ] {
            assert_eq!(error.to_string(), message);
        }
        for url in ["some-app://scope/sentry_key/x", "some-app://scope/", "some-app://scope", ""] {
            assert!(Channel::from_url(&app(), url).is_err(), "{url}");
        }
    }
}
