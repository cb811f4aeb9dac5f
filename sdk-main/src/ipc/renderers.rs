//! Who is there: the native renderers that main has welcomed, and whom it lets in.
//!
//! It decides about a hello and remembers what came of it; it knows no socket. What a renderer has
//! said, and what is to be done about its end, is the SDK thread's.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant, SystemTime};

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
    Protocol {
        /// Its process id, if it is known to be true.
        pid: Option<u32>,
    },
}

impl Entrance {
    const fn is_protocol(self) -> bool {
        matches!(self, Self::Protocol { .. })
    }
}

/// Of the places of all, so many are for those who come over HTTP; and so many for one process at main's
/// socket, or over HTTP. Those of which it is not known which process they are count as one there, with
/// as many places as there are.
const OVER_HTTP: usize = RENDERERS / 2;
const OF_A_PROCESS: usize = RENDERERS / 4;

/// So long a renderer without a connection keeps its place when others want one.
const COME_BACK: Duration = Duration::from_secs(30);

/// Who has said nothing for so long over HTTP gives way to somebody new.
const RESTS: Duration = Duration::from_secs(5);

/// Of so many that main let go of it still knows the secrets.
const FORMER: usize = 64;

/// A renderer is new.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Arrival {
    /// The id that it had before main let go of it.
    pub(crate) former: Option<Uuid>,
    /// Those that made place for it.
    pub(crate) replaced: Vec<Uuid>,
}

/// Everyone who is there.
#[derive(Debug)]
pub(crate) struct Renderers {
    gate: Gate,
    inherited: Gate,
    known: BTreeMap<Uuid, Known>,
    former: VecDeque<Welcome>,
    turned_away: BTreeMap<&'static str, u64>,
}

#[derive(Debug)]
struct Known {
    welcome: Welcome,
    name: RendererName,
    role: Role,
    pid: u32,
    entrance: Entrance,
    since: SystemTime,
    /// When it has shown its secret over HTTP last.
    heard: Instant,
    /// Since when no connection is open.
    silent_since: Option<Instant>,
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
            former: VecDeque::new(),
            turned_away: BTreeMap::new(),
        }
    }

    /// Decides about a hello. Says also if it is somebody new.
    pub(crate) fn welcome(
        &mut self,
        hello: &Hello,
        entrance: Entrance,
    ) -> Result<(Welcome, Option<Arrival>), Rejection> {
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
            return Ok((Welcome::new(version, renderer_id, secret), None));
        }
        let mut arrival = Arrival::default();
        let former = self.former.iter().find(|former| hello.resumes(former));
        arrival.former = former.map(|former| former.renderer_id);
        if let Entrance::Socket { pid: Some(_) } = entrance {
            // It has said hello before, and has not heard the welcome or forgotten it.
            arrival.replaced = self.let_go(|known| known.entrance == entrance);
        }
        if self.has_no_place_for(entrance) {
            arrival.replaced.extend(self.let_go(|known| {
                known.silent_since.is_some_and(|since| since.elapsed() >= COME_BACK)
            }));
        }
        if self.has_no_place_for(entrance)
            && let Some(id) = self.who_gives_way_to(entrance)
        {
            self.forget(id);
            arrival.replaced.push(id);
        }
        if self.has_no_place_for(entrance) {
            self.turn_away(name_of(&RejectionReason::Busy));
            let why =
                "there are too many renderers already; look for some that start others without end";
            return Err(Rejection::new(RejectionReason::Busy, why));
        }
        let welcome = Welcome::new(version, Uuid::new_v4(), secret());
        let known = Known {
            welcome: welcome.clone(),
            name: hello.name.clone(),
            role: hello.role.clone(),
            pid: match entrance {
                // The system knows better than the renderer.
                Entrance::Socket { pid: Some(pid) } | Entrance::Protocol { pid: Some(pid) } => pid,
                _ => hello.pid,
            },
            entrance,
            since: SystemTime::now(),
            heard: Instant::now(),
            silent_since: Some(Instant::now()),
            classic: 0,
            protocol: 0,
        };
        self.known.insert(welcome.renderer_id, known);
        Ok((welcome, Some(arrival)))
    }

    fn has_no_place_for(&self, entrance: Entrance) -> bool {
        let most = match entrance {
            Entrance::Protocol { pid: None } => OVER_HTTP,
            Entrance::Socket { pid: Some(_) } | Entrance::Protocol { pid: Some(_) } => OF_A_PROCESS,
            Entrance::Socket { pid: None } | Entrance::Inherited => RENDERERS,
        };
        let over_http = || self.known.values().filter(|known| known.entrance.is_protocol()).count();
        self.known.len() >= RENDERERS
            || self.count(entrance) >= most
            || entrance.is_protocol() && over_http() >= OVER_HTTP
    }

    /// How many have come in by the same entrance, and are the same process.
    fn count(&self, entrance: Entrance) -> usize {
        self.known.values().filter(|known| known.entrance == entrance).count()
    }

    /// Who over HTTP has to give way to somebody new there: of the process that has the most places the one
    /// that has said nothing for the longest. It does so at once if the other process has fewer, and
    /// otherwise if it rests.
    fn who_gives_way_to(&self, entrance: Entrance) -> Option<Uuid> {
        if !entrance.is_protocol() {
            return None;
        }
        let own = self.count(entrance);
        let is_full = entrance != Entrance::Protocol { pid: None } && own >= OF_A_PROCESS;
        let over_http = self.known.values().map(|known| known.entrance);
        let over_http = over_http.filter(|it| it.is_protocol() && (!is_full || *it == entrance));
        let largest = over_http.max_by_key(|it| self.count(*it))?;
        let alike = self.known.iter().filter(|(_, it)| it.entrance == largest && it.classic == 0);
        let (id, quietest) = alike.min_by_key(|(_, known)| known.heard)?;
        let is_greedy = largest != entrance && self.count(largest) > own + 1;
        (is_greedy || quietest.heard.elapsed() >= RESTS).then_some(*id)
    }

    /// Lets go of those without a connection of which this is so.
    fn let_go(&mut self, is_it: impl Fn(&Known) -> bool) -> Vec<Uuid> {
        let silent = |known: &Known| known.classic + known.protocol == 0;
        let gone = self.known.iter().filter(|(_, known)| silent(known) && is_it(known));
        let gone: Vec<Uuid> = gone.map(|(id, _)| *id).collect();
        gone.iter().for_each(|id| self.forget(*id));
        gone
    }

    /// Whether the secret is that of the renderer with this id, which is then heard of.
    pub(crate) fn recognises(&mut self, id: Uuid, secret: &Proof) -> bool {
        let known = self.known.get_mut(&id).filter(|known| known.welcome.secret == *secret);
        known.map(|known| known.heard = Instant::now()).is_some()
    }

    /// Whether a hello would be somebody new: it is good, and not of one that is known already.
    pub(crate) fn is_new(&self, hello: &Hello) -> bool {
        let resumed = hello.resume.as_ref().and_then(|it| self.known.get(&it.renderer_id));
        self.gate.admit(hello).is_ok() && !resumed.is_some_and(|it| hello.resumes(&it.welcome))
    }

    /// The process of a renderer, if the system says which it is.
    pub(crate) fn process_of(&self, id: Uuid) -> Option<u32> {
        let known = self.known.get(&id)?;
        match known.entrance {
            Entrance::Socket { pid } | Entrance::Protocol { pid } => pid,
            // Main has started it itself.
            Entrance::Inherited => Some(known.pid),
        }
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
            known.silent_since = None;
        }
    }

    /// A connection of a renderer is closed.
    pub(crate) fn unlink(&mut self, id: Uuid, way: Way) {
        if let Some(known) = self.known.get_mut(&id) {
            let links = known.links(way);
            *links = links.saturating_sub(1);
            if known.classic + known.protocol == 0 {
                known.silent_since = Some(Instant::now());
            }
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
        if let Some(known) = self.known.remove(&id) {
            self.former.push_back(known.welcome);
            if self.former.len() > FORMER {
                self.former.pop_front();
            }
        }
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

    const UNKNOWN: Entrance = Entrance::Protocol { pid: None };

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
        assert_eq!(is_new, Some(Arrival::default()));
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
        for entrance in [UNKNOWN, Entrance::Socket { pid: None }] {
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
        let (first, _) = renderers.welcome(&again, UNKNOWN).unwrap();
        again.resume = Some(first.resume());
        let (second, is_new) = renderers.welcome(&again, UNKNOWN).unwrap();
        assert_eq!((second.resume(), is_new), (first.resume(), None));
        let stranger = Welcome::new(first.version, first.renderer_id, Proof::new([9; 32]));
        again.resume = Some(stranger.resume());
        let (third, is_new) = renderers.welcome(&again, UNKNOWN).unwrap();
        assert!(is_new.is_some() && third.renderer_id != first.renderer_id);
    }

    #[test]
    fn it_knows_how_each_talks() {
        let mut renderers = renderers();
        let hello = hello(Proof::new([1; 32]));
        let id = renderers.welcome(&hello, UNKNOWN).unwrap().0.renderer_id;
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
        let inherited = self::hello(Proof::new([0; 32]));
        let mut greet = |entrance| {
            let hello = if entrance == Entrance::Inherited { &inherited } else { &hello };
            let welcome = renderers.welcome(hello, entrance)?.0;
            renderers.link(welcome.renderer_id, Way::Classic);
            Ok::<_, Rejection>(welcome)
        };
        for _ in 0..OF_A_PROCESS {
            greet(Entrance::Socket { pid: Some(1) }).unwrap();
        }
        let rejection = greet(Entrance::Socket { pid: Some(1) }).unwrap_err();
        assert_eq!(rejection.reason(), &RejectionReason::Busy);
        for _ in 0..OVER_HTTP {
            greet(UNKNOWN).unwrap();
        }
        assert!(greet(UNKNOWN).is_err());
        for _ in OF_A_PROCESS + OVER_HTTP..RENDERERS {
            greet(Entrance::Inherited).unwrap();
        }
        assert!(greet(Entrance::Socket { pid: Some(2) }).is_err());
        assert_eq!(renderers.all().len(), RENDERERS);
    }

    #[test]
    fn a_process_with_few_places_over_http_is_let_in_whoever_has_the_others() {
        for greedy in [&[None][..], &[Some(1)], &[Some(1), Some(2)], &[None, Some(1)]] {
            let mut renderers = renderers();
            let hello = hello(Proof::new([1; 32]));
            let mut greet = |pid| {
                let (welcome, arrival) = renderers.welcome(&hello, Entrance::Protocol { pid })?;
                renderers.link(welcome.renderer_id, Way::Protocol);
                Ok::<_, Rejection>(arrival.unwrap().replaced)
            };
            for pid in greedy {
                while greet(*pid).is_ok_and(|replaced| replaced.is_empty()) {}
            }
            // It gets its share, and more only if others rest.
            let places = (0..OF_A_PROCESS).take_while(|_| greet(Some(7)).is_ok()).count();
            assert!(places >= OVER_HTTP / (greedy.len() + 1) - 1, "{greedy:?}: {places}");
            assert!(greet(Some(8)).is_ok());
            assert!(renderers.all().len() <= OVER_HTTP);
        }
    }

    #[test]
    fn a_process_that_says_hello_again_and_again_is_there_once() {
        let mut renderers = renderers();
        let hello = hello(Proof::new([1; 32]));
        let entrance = Entrance::Socket { pid: Some(1) };
        let (first, _) = renderers.welcome(&hello, entrance).unwrap();
        let (_, arrival) = renderers.welcome(&hello, entrance).unwrap();
        assert_eq!(arrival.unwrap().replaced, [first.renderer_id]);
        assert_eq!(renderers.all().len(), 1);
    }

    #[test]
    fn who_comes_back_after_main_let_go_is_known_by_its_secret() {
        let mut renderers = renderers();
        let mut hello = hello(Proof::new([1; 32]));
        let (first, _) = renderers.welcome(&hello, UNKNOWN).unwrap();
        renderers.forget(first.renderer_id);
        hello.resume = Some(first.resume());
        let (second, arrival) = renderers.welcome(&hello, UNKNOWN).unwrap();
        assert_ne!(second.renderer_id, first.renderer_id);
        assert_eq!(arrival.unwrap().former, Some(first.renderer_id));
    }
}
