//! An application with Guardhouse in it, which does what it is told on standard input and says on
//! standard output what came of it. `guardhouse_tests::desk` is the other end, and lists the words.

use std::io::{self, BufRead};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use guardhouse_main::outbox::spool::{Hook, Step};
use guardhouse_main::sentry::{self, Breadcrumb, Level};
use guardhouse_main::session::SessionMode;
use guardhouse_main::{
    Channel, Feedback, Guard, MessageAnswer, Options, RendererInfo, Uuid, app, init,
};
use guardhouse_tests::handed::{attachment, say_attached, say_feedback};
use guardhouse_tests::talk::{say, threads, threads_left, with_traces};

fn main() -> ExitCode {
    // With it, release and environment are what they are without a word.
    let is_bare = std::env::args().any(|word| word == "--bare");
    let mut options = match is_bare {
        true => Options::new(app!()),
        false => Options::new(app!()).release("desk@5.1.0").environment("test"),
    };
    let (mut hooks, mut words) = (Vec::new(), std::env::args().skip(1));
    while let Some(word) = words.next() {
        let mut value = || words.next().expect("an option has a value");
        options = match word.as_str() {
            "--cache-dir" => options.cache_dir(PathBuf::from(value())),
            "--dsn" => options.dsn(value()),
            "--consent" => options.require_consent(true),
            "--no-session" => options.session_mode(SessionMode::Off),
            "--background" => {
                let background = Duration::from_millis(value().parse().expect("milliseconds"));
                options.session_mode(SessionMode::Window { background })
            }
            "--shutdown" => {
                let millis = value().parse().expect("milliseconds");
                options.shutdown_timeout(Duration::from_millis(millis))
            }
            "--max-items" => options.max_items(value().parse().expect("a number")),
            "--debug" => options.debug(true),
            "--release" => options.release(value()),
            "--bare" => options,
            "--environment" => options.environment(value()),
            "--dist" => options.dist(value()),
            "--max-bytes" => options.max_bytes(value().parse().expect("a number")),
            "--max-item-bytes" => options.max_item_bytes(value().parse().expect("a number")),
            "--max-age" => options.max_age(Duration::from_secs(value().parse().expect("seconds"))),
            "--traces" => {
                let rate = value().parse().expect("a number");
                options.sentry(with_traces(rate))
            }
            "--seen" => {
                hooks.insert(0, witness());
                options
            }
            "--kill" => {
                hooks.push(killer(&value()));
                options
            }
            "--hang-at" => {
                hooks.push(hanger(&value()));
                options
            }
            "--full-when" => {
                hooks.push(full_disk(PathBuf::from(value())));
                options
            }
            "--spotlight" => options.spotlight(value()),
            "--tunnel" => options.tunnel(value()),
            "--namespace" => options.ipc_namespace(value()),
            #[cfg(unix)]
            "--mode" => options.ipc_mode(value().parse().expect("a mode")),
            #[cfg(unix)]
            "--events" => options.renderer_events(guardhouse_tests::children::reasons(&value())),
            "--http-proxy" => options.http_proxy(value()),
            "--ca" => options.ca_certificates(value()),
            "--app-root" => options.app_root(value()),
            "--sample-rate" => options.sample_rate(value().parse().expect("a number")),
            "--pii" => options.send_default_pii(true),
            "--server-name" => {
                let sentry = sentry::ClientOptions::new()
                    .server_name(value())
                    .release("desk@5.1.0")
                    .environment("test");
                options.sentry(sentry)
            }
            "--trace" => {
                let sentry = sentry::ClientOptions::new().traces_sample_rate(1.0);
                options.sentry(sentry)
            }
            // The hook drops what has this in its message.
            "--drop-with" => {
                let word = value();
                options.before_send(move |event| {
                    let is_meant = |message: &String| message.contains(&word);
                    (!event.message.as_ref().is_some_and(is_meant)).then_some(event)
                })
            }
            // The hook hangs for good when it sees this message.
            "--hang-on" => {
                let message = value();
                options.before_send(move |event| {
                    while event.message.as_ref() == Some(&message) {
                        std::thread::park();
                    }
                    Some(event)
                })
            }
            other => panic!("unknown option {other}"),
        };
    }
    if !hooks.is_empty() {
        options = options.spool_hook(Arc::new(move |step| hooks.iter().try_for_each(|h| h(step))));
    }
    let guard = match init(options) {
        Ok(guard) => guard,
        Err(error) => {
            say(&format!("failed {error}"));
            return ExitCode::FAILURE;
        }
    };
    #[cfg(unix)]
    let mut children = guardhouse_tests::children::Children::default();
    say("ready");
    for line in io::stdin().lock().lines() {
        let line = line.expect("whoever drives speaks UTF-8");
        let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
        if word == "close" {
            let millis = rest.parse().expect("milliseconds");
            let start = Instant::now();
            let is_sent = guard.close(Duration::from_millis(millis));
            say(&format!("closed {is_sent} {}", start.elapsed().as_millis()));
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
        #[cfg(unix)]
        if let Some(answer) = children.obey(&guard, word, rest) {
            say(&answer);
            continue;
        }
        obey(&guard, word, rest);
    }
    // Whoever drives is gone. It ends as an application that is told to quit.
    ExitCode::SUCCESS
}

fn obey(guard: &Guard, word: &str, rest: &str) {
    let (first, second) = rest.split_once(' ').unwrap_or((rest, ""));
    match word {
        "capture" => say(&format!("captured {}", sentry::capture_message(rest, Level::Info))),
        "error" => {
            let error = io::Error::other(rest.to_owned());
            say(&format!("captured {}", sentry::capture_error(&error)));
        }
        // Many of them, from main, and from a renderer each.
        "fill" => {
            let (level, name) = second.split_once(' ').unwrap_or((second, "fill"));
            let level =
                if level.is_empty() { Level::Info } else { level.parse().expect("a level") };
            for number in 0..first.parse().expect("a number") {
                sentry::capture_message(&format!("{name} {number}"), level);
            }
            say("done");
        }
        // An event about a request, whose address may have secrets in it.
        "request" => {
            let request = sentry::protocol::Request {
                url: Some(rest.parse().expect("an address")),
                ..Default::default()
            };
            let message = Some("request".to_owned());
            let event =
                sentry::protocol::Event { message, request: Some(request), ..Default::default() };
            say(&format!("captured {}", sentry::capture_event(event)));
        }
        // An exception that nobody has handled, without the wait of a panic.
        "unhandled" => {
            let mut exception = sentry::protocol::Exception {
                ty: "Unhandled".to_owned(),
                value: Some(rest.to_owned()),
                ..Default::default()
            };
            let mechanism = sentry::protocol::Mechanism {
                ty: "test".to_owned(),
                handled: Some(false),
                ..Default::default()
            };
            exception.mechanism = Some(mechanism);
            let event = sentry::protocol::Event {
                exception: vec![exception].into(),
                level: Level::Fatal,
                ..Default::default()
            };
            say(&format!("captured {}", sentry::capture_event(event)));
        }
        "transaction" => {
            let context = sentry::TransactionContext::new(rest, "test");
            sentry::start_transaction(context).finish();
            say("done");
        }
        "flood" => {
            let payload = "x".repeat(16 * 1024);
            for number in 0..first.parse().expect("a number") {
                let event = format!("{{}}\n{{\"type\":\"event\"}}\n{{\"message\":\"{payload}\"}}");
                let from = RendererInfo::new(Uuid::from_u128(1000 + number));
                guard.post(&from, Channel::Envelope, event, drop);
            }
            say("done");
        }
        // On a thread that nobody waits for.
        "beside" => {
            let (words, millis) = (second.to_owned(), second.parse().unwrap_or(0));
            let is_flush = first == "flush";
            let (begun, begins) = std::sync::mpsc::channel();
            std::thread::spawn(move || {
                let _ = begun.send(());
                if is_flush {
                    let client = sentry::Hub::main().client().expect("it runs");
                    client.flush(Some(Duration::from_millis(millis)));
                } else {
                    sentry::capture_message(&words, Level::Info);
                }
            });
            let _ = begins.recv();
            say("done");
        }
        // A panic on a thread, and an end right after it that nobody sees coming.
        "abort" => {
            let message = rest.to_owned();
            let _ = std::thread::spawn(move || panic!("{message}")).join();
            std::process::abort();
        }
        "crumb" => {
            let message = Some(rest.to_owned());
            guardhouse_main::add_breadcrumb(Breadcrumb { message, ..Breadcrumb::default() });
            say("done");
        }
        "sentry-crumb" => {
            let message = Some(rest.to_owned());
            sentry::add_breadcrumb(Breadcrumb { message, ..Breadcrumb::default() });
            say("done");
        }
        "tag" => {
            guardhouse_main::set_tag(first, second);
            say("done");
        }
        "sentry-tag" => {
            sentry::configure_scope(|scope| scope.set_tag(first, second));
            say("done");
        }
        // A renderer reports an event: its number, the event's id, the message.
        "event" => {
            let (id, message) = second.split_once(' ').unwrap_or((second, "hello"));
            let event = format!(
                "{{\"event_id\":\"{id}\"}}\n{{\"type\":\"event\"}}\n\
                 {{\"event_id\":\"{id}\",\"message\":\"{message}\",\"platform\":\"javascript\"}}\n"
            );
            post(guard, first, Channel::Envelope, event, id);
        }
        "scope" => post(guard, first, Channel::Scope, second.to_owned(), "scope"),
        "envelope" => {
            post(guard, first, Channel::Envelope, second.replace("\\n", "\n"), "envelope");
        }
        "feedback" => {
            post(guard, first, Channel::Feedback, second.replace("\\n", "\n"), "feedback");
        }
        "own-feedback" => say_feedback(guard.send_feedback(&Feedback::new(rest))),
        "attach" => {
            let (options, source) = attachment(rest);
            say_attached(guard.attach(options, source));
        }
        "gone" => {
            guard.renderer_gone(renderer(first).id);
            say("done");
        }
        "flush" => {
            let start = Instant::now();
            let is_sent = guard.flush(Duration::from_millis(rest.parse().expect("milliseconds")));
            say(&format!("flushed {is_sent} {}", start.elapsed().as_millis()));
        }
        "panic" => {
            let message = rest.to_owned();
            let panicking = std::thread::spawn(move || panic!("{message}"));
            let _ = panicking.join();
            say("panicked");
        }
        "give-consent" => {
            guard.give_consent();
            say("done");
        }
        "revoke-consent" => {
            guard.revoke_consent();
            say("done");
        }
        "focus" => {
            guard.report_focus(1, first == "on");
            say("done");
        }
        "startup" => match guard.startup_error() {
            Some(error) => say(&format!("startup {error}")),
            None => say("startup fine"),
        },
        "go-on" | "fail" => {
            let _ = HANGING.set(word == "fail");
            say("done");
        }
        #[cfg(unix)]
        "limit" => {
            limit(first, second);
            say("done");
        }
        "threads" => say(&format!("threads {}", threads())),
        // How long a call takes that an application makes all the time.
        "latency" => {
            let calls = (0..rest.parse().expect("a number")).map(|number: u32| {
                let start = Instant::now();
                guardhouse_main::set_tag(
                    "latency",
                    if number.is_multiple_of(2) { "even" } else { "odd" },
                );
                start.elapsed()
            });
            let mut calls: Vec<_> = calls.collect();
            calls.sort();
            let at =
                |part: usize| calls.get(calls.len() * part / 100).map_or(0, Duration::as_nanos);
            say(&format!("latency {} {}", at(50), at(99)));
        }
        "again" => {
            let error = init(Options::new(app!())).expect_err("it runs already");
            say(&format!("failed {error}"));
        }
        "exit" => std::process::exit(0),
        other => panic!("unknown word {other}"),
    }
}

fn renderer(number: &str) -> RendererInfo {
    let number = number.parse().expect("a renderer has a number");
    RendererInfo::new(Uuid::from_u128(number)).with_name(format!("page-{number}"))
}

fn post(guard: &Guard, from: &str, channel: Channel, message: String, about: &str) {
    let about = about.to_owned();
    guard.post(&renderer(from), channel, message, move |answer| {
        let answer = match answer {
            MessageAnswer::Taken => "taken".to_owned(),
            MessageAnswer::NotDurable => "memory".to_owned(),
            MessageAnswer::Feedback(result) => format!("feedback {}", result.to_json()),
            MessageAnswer::Refused { why, .. } => format!("refused {why}"),
            other => format!("{other:?}"),
        };
        say(&format!("answer {about} {answer}"));
    });
}

/// Says `seen` each time an envelope is deleted, which Sentry has then taken.
fn witness() -> Hook {
    Arc::new(|now| {
        if now == Step::Deleted {
            say("seen");
        }
        Ok(())
    })
}

/// Kills the process at the n-th time of a step: `Written:3`.
fn killer(at: &str) -> Hook {
    let (name, count) = at.split_once(':').expect("a step and a number");
    let step = Step::ALL.iter().copied().find(|step| format!("{step:?}") == name);
    let step = step.expect("there is such a step");
    let left = AtomicU64::new(count.parse().expect("a number"));
    Arc::new(move |now| {
        if now == step && left.fetch_sub(1, Ordering::Relaxed) == 1 {
            kill();
        }
        Ok(())
    })
}

/// Lets the process have only so many of something, or as many as before.
#[cfg(unix)]
fn limit(what: &str, most: &str) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let resource = match what {
        "processes" => Resource::Nproc,
        "files" => Resource::Nofile,
        "size" => Resource::Fsize,
        "memory" => Resource::As,
        other => panic!("unknown resource {other}"),
    };
    let maximum = getrlimit(resource).maximum;
    let current = if most == "-" { maximum } else { Some(most.parse().expect("a number")) };
    setrlimit(resource, Rlimit { current, maximum }).expect("a soft limit is everybody's own");
}

/// Whether what hangs fails, once it is told to go on.
static HANGING: OnceLock<bool> = OnceLock::new();

/// Hangs at a step until it is told to go on.
fn hanger(at: &str) -> Hook {
    let step = Step::ALL.iter().copied().find(|step| format!("{step:?}") == at);
    let step = step.expect("there is such a step");
    Arc::new(move |now| {
        if now == step && *HANGING.wait() {
            return Err(io::Error::other("the disk has failed in a test"));
        }
        Ok(())
    })
}

/// Lets no file be made, as on a full disk, while there is this one.
fn full_disk(file: PathBuf) -> Hook {
    Arc::new(move |now| {
        if now == Step::Create && file.exists() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    })
}

/// Ends the process at once, as nobody can prevent.
fn kill() -> ! {
    #[cfg(unix)]
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    std::process::abort()
}
