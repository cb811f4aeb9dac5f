//! The threads whose hanging main is to notice.
//!
//! A watched thread beats, which costs it no more than a write to memory. The SDK thread looks at
//! intervals whether it has, and only then says so to main; so main hears of a thread that hangs by
//! hearing nothing, whatever else the process does. It is main that watches and reports.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use guardhouse_process::lock;
use guardhouse_protocol::{RendererState, Status};

use crate::house::House;

/// No interval is shorter, so that watching a thread never costs much.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(10);

/// Times that are longer than a day main takes for a day.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// A thread of this process that main watches. [`Guard::heartbeat`](crate::Guard::heartbeat) makes it;
/// it is moved to the thread, which beats at least as often as the interval says. The watch begins with
/// the first beat, and dropping the heartbeat ends it.
///
/// A loop that may wait for long on purpose, for input or for work, pauses the watch meanwhile.
///
/// ```no_run
/// # fn work(guard: &guardhouse_renderer::Guard, jobs: std::sync::mpsc::Receiver<u32>) {
/// use std::time::Duration;
///
/// let heartbeat = guard
///     .heartbeat("worker")
///     .with(Duration::from_millis(500), Duration::from_secs(3));
/// std::thread::spawn(move || {
///     for job in jobs {
///         heartbeat.resume();
///         // … the job, in steps, with a `heartbeat.beat()` after each
///         # let _ = job;
///         heartbeat.pause();
///     }
/// });
/// # }
/// ```
#[derive(Debug)]
#[must_use = "dropping the heartbeat ends the watch"]
pub struct Heartbeat {
    pulse: Arc<Pulse>,
    house: Arc<House>,
}

/// What the watched thread and the SDK thread share.
#[derive(Debug)]
struct Pulse {
    thread: Box<str>,
    has_beaten: AtomicBool,
    /// One of the states below.
    state: AtomicU8,
    times: Mutex<Times>,
}

const NOT_BEGUN: u8 = 0;
const BEATING: u8 = 1;
const PAUSED: u8 = 2;
const OVER: u8 = 3;

#[derive(Clone, Copy, Debug)]
struct Times {
    interval: Duration,
    threshold: Duration,
}

impl Heartbeat {
    pub(crate) fn begin(house: &Arc<House>, thread: &str) -> Self {
        let default = Status::new(RendererState::Alive);
        let times = Times { interval: default.poll_interval, threshold: default.anr_threshold };
        let pulse = Arc::new(Pulse {
            thread: thread.into(),
            has_beaten: AtomicBool::new(false),
            state: AtomicU8::new(NOT_BEGUN),
            times: Mutex::new(times),
        });
        house.heartbeats().watch(pulse.clone());
        Self { pulse, house: house.clone() }
    }

    /// Looks for a beat each `interval`, and takes `threshold` without one for a hang. By default these
    /// are 1 and 5 seconds. An interval of more than half the threshold would make every second beat
    /// look late, so it is cut to that.
    pub fn with(self, interval: Duration, threshold: Duration) -> Self {
        let threshold = threshold.clamp(2 * SHORTEST_INTERVAL, LONGEST);
        let interval = interval.clamp(SHORTEST_INTERVAL, threshold / 2);
        *lock(&self.pulse.times) = Times { interval, threshold };
        self.house.heartbeats().look_anew(&self.pulse);
        self.house.stir_heartbeats();
        self
    }

    /// The thread runs. It may say so as often as it likes.
    pub fn beat(&self) {
        self.pulse.has_beaten.store(true, Ordering::Relaxed);
        if self.pulse.state.load(Ordering::Relaxed) == NOT_BEGUN {
            self.turn(BEATING);
        }
    }

    /// The thread is going to wait on purpose, and is not watched until it [resumes](Self::resume).
    pub fn pause(&self) {
        self.turn(PAUSED);
    }

    /// The thread is done with waiting, and is watched again.
    pub fn resume(&self) {
        self.pulse.has_beaten.store(true, Ordering::Relaxed);
        self.turn(BEATING);
    }

    fn turn(&self, state: u8) {
        if self.pulse.state.swap(state, Ordering::AcqRel) != state {
            self.house.stir_heartbeats();
        }
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.turn(OVER);
    }
}

/// What the SDK thread has to look after.
#[derive(Debug, Default)]
pub(crate) struct Heartbeats {
    watched: Vec<Watched>,
}

#[derive(Debug)]
struct Watched {
    pulse: Arc<Pulse>,
    /// When to look next; nothing while main does not watch.
    next: Option<Instant>,
}

impl Heartbeats {
    fn watch(&mut self, pulse: Arc<Pulse>) {
        self.watched.push(Watched { pulse, next: None });
    }

    /// Has the times of a thread said again.
    fn look_anew(&mut self, pulse: &Arc<Pulse>) {
        for watched in self.watched.iter_mut().filter(|watched| Arc::ptr_eq(&watched.pulse, pulse))
        {
            watched.next = None;
        }
    }

    /// What there is to say to main now: messages of the status channel.
    pub(crate) fn poll(&mut self, now: Instant) -> Vec<Bytes> {
        let mut messages = Vec::new();
        self.watched.retain_mut(|watched| {
            messages
                .extend(watched.poll(now).map(|status| Bytes::from(status.to_json().to_string())));
            watched.pulse.state.load(Ordering::Acquire) != OVER
        });
        messages
    }

    /// When to look again; nothing if no thread is watched.
    pub(crate) fn timeout(&self) -> Option<Instant> {
        self.watched.iter().filter_map(|watched| watched.next).min()
    }
}

impl Watched {
    fn poll(&mut self, now: Instant) -> Option<Status> {
        let times = *lock(&self.pulse.times);
        let is_beating = self.pulse.state.load(Ordering::Acquire) == BEATING;
        let state = match self.next {
            Some(_) if !is_beating => {
                self.next = None;
                RendererState::Hidden
            }
            // Main does not watch it, and knows.
            None if !is_beating => return None,
            Some(next) if now < next => return None,
            next => {
                self.next = Some(now + times.interval);
                let has_beaten = self.pulse.has_beaten.swap(false, Ordering::Relaxed);
                // The watch begins with being told of it.
                if next.is_some() && !has_beaten {
                    return None;
                }
                RendererState::Alive
            }
        };
        let mut status = Status::new(state).with_thread(&self.pulse.thread);
        status.poll_interval = times.interval;
        status.anr_threshold = times.threshold;
        Some(status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn house() -> Arc<House> {
        House::new(false, 10, None)
    }

    fn said(house: &House, now: Instant) -> Vec<(RendererState, Option<String>)> {
        let messages = house.heartbeats().poll(now);
        let read = |message: Bytes| {
            let status = Status::parse(&message).unwrap();
            (status.state, status.thread().map(str::to_owned))
        };
        messages.into_iter().map(read).collect()
    }

    fn alive(thread: &str) -> (RendererState, Option<String>) {
        (RendererState::Alive, Some(thread.to_owned()))
    }

    fn hidden(thread: &str) -> (RendererState, Option<String>) {
        (RendererState::Hidden, Some(thread.to_owned()))
    }

    #[test]
    fn a_thread_that_beats_is_said_to_be_alive_once_each_interval_and_one_that_hangs_is_not() {
        let (house, start) = (house(), Instant::now());
        let second = Duration::from_secs(1);
        let heartbeat = Heartbeat::begin(&house, "ui");
        assert!(said(&house, start).is_empty(), "it has not begun");
        heartbeat.beat();
        assert_eq!(said(&house, start), [alive("ui")]);
        assert_eq!(house.heartbeats().timeout(), Some(start + second));
        for _ in 0..1000 {
            heartbeat.beat();
        }
        assert!(said(&house, start + second / 2).is_empty());
        assert_eq!(said(&house, start + second), [alive("ui")]);
        assert!(said(&house, start + 2 * second).is_empty(), "there was no beat");
        assert_eq!(house.heartbeats().timeout(), Some(start + 3 * second));
        heartbeat.beat();
        assert_eq!(said(&house, start + 3 * second), [alive("ui")]);
    }

    #[test]
    fn a_thread_that_waits_on_purpose_is_not_watched_and_wakes_nobody() {
        let (house, now) = (house(), Instant::now());
        let heartbeat = Heartbeat::begin(&house, "worker");
        heartbeat.pause();
        assert!(said(&house, now).is_empty());
        heartbeat.resume();
        assert_eq!(said(&house, now), [alive("worker")]);
        heartbeat.pause();
        heartbeat.pause();
        assert_eq!(said(&house, now), [hidden("worker")]);
        assert_eq!(house.heartbeats().timeout(), None);
        assert!(said(&house, now + LONGEST).is_empty());
        heartbeat.resume();
        assert_eq!(said(&house, now), [alive("worker")]);
        drop(heartbeat);
        assert_eq!(said(&house, now), [hidden("worker")]);
        assert!(house.heartbeats().watched.is_empty());
    }

    #[test]
    fn the_times_are_said_and_kept_within_reason() {
        let (house, now) = (house(), Instant::now());
        let heartbeat = Heartbeat::begin(&house, "ui");
        let said = |house: &House| Status::parse(&house.heartbeats().poll(now)[0]).unwrap();
        heartbeat.beat();
        assert_eq!(said(&house).anr_threshold, Duration::from_secs(5));
        let heartbeat = heartbeat.with(Duration::ZERO, Duration::from_millis(300));
        let status = said(&house);
        assert_eq!(status.anr_threshold, Duration::from_millis(300));
        assert_eq!(status.poll_interval, SHORTEST_INTERVAL);
        let _heartbeat = heartbeat.with(Duration::MAX, Duration::MAX);
        let status = said(&house);
        assert_eq!((status.anr_threshold, status.poll_interval), (LONGEST, LONGEST / 2));
    }

    #[test]
    fn however_often_a_thread_pauses_the_sdk_thread_is_asked_once() {
        let house = house();
        let heartbeat = Heartbeat::begin(&house, "worker");
        for _ in 0..1000 {
            heartbeat.resume();
            heartbeat.pause();
        }
        let visits = || std::iter::from_fn(|| house.doorway().next()).count();
        assert_eq!(visits(), 1);
        house.hear_heartbeats();
        heartbeat.resume();
        assert_eq!(visits(), 1);
    }
}
