//! How a connection begins: who is there, what both can speak, and whether main lets it in.
//!
//! The renderer sends a [`Hello`]; main answers with a [`Welcome`], or with a
//! [`Rejection`](super::Rejection) and hangs up. Over the protocol it is the same, with these as the
//! bodies of a request and its answer: see [`http`](crate::http). The bodies are JSON, and members
//! that this version does not know are ignored, so that a newer peer can say more. What is known is
//! checked here, once: a [`Hello`] that exists is well-formed. Whether it is let in is decided by
//! the [gate](super::Gate).

use std::fmt;

use uuid::Uuid;

use super::{Proof, RendererName, Role, Version, VersionRange};
use crate::Namespace;
use crate::json::{Json, ObjectWriter};
use crate::members::{Members, PayloadError};

/// A renderer introduces itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hello {
    /// Whose messages these will be.
    pub namespace: Namespace,
    /// The versions that the renderer speaks.
    pub versions: VersionRange,
    /// What kind of process it is.
    pub role: Role,
    /// What people call it.
    pub name: RendererName,
    /// Its process id. It is what the renderer says: where the socket knows better, believe the
    /// socket.
    pub pid: u32,
    /// What shows that main started it.
    pub proof: Proof,
    /// Who it was on a former connection, if this one takes its place. With it, messages and
    /// streams go on under their old ids, and main sees which it has already.
    pub resume: Option<Resume>,
}

impl Hello {
    /// The hello of a renderer that was not connected before, in the versions that this crate
    /// speaks.
    pub fn new(
        namespace: Namespace,
        role: Role,
        name: RendererName,
        pid: u32,
        proof: Proof,
    ) -> Self {
        Self { namespace, versions: VersionRange::OURS, role, name, pid, proof, resume: None }
    }

    /// The renderer's side of the handshake: the version to talk in, if main chose one of those
    /// that this hello offers.
    pub fn check(&self, welcome: &Welcome) -> Result<Version, NotOffered> {
        if self.versions.contains(welcome.version) {
            Ok(welcome.version)
        } else {
            Err(NotOffered { chosen: welcome.version, offered: self.versions })
        }
    }

    /// Whether it rightly takes the place of the renderer that was welcomed so. An id alone is no
    /// secret; only who also shows the secret is the same renderer. Where this is false, main treats
    /// the renderer as a new one and gives it an id of its own.
    pub fn resumes(&self, former: &Welcome) -> bool {
        self.resume.as_ref() == Some(&former.resume())
    }

    /// The payload of the frame, or the body of the request over the protocol.
    pub fn to_json(&self) -> Json {
        let mut versions = ObjectWriter::new();
        versions
            .member("min", u64::from(self.versions.min().number()))
            .member("max", u64::from(self.versions.max().number()));
        let mut body = ObjectWriter::new();
        body.member("namespace", self.namespace.as_str())
            .member("versions", versions.finish())
            .member("role", self.role.name())
            .member("name", self.name.as_str())
            .member("pid", u64::from(self.pid))
            .member("proof", self.proof.to_hex().as_str());
        if let Some(former) = &self.resume {
            let mut resume = ObjectWriter::new();
            resume
                .member("rendererId", former.renderer_id.to_string().as_str())
                .member("secret", former.secret.to_hex().as_str());
            body.member("resume", resume.finish());
        }
        body.finish()
    }

    /// Reads the payload of the frame, or the body of the request over the protocol.
    pub fn parse(body: &[u8]) -> Result<Self, PayloadError> {
        let members = Members::read(body)?;
        let versions = members.object("versions")?;
        let min = version(&versions, "min")?;
        let max = version(&versions, "max")?;
        Ok(Self {
            namespace: members.parsed("namespace")?,
            versions: VersionRange::new(min, max).ok_or_else(|| {
                PayloadError::invalid("versions", format!("{min} to {max} is upside down"))
            })?,
            role: Role::named(&members.text("role")?),
            name: RendererName::new(&members.text("name")?)?,
            pid: members.number("pid")?,
            proof: members.parsed("proof")?,
            resume: match members.find("resume") {
                Some(_) => Some(Resume::read(&members.object("resume")?)?),
                None => None,
            },
        })
    }
}

/// Who a renderer was on a former connection, and what shows it.
///
/// ```
/// use guardhouse_protocol::Namespace;
/// use guardhouse_protocol::frame::{Hello, Proof, RendererName, Role, Version, Welcome};
///
/// // What main said on the first connection; it keeps it, and the renderer does.
/// let welcome = Welcome::new(Version::ONE, uuid::Uuid::from_u128(7), Proof::new([1; 32]));
///
/// let name = RendererName::new("settings")?;
/// let proof = Proof::new([0xa5; 32]);
/// let mut hello = Hello::new(Namespace::DEFAULT, Role::Renderer, name, 4711, proof);
/// assert!(!hello.resumes(&welcome));
/// hello.resume = Some(welcome.resume());
/// assert!(hello.resumes(&welcome));
/// # Ok::<(), guardhouse_protocol::PayloadError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Resume {
    /// What main called it.
    pub renderer_id: Uuid,
    /// The secret that main gave it along with the id.
    pub secret: Proof,
}

impl Resume {
    fn read(members: &Members<'_>) -> Result<Self, PayloadError> {
        Ok(Self { renderer_id: members.parsed("rendererId")?, secret: members.parsed("secret")? })
    }
}

/// Main lets a renderer in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Welcome {
    /// The version in which everything after this is written, by both sides.
    pub version: Version,
    /// How main calls the renderer from now on. If the [hello](Hello::resume) asked to go on under
    /// a former id and this is another one, main does not know that id: it has forgotten, or it is
    /// a new main. Then the renderer starts over: it states its whole scope, opens its streams anew,
    /// and sends again whatever was not acknowledged.
    pub renderer_id: Uuid,
    /// What shows from now on that the renderer is the one with this id: when it [resumes](Resume)
    /// on another connection, and with each request over the protocol.
    pub secret: Proof,
}

impl Welcome {
    /// The welcome for a renderer that gets this id, and this secret that no other one has.
    pub fn new(version: Version, renderer_id: Uuid, secret: Proof) -> Self {
        Self { version, renderer_id, secret }
    }

    /// What the renderer shows to be known again.
    pub fn resume(&self) -> Resume {
        Resume { renderer_id: self.renderer_id, secret: self.secret.clone() }
    }

    /// The payload of the frame, or the body of the answer over the protocol.
    pub fn to_json(&self) -> Json {
        let mut body = ObjectWriter::new();
        body.member("version", u64::from(self.version.number()))
            .member("rendererId", self.renderer_id.to_string().as_str())
            .member("secret", self.secret.to_hex().as_str());
        body.finish()
    }

    /// Reads the payload of the frame, or the body of the answer over the protocol.
    pub fn parse(body: &[u8]) -> Result<Self, PayloadError> {
        let members = Members::read(body)?;
        Ok(Self {
            version: version(&members, "version")?,
            renderer_id: members.parsed("rendererId")?,
            secret: members.parsed("secret")?,
        })
    }
}

/// Main chose a version that the renderer had not offered. The fault is with main.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotOffered {
    /// What main chose.
    pub chosen: Version,
    /// What there was to choose from.
    pub offered: VersionRange,
}

impl fmt::Display for NotOffered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { chosen, offered } = self;
        write!(
            f,
            "main chose version {chosen} of the frame format, but this renderer offered {offered}"
        )
    }
}

impl std::error::Error for NotOffered {}

fn version(members: &Members<'_>, member: &'static str) -> Result<Version, PayloadError> {
    Version::new(members.number(member)?)
        .ok_or_else(|| PayloadError::invalid(member, "versions are counted from 1"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::limits::{HELLO_BYTES, RENDERER_NAME_BYTES};

    fn hello() -> Value {
        json!({
            "name": "settings",
            "namespace": "sentry-ipc",
            "pid": 7,
            "proof": "ab".repeat(32),
            "role": "utility",
            "versions": { "min": 1, "max": 3 },
        })
    }

    fn read(body: &Value) -> Result<Hello, PayloadError> {
        Hello::parse(body.to_string().as_bytes())
    }

    #[test]
    fn a_newer_peer_may_say_more() {
        let mut body = hello();
        body["mood"] = json!({ "good": [true, null] });
        body["role"] = json!("oracle");
        body["versions"]["preferred"] = json!(2);
        body["resume"] = json!(null);
        let read = read(&body).unwrap();
        assert_eq!(read.role, Role::Other("oracle".to_owned()));
        assert_eq!(read.versions.max().number(), 3);
        assert_eq!(read.resume, None);
    }

    #[test]
    fn every_member_is_checked_and_named() {
        for (member, value, message) in [
            ("name", json!(""), "\"name\" is invalid: \"\" has 0 bytes, but a name has 1 to 200"),
            ("name", json!("a\u{7}b"), "control character '\\u{7}' at byte 1"),
            ("name", json!("x".repeat(201)), "has 201 bytes, but a name has 1 to 200"),
            ("name", json!(1), "\"name\" is invalid: it is not a string"),
            ("namespace", json!("A"), "\"namespace\" is invalid: the IPC namespace"),
            ("pid", json!(-1), "\"pid\" is invalid: it is not a whole number"),
            ("pid", json!(1u64 << 32), "\"pid\" is invalid: it is not a whole number"),
            ("proof", json!("ab"), "\"proof\" is invalid: a proof has 64 hexadecimal digits"),
            ("resume", json!("me"), "\"resume\" is invalid: it is not an object"),
            ("resume", json!({ "rendererId": Uuid::nil().to_string() }), "\"secret\" is missing"),
            (
                "resume",
                json!({ "rendererId": "me", "secret": "ab".repeat(32) }),
                "\"rendererId\" is invalid",
            ),
            ("role", json!(null), "\"role\" is missing"),
            ("versions", json!(1), "\"versions\" is invalid: it is not an object"),
            (
                "versions",
                json!({ "min": 0, "max": 1 }),
                "\"min\" is invalid: versions are counted from 1",
            ),
            ("versions", json!({ "min": 3, "max": 2 }), "3 to 2 is upside down"),
            ("versions", json!({ "min": 3 }), "\"max\" is missing"),
        ] {
            let mut body = hello();
            body[member] = value;
            let error = read(&body).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
        for body in ["", "[]", "{", "\u{feff}{}"] {
            let error = Hello::parse(body.as_bytes()).unwrap_err();
            assert!(matches!(error, PayloadError::NotAnObject(_)), "{error}");
        }
    }

    #[test]
    fn the_longest_name_fits_a_hello_however_it_is_written() {
        for character in ["\"", "\\", "ä", "🦀"] {
            let name = character.repeat(RENDERER_NAME_BYTES / character.len());
            let mut hello = Hello::new(
                Namespace::new(&"n".repeat(64)).unwrap(),
                Role::Utility,
                RendererName::new(&name).unwrap(),
                u32::MAX,
                Proof::new([0xff; 32]),
            );
            hello.resume =
                Some(Welcome::new(Version::ONE, Uuid::max(), Proof::new([0; 32])).resume());
            assert!(hello.to_json().text().len() < HELLO_BYTES / 2);
        }
    }

    #[test]
    fn who_knows_only_the_id_of_another_does_not_take_its_place() {
        let former = Welcome::new(Version::ONE, Uuid::from_u128(7), Proof::new([1; 32]));
        let mut hello = read(&hello()).unwrap();
        hello.resume = Some(former.resume());
        assert!(hello.resumes(&former));
        for other in [
            Welcome::new(Version::ONE, Uuid::from_u128(7), Proof::new([2; 32])),
            Welcome::new(Version::ONE, Uuid::from_u128(8), Proof::new([1; 32])),
        ] {
            assert!(!hello.resumes(&other));
        }
        assert!(!format!("{hello:?} {former:?}").contains("0101"));
    }
}
