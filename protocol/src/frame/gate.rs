//! Who is let in: main's decision about a [`Hello`].
//!
//! It decides about what stands in the hello, not about who is inside already. Main itself refuses
//! with [`RejectionReason::Busy`], and looks whether a renderer [resumes](Hello::resumes) one that it
//! knows. The gate gives no second guess to the process id either: the socket knows who is really at
//! its other end.

use super::{Hello, Proof, Rejection, RejectionReason, Version, VersionRange};
use crate::Namespace;

/// Main's side of the handshake.
///
/// ```
/// use guardhouse_protocol::Namespace;
/// use guardhouse_protocol::frame::{
///     Gate, Hello, Proof, RejectionReason, RendererName, Role, Version,
/// };
///
/// let gate = Gate::new(Namespace::DEFAULT, Proof::new([7; 32]));
///
/// let name = RendererName::new("settings")?;
/// let mut hello = Hello::new(Namespace::DEFAULT, Role::Renderer, name, 4711, Proof::new([7; 32]));
/// assert_eq!(gate.admit(&hello), Ok(Version::ONE));
///
/// hello.proof = Proof::new([8; 32]);
/// assert_eq!(gate.admit(&hello).unwrap_err().reason(), &RejectionReason::Proof);
/// # Ok::<(), guardhouse_protocol::PayloadError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Gate {
    namespace: Namespace,
    proof: Proof,
    versions: VersionRange,
}

impl Gate {
    /// A gate for renderers of this namespace that can show this proof, in the versions that this
    /// crate speaks.
    pub fn new(namespace: Namespace, proof: Proof) -> Self {
        Self { namespace, proof, versions: VersionRange::OURS }
    }

    /// The same gate for other versions, as an older or newer main would have it.
    #[must_use]
    pub fn with_versions(self, versions: VersionRange) -> Self {
        Self { versions, ..self }
    }

    /// The version to talk in, or what to answer before hanging up.
    ///
    /// The version is looked at first, as what the rest means may depend on it; then the namespace,
    /// since a renderer of another one cannot have the right proof.
    pub fn admit(&self, hello: &Hello) -> Result<Version, Rejection> {
        let version = VersionRange::negotiate(self.versions, hello.versions)
            .map_err(|mismatch| Rejection::new(RejectionReason::Version, &mismatch.to_string()))?;
        if hello.namespace != self.namespace {
            return Err(Rejection::new(
                RejectionReason::Namespace,
                &format!(
                    "main's namespace is {}, this renderer's is {}: give both the same ipc_namespace",
                    self.namespace, hello.namespace
                ),
            ));
        }
        if hello.proof != self.proof {
            return Err(Rejection::new(
                RejectionReason::Proof,
                "the proof is not the one that main handed out: start the renderer through main, \
                 or hand it what main gives for it",
            ));
        }
        Ok(version)
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use uuid::Uuid;

    use super::*;
    use crate::frame::{Decoder, Frame, RendererName, Role, Side, Welcome};

    fn range(min: u16, max: u16) -> VersionRange {
        VersionRange::new(Version::new(min).unwrap(), Version::new(max).unwrap()).unwrap()
    }

    fn gate() -> Gate {
        Gate::new(Namespace::DEFAULT, Proof::new([1; 32]))
    }

    fn hello() -> Hello {
        let name = RendererName::new("settings").unwrap();
        Hello::new(Namespace::DEFAULT, Role::Renderer, name, 7, Proof::new([1; 32]))
    }

    #[test]
    fn old_and_new_peers_meet_in_the_newest_version_that_both_speak() {
        for (main, renderer, common) in [
            (range(1, 1), range(1, 4), 1),
            (range(1, 4), range(1, 1), 1),
            (range(2, 4), range(1, 3), 3),
            (range(3, 3), range(1, 9), 3),
        ] {
            let hello = Hello { versions: renderer, ..hello() };
            let version = gate().with_versions(main).admit(&hello).unwrap();
            assert_eq!(version.number(), common);
            let welcome = Welcome::new(version, Uuid::nil(), Proof::new([2; 32]));
            assert_eq!(hello.check(&welcome), Ok(version));
        }
    }

    #[test]
    fn peers_without_a_common_version_hear_which_of_them_to_update() {
        for (main, renderer, who) in [
            (range(3, 4), range(1, 2), "update the renderer"),
            (range(1, 2), range(3, 4), "update main"),
        ] {
            let hello = Hello { versions: renderer, ..hello() };
            let rejection = gate().with_versions(main).admit(&hello).unwrap_err();
            assert_eq!(rejection.reason(), &RejectionReason::Version);
            assert!(rejection.message().ends_with(who), "{rejection}");
            assert!(rejection.to_string().contains(who), "{rejection}");
        }
    }

    /// A renderer of the future, as main reads it, and what the renderer reads of main's answer.
    fn meets_the_future(main: VersionRange, body: &str) -> Frame {
        let mut head = *b"\0\0\0\0\x01\0\0\0GUARDIPC";
        head[..4].copy_from_slice(&(body.len() as u32).to_le_bytes());
        let mut decoder = Decoder::new(Side::Main);
        decoder.push(&head);
        decoder.push(body.as_bytes());
        let Ok(Some(Frame::Hello(hello))) = decoder.poll() else {
            panic!("{decoder:?}");
        };
        let answer = match gate().with_versions(main).admit(&hello) {
            Ok(version) => Frame::Welcome(Welcome::new(version, Uuid::nil(), Proof::new([2; 32]))),
            Err(rejection) => Frame::Refused(rejection),
        };
        let mut wire = BytesMut::new();
        answer.encode(Side::Main, &mut wire).unwrap();
        let mut decoder = Decoder::new(Side::Renderer);
        decoder.push(&wire);
        assert_eq!(decoder.poll(), Ok(Some(answer.clone())));
        answer
    }

    #[test]
    fn a_hello_with_members_and_roles_of_the_future_is_answered_on_the_wire() {
        let body = format!(
            r#"{{"name":"w","namespace":"sentry-ipc","pid":1,"proof":"{}","role":"worklet",
                "versions":{{"min":2,"max":9}},"compression":["zstd"],"thread":{{"id":4}}}}"#,
            "01".repeat(32)
        );
        match meets_the_future(range(1, 3), &body) {
            Frame::Welcome(welcome) => assert_eq!(welcome.version.number(), 3),
            other => panic!("{other:?}"),
        }
        match meets_the_future(range(1, 1), &body) {
            Frame::Refused(rejection) => assert_eq!(
                rejection.to_string(),
                "main refused this renderer (version): main speaks version 1 of the frame format, \
                 this renderer versions 2 to 9: update main"
            ),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_version_that_was_not_offered_is_mains_fault() {
        let welcome = Welcome::new(Version::new(2).unwrap(), Uuid::nil(), Proof::new([2; 32]));
        let error = hello().check(&welcome).unwrap_err();
        assert_eq!(
            error.to_string(),
            "main chose version 2 of the frame format, but this renderer offered version 1"
        );
    }

    #[test]
    fn a_stranger_is_refused_with_the_reason() {
        let foreign = Hello { namespace: Namespace::new("some-app").unwrap(), ..hello() };
        let rejection = gate().admit(&foreign).unwrap_err();
        assert_eq!(rejection.reason(), &RejectionReason::Namespace);
        assert_eq!(
            rejection.message(),
            "main's namespace is sentry-ipc, this renderer's is some-app: give both the same \
             ipc_namespace"
        );

        for byte in 0..32 {
            let mut proof = [1; 32];
            proof[byte] ^= 0x80;
            let forged = Hello { proof: Proof::new(proof), ..hello() };
            let rejection = gate().admit(&forged).unwrap_err();
            assert_eq!(rejection.reason(), &RejectionReason::Proof);
        }
    }
}
