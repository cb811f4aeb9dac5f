//! Real processes that are killed, and what Sentry hears of them all the same.
//!
//! What must hold whatever happens is said in one place, [`book`]; the other modules only differ in
//! what they do to the processes.

use std::cell::Cell;
use std::io::Read;
use std::net::{Shutdown, TcpStream};
use std::path::PathBuf;

use guardhouse_tests::desk::Scratch;
use guardhouse_tests::sentry::Sentry;

mod book;
mod campaign;
mod filling;
mod full_disk;
mod instances;
mod life;
mod order;
mod sessions;

use full_disk::Full;
use life::Life;

/// An application and a Sentry, which it may reach or not.
struct World {
    cache: Scratch,
    /// The disk that its directory is on, if it has one of its own.
    disk: Option<Full>,
    sentry: Sentry,
    /// How many processes there were. Each is a release of its own.
    launched: Cell<u32>,
}

impl World {
    fn new() -> Self {
        let sentry = Sentry::start();
        Self { cache: Scratch::new(), disk: None, sentry, launched: Cell::new(0) }
    }

    fn on(disk: Full) -> Self {
        Self { disk: Some(disk), ..Self::new() }
    }

    /// Whether somebody fills its disk.
    fn set_full(&self, is_full: bool) {
        if let Some(disk) = &self.disk {
            disk.set_full(is_full);
        }
    }

    fn path(&self) -> PathBuf {
        self.disk.as_ref().map_or_else(|| self.cache.path().to_owned(), Full::path)
    }

    fn files(&self) -> Vec<PathBuf> {
        guardhouse_tests::desk::files_in(&self.path())
    }

    /// Starts the application, and waits for nothing.
    fn launch(&self, options: &[&str]) -> Life {
        self.launched.set(self.launched.get() + 1);
        let release = format!("desk@{}", self.launched.get());
        let of_disk = self.disk.as_ref().map(Full::options).unwrap_or_default();
        let options: Vec<&str> =
            options.iter().copied().chain(of_disk.iter().map(String::as_str)).collect();
        Life::launch(&self.path(), &self.sentry, release, &options)
    }

    /// Starts the application, and waits until it runs.
    #[track_caller]
    fn start(&self, options: &[&str]) -> Life {
        let mut life = self.launch(options);
        assert!(life.hear_until("ready"), "it did not start");
        life
    }

    /// A process is dead: what it has sent is read to the end, and no matter of the next one.
    #[track_caller]
    fn close_book(&self, life: &mut Life) {
        self.sentry.recover();
        // Connections are accepted in their order, so when this one is ended all before it are known.
        let last = TcpStream::connect(self.sentry.address());
        let is_ended = last.and_then(|mut last| {
            last.shutdown(Shutdown::Write)?;
            last.read_to_end(&mut Vec::new())
        });
        assert_eq!(is_ended.expect("Sentry listens"), 0);
        self.sentry.wait_until_unconnected();
        life.requests.end = self.sentry.requests().len();
    }

    /// Lets Sentry be well and the application run until everything is sent and nothing of it left.
    ///
    /// What was lost last is told with the last words of the session, and what was lost in the run
    /// before with those of the next, so it may take a few runs.
    #[track_caller]
    fn drain(&self, context: &str) -> Vec<Life> {
        self.sentry.recover();
        let mut lives = Vec::new();
        for _ in 0..4 {
            let mut life = self.launch(&["--seen"]);
            life.tell("close 50000");
            assert!(life.hear_until("closed true"), "{context}: not everything was sent");
            life.end();
            self.close_book(&mut life);
            lives.push(life);
            if self.left_behind().is_empty() {
                return lives;
            }
        }
        panic!("{context}: something is left behind: {:?}", self.left_behind());
    }

    /// The files that should not be there when everything is sent: all but damaged envelopes that
    /// were set aside for people to look at, and the lock of the folder that these are in.
    fn left_behind(&self) -> Vec<PathBuf> {
        let files = self.files();
        let is_corrupt = |path: &&PathBuf| path.extension().is_some_and(|end| end == "corrupt");
        let folders: Vec<PathBuf> = files
            .iter()
            .filter(is_corrupt)
            .filter_map(|path| Some(path.parent()?.into()))
            .collect();
        let is_left = |path: &PathBuf| {
            let is_lock = path.extension().is_some_and(|end| end == "lock");
            !(is_corrupt(&path) || is_lock && folders.contains(&path.with_extension("")))
        };
        files.into_iter().filter(is_left).collect()
    }
}

/// Numbers that look random and are the same for the same seed.
struct Dice(u64);

impl Dice {
    /// One of so many numbers, from 0.
    fn below(&mut self, sides: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }

    /// One of these.
    fn pick<'t, T>(&mut self, from: &'t [T]) -> &'t T {
        &from[self.below(from.len() as u64) as usize]
    }
}

/// A number from the environment.
fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}
