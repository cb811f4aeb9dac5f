//! A child process with Guardhouse in it, which does what it is told on standard input and says on
//! standard output what came of it. `guardhouse_tests::helm` is the other end, and lists the words.

use std::collections::BTreeMap;
use std::io::{self, BufRead};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use guardhouse_renderer::sentry::protocol::{Context, Map, User, Value};
use guardhouse_renderer::sentry::{self, Breadcrumb, Level};
use guardhouse_renderer::{
    Attachment, Feedback, Guard, Heartbeat, Options, Role, configure_scope, init, set_tag,
};
use guardhouse_tests::handed::{attachment, say_attached, say_feedback};
use guardhouse_tests::talk::{say, threads, threads_left, with_traces};

/// So long an answer is waited for that comes when it comes.
const PATIENCE: Duration = Duration::from_secs(60);

/// The threads that are watched. They are only names here: it is the test that lets them hang.
struct Watch {
    /// Without a beat for so long one counts as hanging.
    threshold: Duration,
    heartbeats: BTreeMap<String, Heartbeat>,
}

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let mut options = Options::new(words.next().expect("it has a name"));
    let mut watch = Watch { threshold: Duration::from_secs(5), heartbeats: BTreeMap::new() };
    while let Some(word) = words.next() {
        let mut value = || words.next().expect("an option has a value");
        options = match word.as_str() {
            "--namespace" => options.ipc_namespace(value()),
            "--mode" => options.ipc_mode(value().parse().expect("a mode")),
            "--utility" => options.role(Role::Utility),
            "--spool" => options.spool_dir(value()),
            "--max-items" => options.max_items(value().parse().expect("a number")),
            "--max-bytes" => options.max_bytes(value().parse().expect("a number")),
            "--shutdown" => options.shutdown_timeout(millis(&value())),
            "--debug" => options.debug(true),
            "--threshold" => {
                watch.threshold = millis(&value());
                options
            }
            "--traces" => {
                let rate = value().parse().expect("a number");
                options.sentry(with_traces(rate))
            }
            other => panic!("unknown option {other}"),
        };
    }
    let guard = match init(options) {
        Ok(guard) => guard,
        Err(error) => {
            say(&format!("failed {error}"));
            return ExitCode::FAILURE;
        }
    };
    say("ready");
    for line in io::stdin().lock().lines() {
        let line = line.expect("whoever drives speaks UTF-8");
        let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
        if word == "close" {
            let start = Instant::now();
            let is_durable = guard.close(millis(rest));
            say(&format!("closed {is_durable} {}", start.elapsed().as_millis()));
            say(&format!("left {}", threads_left()));
            return ExitCode::SUCCESS;
        }
        if word == "drop" {
            let start = Instant::now();
            drop(guard);
            say(&format!("dropped {}", start.elapsed().as_millis()));
            say(&format!("left {}", threads_left()));
            return ExitCode::SUCCESS;
        }
        if !watch.obey(&guard, word, rest) {
            obey(&guard, word, rest);
        }
    }
    // Whoever drives is gone. It ends as a process that is told to quit.
    ExitCode::SUCCESS
}

impl Watch {
    /// Does what is about a heartbeat. Says whether it was.
    fn obey(&mut self, guard: &Guard, word: &str, name: &str) -> bool {
        let heartbeat = || self.heartbeats.get(name).expect("it is watched");
        match word {
            "watch" => {
                let heartbeat = guard.heartbeat(name).with(self.threshold / 4, self.threshold);
                self.heartbeats.insert(name.to_owned(), heartbeat);
            }
            "beat" => heartbeat().beat(),
            "pause" => heartbeat().pause(),
            "resume" => heartbeat().resume(),
            "unwatch" => drop(self.heartbeats.remove(name)),
            _ => return false,
        }
        say("done");
        true
    }
}

fn obey(guard: &Guard, word: &str, rest: &str) {
    let (first, second) = rest.split_once(' ').unwrap_or((rest, ""));
    match word {
        "capture" => say(&format!("captured {}", sentry::capture_message(rest, Level::Info))),
        "error" => {
            let error = io::Error::other(rest.to_owned());
            say(&format!("captured {}", sentry::capture_error(&error)));
        }
        "fill" => {
            // Another time they are numbered on.
            static NEXT: AtomicU64 = AtomicU64::new(0);
            for _ in 0..rest.parse().expect("a number") {
                let number = NEXT.fetch_add(1, Ordering::Relaxed);
                sentry::capture_message(&format!("fill {number}"), Level::Info);
            }
            say("done");
        }
        "crumb" => {
            let message = Some(rest.to_owned());
            guardhouse_renderer::add_breadcrumb(Breadcrumb { message, ..Breadcrumb::default() });
            say("done");
        }
        "sentry-crumb" => {
            let message = Some(rest.to_owned());
            sentry::add_breadcrumb(Breadcrumb { message, ..Breadcrumb::default() });
            say("done");
        }
        "tag" => {
            set_tag(first, second);
            say("done");
        }
        "sentry-tag" => {
            sentry::configure_scope(|scope| scope.set_tag(first, second));
            say("done");
        }
        // Something of each kind that there is.
        "scope-all" => {
            let user = User { id: Some("7".to_owned()), ..User::default() };
            let document = Map::from([("pages".to_owned(), Value::from(12))]);
            let attachment = Attachment::new("notes.txt", "noted").expect("it is small");
            configure_scope(|scope| {
                scope.set_user(Some(user));
                scope.set_extra("depth", Value::from(3));
                scope.set_context("document", Context::Other(document));
                scope.set_level(Some(Level::Warning));
                scope.set_fingerprint(Some(&["mine"]));
                scope.set_transaction(Some("reading"));
                scope.add_attachment(attachment);
            });
            say("done");
        }
        "scope-nothing" => {
            configure_scope(|scope| {
                scope.clear();
            });
            say("done");
        }
        "log" => {
            sentry::logger_info!("{}", rest);
            say("done");
        }
        "metric" => {
            let value: u32 = second.parse().expect("a number");
            sentry::metrics::counter(first.to_owned(), value).capture();
            say("done");
        }
        "transaction" => {
            let transaction = sentry::start_transaction(guard.continue_trace(rest, "test"));
            let headers: Vec<_> = transaction.iter_headers().map(|(_, value)| value).collect();
            transaction.finish();
            say(&format!("trace {}", headers.join(" ")));
        }
        "headers" => {
            let headers = guard.trace_headers();
            let headers = headers.iter().map(|(name, value)| format!(" {name}={value}"));
            say(&format!("headers{}", headers.collect::<String>()));
        }
        "feedback" => say_feedback(guard.send_feedback(&Feedback::new(rest))),
        "attach" => {
            let (options, source) = attachment(rest);
            say_attached(guard.attach(options, source));
        }
        "flush" => {
            let start = Instant::now();
            let is_durable = guard.flush(millis(rest));
            say(&format!("flushed {is_durable} {}", start.elapsed().as_millis()));
        }
        "panic" => {
            let (message, start) = (rest.to_owned(), Instant::now());
            let _ = std::thread::spawn(move || panic!("{message}")).join();
            say(&format!("panicked {}", start.elapsed().as_millis()));
        }
        "unwind" => panic!("{rest}"),
        // A panic on a thread, and an end right after it that nobody sees coming.
        "abort" => {
            if !rest.is_empty() {
                let message = rest.to_owned();
                let _ = std::thread::spawn(move || panic!("{message}")).join();
            }
            std::process::abort();
        }
        "way" => say(&format!("way {}", way(guard))),
        // There is no signal for it, and none but a test would want one.
        "await" => {
            let start = Instant::now();
            while way(guard) != rest && start.elapsed() < PATIENCE {
                std::thread::sleep(Duration::from_millis(1));
            }
            say(&format!("way {}", way(guard)));
        }
        "threads" => say(&format!("threads {}", threads())),
        "again" => {
            let error = init(Options::new("again")).expect_err("it runs already");
            say(&format!("failed {error}"));
        }
        "exit" => std::process::exit(rest.parse().unwrap_or(0)),
        other => panic!("unknown word {other}"),
    }
}

fn way(guard: &Guard) -> String {
    guard.way().map_or_else(|| "none".to_owned(), |way| format!("{way:?}").to_lowercase())
}

fn millis(text: &str) -> Duration {
    Duration::from_millis(text.parse().expect("milliseconds"))
}
