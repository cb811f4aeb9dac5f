//! What comes over main's sockets: real processes, and renderers made by hand.
#![cfg(unix)]

mod classic;
mod promise_6;

use guardhouse_tests::desk::{Desk, Scratch, runtime_of};
use guardhouse_tests::sentry::Sentry;
use guardhouse_tests::wire::{self, Wire};

/// A main that runs.
struct House {
    sentry: Sentry,
    cache: Scratch,
    desk: Desk,
}

impl House {
    #[track_caller]
    fn start(options: &[&str]) -> Self {
        let (sentry, cache) = (Sentry::start(), Scratch::new());
        let desk = Desk::start(env!("CARGO_BIN_EXE_desk"), cache.path(), &sentry.dsn(), options);
        Self { sentry, cache, desk }
    }

    #[track_caller]
    fn note(&self) -> guardhouse_process::meeting::Meeting {
        wire::note(&runtime_of(self.cache.path()))
    }

    #[track_caller]
    fn renderer(&self, name: &str) -> Wire {
        Wire::welcome(&self.note(), name)
    }
}
