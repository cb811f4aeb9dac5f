//! What main tells renderers: the present state of each channel on which it speaks.
//!
//! Each push is all there is to say, so only the newest is kept, under a number that ascends. Whoever
//! asks says which it has, and so misses nothing.

use bytes::Bytes;
use guardhouse_protocol::{Channel, Config, Trace};
use tokio::sync::watch;
use uuid::Uuid;

/// What is pushed on a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Push {
    /// The number of the push; 0 if there was none.
    pub(crate) cursor: u64,
    /// What is said; nothing if there was nothing to say yet.
    pub(crate) payload: Option<Bytes>,
    /// Who is not told, since it comes from there.
    except: Option<Uuid>,
}

impl Push {
    const NONE: Self = Self { cursor: 0, payload: None, except: None };

    /// What a renderer is told that has the pushes up to `after`, if there is something.
    pub(crate) fn news_for(&self, renderer: Uuid, after: u64) -> Option<(u64, Bytes)> {
        let is_meant = self.cursor > after && self.except != Some(renderer);
        is_meant.then(|| self.payload.clone()).flatten().map(|payload| (self.cursor, payload))
    }
}

/// What is pushed on all channels.
#[derive(Debug)]
pub(crate) struct Pushes {
    config: watch::Sender<Push>,
    trace: watch::Sender<Push>,
}

impl Pushes {
    pub(crate) fn new() -> Self {
        Self { config: watch::Sender::new(Push::NONE), trace: watch::Sender::new(Push::NONE) }
    }

    /// Tells all renderers how to behave.
    pub(crate) fn configure(&self, config: &Config) {
        next(&self.config, Bytes::from(config.to_json().text().to_owned()), None);
    }

    /// Tells all renderers, but the one that it comes from, which trace to continue.
    pub(crate) fn trace(&self, trace: &Trace, from: Option<Uuid>) {
        next(&self.trace, Bytes::from(trace.to_json().text().to_owned()), from);
    }

    /// What is pushed on a channel, now and from now on; nothing if main does not speak there.
    pub(crate) fn of(&self, channel: Channel) -> Option<watch::Receiver<Push>> {
        match channel {
            Channel::Config => Some(self.config.subscribe()),
            Channel::Trace => Some(self.trace.subscribe()),
            _ => None,
        }
    }
}

fn next(channel: &watch::Sender<Push>, payload: Bytes, except: Option<Uuid>) {
    channel.send_modify(|push| {
        *push = Push { cursor: push.cursor + 1, payload: Some(payload), except };
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_comes_twice_and_no_change_is_missed() {
        let pushes = Pushes::new();
        let someone = Uuid::from_u128(1);
        let config = pushes.of(Channel::Config).unwrap();
        assert_eq!(config.borrow().news_for(someone, 0), None);
        for paused in [true, false] {
            pushes.configure(&Config { paused: Some(paused), ..Config::default() });
        }
        let (cursor, payload) = config.borrow().news_for(someone, 0).unwrap();
        assert_eq!((cursor, &payload[..]), (2, &br#"{"paused":false}"#[..]));
        assert_eq!(config.borrow().news_for(someone, 2), None);
        assert!(pushes.of(Channel::Envelope).is_none());
    }

    #[test]
    fn a_trace_is_not_told_to_whom_it_comes_from() {
        let pushes = Pushes::new();
        let header = "771a43a4192642f0b136d5159a501700-91595369230a4ca6-1";
        pushes.trace(&Trace::new(header, None).unwrap(), Some(Uuid::from_u128(1)));
        let trace = pushes.of(Channel::Trace).unwrap();
        assert_eq!(trace.borrow().news_for(Uuid::from_u128(1), 0), None);
        assert!(trace.borrow().news_for(Uuid::from_u128(2), 0).is_some());
    }
}
