use guardhouse_protocol::json::Value;
use guardhouse_protocol::scope::ScopeMessage;

use super::*;
use crate::merge::{Hooks, Identity, Merge, Scopes, Sender};
use crate::session::Severity;

const PAGE: Uuid = Uuid::from_u128(1);
const OTHER: Uuid = Uuid::from_u128(2);
const SECOND: Duration = Duration::from_secs(1);

/// A loop that reads what there is and then asks who hangs, with a clock of its own.
struct Scene {
    beats: Heartbeats,
    start: Instant,
    now: Instant,
}

impl Scene {
    fn new() -> Self {
        let start = Instant::now();
        Self { beats: Heartbeats::new(), start, now: start }
    }

    fn says(&mut self, renderer: Uuid, thread: &str, state: RendererState) {
        let status = Status::new(state);
        let status = if thread.is_empty() { status } else { status.with_thread(thread) };
        self.beats.hear(renderer, &status, self.now);
    }

    fn beats(&mut self, renderer: Uuid, thread: &str) {
        self.says(renderer, thread, RendererState::Alive);
    }

    /// Main is stopped.
    fn is_stopped_for(&mut self, time: Duration) {
        self.now += time;
        self.beats.woke(self.now);
    }

    /// Lets time go by, with a turn of the loop whenever there is something to do, and says who was
    /// told to hang, and when.
    fn runs_for(&mut self, time: Duration) -> Vec<(Uuid, Option<String>, Duration)> {
        let until = self.now + time;
        let mut told = Vec::new();
        loop {
            let next = self.beats.poll_timeout().filter(|due| *due <= until);
            self.now = next.unwrap_or(until).max(self.now);
            self.beats.woke(self.now);
            while let Some(silence) = self.beats.poll(self.now) {
                told.push((silence.renderer, silence.thread, self.now - self.start));
            }
            if next.is_none() {
                return told;
            }
        }
    }
}

/// What the defaults of a status come to.
const DUE: Duration = Duration::from_millis(5100);

#[test]
fn a_thread_that_beats_is_left_alone_and_one_that_does_not_is_told_once() {
    let mut scene = Scene::new();
    assert_eq!(scene.beats.poll_timeout(), None);
    for _ in 0..60 {
        scene.beats(PAGE, "");
        assert_eq!(scene.runs_for(SECOND), []);
    }
    scene.start = scene.now - SECOND;
    assert_eq!(scene.runs_for(60 * SECOND), [(PAGE, None, DUE)]);
    assert_eq!(scene.beats.poll_timeout(), None, "nothing wakes main while it hangs");
}

#[test]
fn a_silence_says_how_long_it_has_been() {
    let mut scene = Scene::new();
    let mut status = Status::new(RendererState::Visible).with_thread("ui");
    status.poll_interval = Duration::from_millis(50);
    status.anr_threshold = Duration::from_millis(400);
    scene.beats.hear(PAGE, &status, scene.now);
    let due = scene.beats.poll_timeout().unwrap();
    assert_eq!(due - scene.start, status.anr_threshold);
    assert_eq!(scene.beats.poll(due), None);
    let expected = Silence {
        renderer: PAGE,
        thread: Some("ui".to_owned()),
        since: scene.start,
        threshold: status.anr_threshold,
    };
    assert_eq!(scene.beats.poll(due + SECOND_LOOK), Some(expected));
}

#[test]
fn a_thread_that_has_recovered_can_hang_anew() {
    let mut scene = Scene::new();
    scene.beats(PAGE, "ui");
    let hang = |at| vec![(PAGE, Some("ui".to_owned()), at)];
    assert_eq!(scene.runs_for(10 * SECOND), hang(DUE));
    scene.beats(PAGE, "ui");
    assert_eq!(scene.runs_for(10 * SECOND), hang(10 * SECOND + DUE));
}

#[test]
fn each_thread_is_watched_on_its_own() {
    let mut scene = Scene::new();
    for (renderer, thread) in [(PAGE, "ui"), (PAGE, "audio"), (OTHER, "ui"), (OTHER, "")] {
        scene.beats(renderer, thread);
    }
    scene.runs_for(4 * SECOND);
    scene.beats(PAGE, "ui");
    scene.beats(OTHER, "");
    let told = scene.runs_for(2 * SECOND);
    let expected = [(PAGE, Some("audio".to_owned()), DUE), (OTHER, Some("ui".to_owned()), DUE)];
    assert_eq!(told, expected);
}

#[test]
fn a_page_that_is_hidden_is_not_watched_though_its_heartbeats_go_on() {
    let mut scene = Scene::new();
    scene.beats(PAGE, "");
    scene.says(PAGE, "", RendererState::Hidden);
    scene.beats(PAGE, "");
    assert_eq!(scene.beats.poll_timeout(), None);
    scene.says(PAGE, "", RendererState::Visible);
    assert_eq!(scene.runs_for(6 * SECOND), [(PAGE, None, DUE)]);
}

#[test]
fn a_native_thread_that_pauses_goes_on_with_its_next_heartbeat() {
    let mut scene = Scene::new();
    scene.beats(PAGE, "ui");
    scene.says(PAGE, "ui", RendererState::Hidden);
    assert_eq!(scene.runs_for(60 * SECOND), []);
    assert!(scene.beats.renderers.is_empty());
    scene.beats(PAGE, "ui");
    assert_eq!(scene.runs_for(6 * SECOND).len(), 1);
}

#[test]
fn a_renderer_that_is_gone_does_not_hang() {
    let mut scene = Scene::new();
    for thread in ["", "ui", "audio"] {
        scene.beats(PAGE, thread);
    }
    scene.beats(OTHER, "ui");
    scene.beats.forget(PAGE);
    assert_eq!(scene.beats.threads, 1);
    let told = scene.runs_for(60 * SECOND);
    assert_eq!(told, [(OTHER, Some("ui".to_owned()), DUE)]);
    scene.beats.forget(OTHER);
    scene.beats.forget(OTHER);
    assert!(scene.beats.due.is_empty() && scene.beats.renderers.is_empty());
}

#[test]
fn whoever_is_excused_has_the_full_time_again_and_what_was_told_stays_told() {
    let mut scene = Scene::new();
    scene.beats(PAGE, "hung");
    scene.runs_for(6 * SECOND);
    scene.beats(PAGE, "ui");
    scene.beats(OTHER, "ui");
    scene.runs_for(4 * SECOND);
    scene.beats.excuse(PAGE, scene.now);
    let ui = || Some("ui".to_owned());
    assert_eq!(
        scene.runs_for(60 * SECOND),
        [(OTHER, ui(), 6 * SECOND + DUE), (PAGE, ui(), 10 * SECOND + DUE)]
    );
}

#[test]
fn a_hang_that_turns_out_to_be_none_is_taken_back() {
    let mut scene = Scene::new();
    scene.beats(PAGE, "ui");
    // Its process is stopped, as main finds out each time. It is never told, nor counted.
    for _ in 0..100 {
        scene.now = scene.beats.poll_timeout().unwrap();
        let Some(silence) = scene.beats.poll(scene.now) else { continue };
        scene.beats.take_back(&silence, scene.now);
        assert_eq!(scene.beats.poll(scene.now), None);
        assert_eq!(scene.beats.poll_timeout(), Some(scene.now + Duration::from_secs(5)));
    }
    let silence = Silence {
        renderer: PAGE,
        thread: None,
        since: scene.now,
        threshold: Duration::from_secs(5),
    };
    scene.beats.take_back(&silence, scene.now);
    assert_eq!(scene.beats.not_told(), 0);
    assert_eq!(scene.runs_for(10 * SECOND).len(), 1);
    // It was heard in between: there is nothing to take back.
    scene.beats(PAGE, "ui");
    let due = scene.beats.poll_timeout();
    scene
        .beats
        .take_back(&Silence { thread: Some("ui".to_owned()), ..silence }, scene.now + SECOND);
    assert_eq!(scene.beats.poll_timeout(), due);
}

#[test]
fn nobody_hangs_because_main_was_stopped() {
    for stopped in [6, 10, 100_000] {
        let mut scene = Scene::new();
        for thread in ["ui", "audio"] {
            scene.beats(PAGE, thread);
        }
        scene.beats(OTHER, "");
        scene.runs_for(SECOND);
        scene.is_stopped_for(stopped * SECOND);
        assert_eq!(scene.beats.poll(scene.now), None);
        // One has lived through it.
        scene.beats(PAGE, "ui");
        let back = (stopped + 1) * SECOND;
        assert_eq!(scene.runs_for(5 * SECOND), []);
        scene.beats(PAGE, "ui");
        assert_eq!(
            scene.runs_for(SECOND),
            [(PAGE, Some("audio".to_owned()), back + DUE), (OTHER, None, back + DUE)]
        );
    }
}

#[test]
fn a_heartbeat_that_main_has_not_read_yet_counts() {
    let mut scene = Scene::new();
    scene.beats(PAGE, "ui");
    // Main was away for a moment only, and looks around before it reads.
    scene.is_stopped_for(Duration::from_millis(5900));
    assert_eq!(scene.beats.poll(scene.now), None);
    scene.beats(PAGE, "ui");
    assert_eq!(scene.runs_for(5 * SECOND), []);
}

#[test]
fn a_main_that_is_in_time_excuses_nobody() {
    let mut scene = Scene::new();
    scene.beats(PAGE, "ui");
    scene.runs_for(2 * SECOND);
    for _ in 0..100 {
        scene.now += Duration::from_millis(10);
        scene.beats.woke(scene.now);
    }
    scene.now = scene.start + 6 * SECOND;
    scene.beats.woke(scene.now);
    assert_eq!(scene.beats.poll(scene.now), None);
    assert_eq!(scene.runs_for(SECOND).len(), 1);
}

#[test]
fn a_threshold_that_no_thread_could_keep_is_raised() {
    let status = |poll_interval: u64, anr_threshold: u64| {
        let mut status = Status::new(RendererState::Alive);
        status.poll_interval = Duration::from_millis(poll_interval);
        status.anr_threshold = Duration::from_millis(anr_threshold);
        status
    };
    for (poll_interval, anr_threshold, expected) in [
        (1000, 5000, 5000),
        // What a page has that says nothing itself.
        (500, 1000, 1000),
        (1000, 400, 2000),
        (0, 0, 100),
        (u64::MAX, u64::MAX, STATUS_MILLIS),
    ] {
        let threshold = threshold(&status(poll_interval, anr_threshold));
        assert_eq!(threshold, Duration::from_millis(expected));
    }
    let mut scene = Scene::new();
    scene.beats.hear(PAGE, &status(0, 0), scene.now);
    assert_eq!(scene.runs_for(60 * SECOND).len(), 1);
}

#[test]
fn a_new_threshold_counts_from_the_heartbeat_that_says_it() {
    let mut scene = Scene::new();
    scene.beats(PAGE, "");
    let mut patient = Status::new(RendererState::Alive);
    patient.anr_threshold = 20 * SECOND;
    scene.beats.hear(PAGE, &patient, scene.now);
    assert_eq!(scene.runs_for(20 * SECOND), []);
    assert_eq!(scene.runs_for(SECOND).len(), 1);
}

#[test]
fn what_one_renderer_has_watched_leaves_room_for_others() {
    let mut scene = Scene::new();
    for number in 0..40 {
        scene.beats(PAGE, &number.to_string());
    }
    assert_eq!((scene.beats.threads, scene.beats.not_watched()), (32, 8));
    scene.beats(OTHER, "ui");
    assert_eq!(scene.beats.threads, 33);
    // A thread that ends makes room for another.
    scene.says(PAGE, "0", RendererState::Hidden);
    scene.beats(PAGE, "33");
    assert_eq!((scene.beats.threads, scene.beats.not_watched()), (33, 8));
    // What is watched already is not affected by how much it is.
    scene.beats(PAGE, "33");
    assert_eq!(scene.beats.not_watched(), 8);
}

#[test]
fn what_all_renderers_have_watched_is_bounded() {
    let mut scene = Scene::new();
    for renderer in 0..2000 {
        let state = if renderer % 2 == 0 { RendererState::Alive } else { RendererState::Hidden };
        scene.says(Uuid::from_u128(renderer), "", state);
    }
    assert_eq!((scene.beats.threads, scene.beats.renderers.len()), (1024, 1024));
    assert_eq!(scene.beats.due.len(), 512);
    assert_eq!(scene.beats.not_watched(), 976);
    for renderer in 0..2000 {
        scene.beats.forget(Uuid::from_u128(renderer));
    }
    assert_eq!((scene.beats.threads, scene.beats.due.len()), (0, 0));
}

#[test]
fn a_renderer_that_hangs_all_the_time_is_told_so_ten_times_and_others_all_the_same() {
    let mut scene = Scene::new();
    let mut status = Status::new(RendererState::Alive).with_thread("ui");
    status.poll_interval = Duration::ZERO;
    status.anr_threshold = Duration::ZERO;
    let mut told = 0;
    for _ in 0..100 {
        scene.beats.hear(PAGE, &status, scene.now);
        told += scene.runs_for(SECOND).len();
        // To pause does not make it forget.
        scene.says(PAGE, "ui", RendererState::Hidden);
    }
    assert_eq!((told, scene.beats.not_told()), (10, 90));
    scene.beats(OTHER, "ui");
    assert_eq!(scene.runs_for(6 * SECOND).len(), 1);
    scene.now += HANGS_WITHIN;
    scene.beats.hear(PAGE, &status, scene.now);
    assert_eq!(scene.runs_for(SECOND).len(), 1);
}

#[test]
fn what_is_watched_is_what_a_plain_model_says() {
    // A chance that is the same each time.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut dice = move |sides: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % sides
    };
    let mut scene = Scene::new();
    let mut model: BTreeMap<(Uuid, String), Option<Instant>> = BTreeMap::new();
    for _ in 0..20_000 {
        let renderer = Uuid::from_u128(dice(4).into());
        let thread = format!("t{}", dice(4));
        let key = (renderer, thread.clone());
        let due = scene.now + Duration::from_secs(5);
        match dice(8) {
            0..4 => {
                scene.beats(renderer, &thread);
                model.insert(key, Some(due));
            }
            4 => {
                scene.says(renderer, &thread, RendererState::Hidden);
                model.remove(&key);
            }
            5 => {
                scene.beats.excuse(renderer, scene.now);
                let of_it = model.iter_mut().filter(|((it, _), _)| *it == renderer);
                of_it.for_each(|(_, at)| *at = at.map(|_| due));
            }
            6 => {
                scene.beats.forget(renderer);
                model.retain(|(it, _), _| *it != renderer);
            }
            _ => {
                scene.runs_for(Duration::from_millis(dice(3000)));
                for at in model.values_mut() {
                    *at = at.filter(|at| *at + SECOND_LOOK > scene.now);
                }
            }
        }
        let awaited = model.values().flatten().count();
        assert_eq!((scene.beats.threads, scene.beats.due.len()), (model.len(), awaited));
        for (due, renderer, name) in &scene.beats.due {
            let at = model[&(*renderer, name.as_deref().unwrap().to_owned())].unwrap();
            assert!(*due == at || *due == at + SECOND_LOOK);
        }
    }
}

fn silence(thread: Option<&str>) -> Silence {
    Silence {
        renderer: PAGE,
        thread: thread.map(str::to_owned),
        since: Instant::now(),
        threshold: Duration::from_millis(5000),
    }
}

fn at() -> Timestamp {
    Timestamp::from_unix(1_795_193_700, 0)
}

const ID: EventId = EventId::from_uuid(Uuid::from_u128(0x9ec7_9c33_ec99_42ab_8353_589f_cb2e_04dc));

#[test]
fn the_event_is_that_of_electron_with_the_name_of_the_thread() {
    let envelope = event(&silence(Some("ui\n1")), "settings", at(), ID).unwrap();
    assert_eq!(envelope.header().event_id(), Some(ID));
    assert_eq!(
        std::str::from_utf8(envelope.items()[0].payload()).unwrap(),
        r#"{"event_id":"9ec79c33ec9942ab8353589fcb2e04dc","timestamp":1795193700.0,"platform":"native","level":"error","tags":{"event.process":"settings","thread.name":"ui 1"},"exception":{"values":[{"type":"ApplicationNotResponding","value":"Application Not Responding for at least 5000 ms","mechanism":{"type":"ANR"}}]}}"#
    );
    let envelope = event(&silence(None), "settings", at(), ID).unwrap();
    let json = envelope.items()[0].json().unwrap();
    assert_eq!(json.get("tags").unwrap().text(), r#"{"event.process":"settings"}"#);
}

#[test]
fn the_merge_and_hooks_leave_the_event_what_it_is_and_the_session_counts_it() {
    let identity = || Identity::new("production").release("desk@5");
    let hooks = Hooks::new().before_send(|mut event| {
        event.tags.insert("hooked".to_owned(), "1".to_owned());
        Some(event)
    });
    for merge in [Merge::new(identity()), Merge::new(identity()).with_hooks(hooks)] {
        let mut scopes = Scopes::new(100);
        let page = Sender::renderer(PAGE, "settings");
        let message = br#"{"level":"info","tags":{"event.process":"forged","view":"fonts"}}"#;
        let message = ScopeMessage::parse(message).unwrap();
        scopes.hear(page.process(), message, at());
        let envelope = event(&silence(Some("ui")), "settings", at(), ID).unwrap();
        let scope = scopes.merged(page.process());
        let merged = merge.renderer(envelope, &page, &scope, at(), 0.5);
        assert_eq!(merged.facts.errors, 1);

        let envelope = merged.envelope.unwrap();
        let json = envelope.items()[0].json().unwrap();
        for (path, expected) in [
            (&["tags", "event.process"][..], r#""settings""#),
            (&["tags", "thread.name"], r#""ui""#),
            (&["tags", "view"], r#""fonts""#),
            (&["tags", "event.origin"], r#""native""#),
            (&["level"], r#""error""#),
            (&["release"], r#""desk@5""#),
        ] {
            assert_eq!(json.at(path).map(Value::text), Some(expected), "{path:?}");
        }
        let values = json.at(&["exception", "values"]).unwrap();
        let exception = values.elements().unwrap().next().unwrap().as_object().unwrap();
        assert!(exception.get("type").unwrap().is_str("ApplicationNotResponding"));
        assert!(exception.at(&["mechanism", "type"]).unwrap().is_str("ANR"));
        let severity = Severity::of_reported(json.get("level"), json.get("exception"));
        assert_eq!(severity, Some(Severity::Error));
    }
}
