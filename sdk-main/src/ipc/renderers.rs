//! Who is there: the native renderers that main has welcomed, and whom it lets in.
//!
//! It decides about a hello and remembers what came of it; it knows no socket. What a renderer has
//! said, and what is to be done about its end, is the SDK thread's.

use std::collections::BTreeMap;
use std::time::SystemTime;

use guardhouse_protocol::Namespace;
use guardhouse_protocol::frame::{
    Gate, Hello, Proof, Rejection, RejectionReason, RendererName, Role, Welcome,
};
use uuid::Uuid;

/// So many native renderers are welcome at the same time. An application has dozens.
pub(crate) const RENDERERS: usize = 256;

/// A native renderer that main knows.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Renderer {
    /// The id that main has given it.
    pub id: Uuid,
    /// What it calls itself.
    pub name: String,
    /// What kind of process it is: `renderer`, `utility`, or what a newer one says.
    pub role: String,
    /// Its process id.
    pub pid: u32,
    /// How it talks to main now. Nothing if no connection of it is open, as it is between two of them.
    pub way: Option<Way>,
    /// Since when main knows it.
    pub since: SystemTime,
}

/// How a renderer talks to main.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Way {
    /// Over a local socket.
    Classic,
    /// Over HTTP on the loopback interface.
    Protocol,
}

/// Where a renderer introduces itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entrance {
    /// At a socket that main has handed over itself: whoever holds it has proved enough.
    Inherited,
    /// At main's socket, where the system says who it is, if it can.
    Socket {
        /// Its process id.
        pid: Option<u32>,
    },
    /// At main's address.
    Protocol,
}

/// Everyone who is there.
#[derive(Debug)]
pub(crate) struct Renderers {
    gate: Gate,
    inherited: Gate,
    known: BTreeMap<Uuid, Known>,
    turned_away: BTreeMap<&'static str, u64>,
}

#[derive(Debug)]
struct Known {
    welcome: Welcome,
    name: RendererName,
    role: Role,
    pid: u32,
    since: SystemTime,
    /// How many connections of each way are open.
    classic: usize,
    protocol: usize,
}

impl Renderers {
    /// Nobody, and a gate for those who know the proof.
    pub(crate) fn new(namespace: &Namespace, proof: Proof) -> Self {
        Self {
            gate: Gate::new(namespace.clone(), proof),
            inherited: Gate::new(namespace.clone(), Proof::new([0; 32])),
            known: BTreeMap::new(),
            turned_away: BTreeMap::new(),
        }
    }

    /// Decides about a hello. Says also whether it is somebody new.
    pub(crate) fn welcome(
        &mut self,
        hello: &Hello,
        entrance: Entrance,
    ) -> Result<(Welcome, bool), Rejection> {
        let gate = if entrance == Entrance::Inherited { &self.inherited } else { &self.gate };
        let version = match gate.admit(hello) {
            Ok(version) => version,
            Err(rejection) => {
                self.turn_away(name_of(rejection.reason()));
                return Err(rejection);
            }
        };
        let resumed = hello.resume.as_ref().and_then(|resume| self.known.get(&resume.renderer_id));
        if let Some(known) = resumed.filter(|known| hello.resumes(&known.welcome)) {
            let Welcome { renderer_id, secret, .. } = known.welcome.clone();
            return Ok((Welcome::new(version, renderer_id, secret), false));
        }
        if self.known.len() >= RENDERERS {
            self.turn_away(name_of(&RejectionReason::Busy));
            let why = format!(
                "there are {RENDERERS} renderers already; look for some that start others without end"
            );
            return Err(Rejection::new(RejectionReason::Busy, &why));
        }
        let welcome = Welcome::new(version, Uuid::new_v4(), secret());
        let known = Known {
            welcome: welcome.clone(),
            name: hello.name.clone(),
            role: hello.role.clone(),
            pid: match entrance {
                // The system knows better than the renderer.
                Entrance::Socket { pid: Some(pid) } => pid,
                _ => hello.pid,
            },
            since: SystemTime::now(),
            classic: 0,
            protocol: 0,
        };
        self.known.insert(welcome.renderer_id, known);
        Ok((welcome, true))
    }

    /// Whether the secret is that of the renderer with this id.
    pub(crate) fn recognises(&self, id: Uuid, secret: &Proof) -> bool {
        self.known.get(&id).is_some_and(|known| known.welcome.secret == *secret)
    }

    /// Counts somebody who was not let in.
    pub(crate) fn turn_away(&mut self, why: &'static str) {
        *self.turned_away.entry(why).or_default() += 1;
    }

    /// Who was not let in, by reason.
    pub(crate) fn turned_away(&self) -> Vec<(&'static str, u64)> {
        self.turned_away.iter().map(|(why, count)| (*why, *count)).collect()
    }

    /// A connection of a renderer is open.
    pub(crate) fn link(&mut self, id: Uuid, way: Way) {
        if let Some(known) = self.known.get_mut(&id) {
            *known.links(way) += 1;
        }
    }

    /// A connection of a renderer is closed.
    pub(crate) fn unlink(&mut self, id: Uuid, way: Way) {
        if let Some(known) = self.known.get_mut(&id) {
            let links = known.links(way);
            *links = links.saturating_sub(1);
        }
    }

    /// How many connections of it are open on a way.
    pub(crate) fn links(&mut self, id: Uuid, way: Way) -> usize {
        self.known.get_mut(&id).map_or(0, |known| *known.links(way))
    }

    /// Whether a connection of it is open.
    pub(crate) fn is_linked(&self, id: Uuid) -> bool {
        self.known.get(&id).is_some_and(|known| known.classic + known.protocol > 0)
    }

    /// One of them.
    pub(crate) fn get(&self, id: Uuid) -> Option<Renderer> {
        self.known.get(&id).map(Known::describe)
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<Renderer> {
        self.known.values().map(Known::describe).collect()
    }

    /// Forgets one that is gone. Its secret is good for nothing from now on.
    pub(crate) fn forget(&mut self, id: Uuid) {
        self.known.remove(&id);
    }
}

impl Known {
    fn links(&mut self, way: Way) -> &mut usize {
        match way {
            Way::Classic => &mut self.classic,
            Way::Protocol => &mut self.protocol,
        }
    }

    fn describe(&self) -> Renderer {
        let way = match (self.classic, self.protocol) {
            (0, 0) => None,
            (0, _) => Some(Way::Protocol),
            _ => Some(Way::Classic),
        };
        Renderer {
            id: self.welcome.renderer_id,
            name: self.name.as_str().to_owned(),
            role: self.role.name().to_owned(),
            pid: self.pid,
            way,
            since: self.since,
        }
    }
}

/// A secret that nobody can guess: two ids have 244 bits of chance in them.
pub(crate) fn secret() -> Proof {
    let mut bytes = [0; 32];
    bytes[..16].copy_from_slice(Uuid::new_v4().as_bytes());
    bytes[16..].copy_from_slice(Uuid::new_v4().as_bytes());
    Proof::new(bytes)
}

/// The reason as it is counted.
fn name_of(reason: &RejectionReason) -> &'static str {
    match reason {
        RejectionReason::Namespace => "namespace",
        RejectionReason::Proof => "proof",
        RejectionReason::Version => "version",
        RejectionReason::Busy => "busy",
        RejectionReason::Malformed => "malformed",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(proof: Proof) -> Hello {
        let name = RendererName::new("helper").unwrap();
        Hello::new(Namespace::DEFAULT, Role::Utility, name, 7, proof)
    }

    fn renderers() -> Renderers {
        Renderers::new(&Namespace::DEFAULT, Proof::new([1; 32]))
    }

    #[test]
    fn who_shows_the_proof_is_let_in_and_known_by_its_secret() {
        let mut renderers = renderers();
        let entrance = Entrance::Socket { pid: Some(4711) };
        let (welcome, is_new) = renderers.welcome(&hello(Proof::new([1; 32])), entrance).unwrap();
        assert!(is_new);
        assert!(renderers.recognises(welcome.renderer_id, &welcome.secret));
        assert!(!renderers.recognises(welcome.renderer_id, &Proof::new([1; 32])));
        assert!(!renderers.recognises(Uuid::nil(), &welcome.secret));
        let renderer = renderers.get(welcome.renderer_id).unwrap();
        assert_eq!((renderer.pid, renderer.role.as_str()), (4711, "utility"));

        renderers.forget(welcome.renderer_id);
        assert!(!renderers.recognises(welcome.renderer_id, &welcome.secret));
    }

    #[test]
    fn the_empty_proof_opens_the_inherited_socket_only() {
        let mut renderers = renderers();
        let empty = hello(Proof::new([0; 32]));
        for entrance in [Entrance::Protocol, Entrance::Socket { pid: None }] {
            let rejection = renderers.welcome(&empty, entrance).unwrap_err();
            assert_eq!(rejection.reason(), &RejectionReason::Proof);
        }
        assert!(renderers.welcome(&empty, Entrance::Inherited).is_ok());
        assert_eq!(renderers.turned_away(), [("proof", 2)]);
    }

    #[test]
    fn who_comes_back_keeps_its_id_and_who_only_claims_to_gets_another() {
        let mut renderers = renderers();
        let mut again = hello(Proof::new([1; 32]));
        let (first, _) = renderers.welcome(&again, Entrance::Protocol).unwrap();
        again.resume = Some(first.resume());
        let (second, is_new) = renderers.welcome(&again, Entrance::Protocol).unwrap();
        assert_eq!((second.resume(), is_new), (first.resume(), false));
        let stranger = Welcome::new(first.version, first.renderer_id, Proof::new([9; 32]));
        again.resume = Some(stranger.resume());
        let (third, is_new) = renderers.welcome(&again, Entrance::Protocol).unwrap();
        assert!(is_new && third.renderer_id != first.renderer_id);
    }

    #[test]
    fn it_knows_how_each_talks() {
        let mut renderers = renderers();
        let hello = hello(Proof::new([1; 32]));
        let id = renderers.welcome(&hello, Entrance::Protocol).unwrap().0.renderer_id;
        let way = |renderers: &Renderers| renderers.get(id).unwrap().way;
        assert_eq!(way(&renderers), None);
        renderers.link(id, Way::Protocol);
        assert_eq!(way(&renderers), Some(Way::Protocol));
        renderers.link(id, Way::Classic);
        assert_eq!(way(&renderers), Some(Way::Classic));
        renderers.unlink(id, Way::Classic);
        renderers.unlink(id, Way::Protocol);
        assert!(!renderers.is_linked(id));
    }

    #[test]
    fn there_are_not_more_than_it_says() {
        let mut renderers = renderers();
        let hello = hello(Proof::new([1; 32]));
        for _ in 0..RENDERERS {
            renderers.welcome(&hello, Entrance::Protocol).unwrap();
        }
        let rejection = renderers.welcome(&hello, Entrance::Protocol).unwrap_err();
        assert_eq!(rejection.reason(), &RejectionReason::Busy);
        assert_eq!(renderers.all().len(), RENDERERS);
    }
}
