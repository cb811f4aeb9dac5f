//! Every mode of main with every mode of a child, whatever becomes of the classic way: what can be
//! handed over is, what cannot is left for the next start, nothing is lost, doubled or out of order.

use crate::House;
use crate::post::Post;

const MODES: [&str; 3] = ["classic", "protocol", "both"];
const EVENTS: usize = 60;

/// What becomes of the classic way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It is there.
    There,
    /// Main's socket is gone, and so is the one that was handed over.
    Missing,
    /// The connection breaks in the middle, again and again.
    Broken,
    /// The connection breaks, and there is no socket to come back to.
    Removed,
}

const FATES: [Fate; 4] = [Fate::There, Fate::Missing, Fate::Broken, Fate::Removed];

/// The way that is taken at last, if there is one.
fn expected_way(main: &str, child: &str, fate: Fate) -> &'static str {
    let both_have = |way| [main, child].iter().all(|mode| *mode == way || *mode == "both");
    match (both_have("classic"), both_have("protocol")) {
        (true, _) if matches!(fate, Fate::There | Fate::Broken) => "classic",
        (_, true) => "protocol",
        _ => "none",
    }
}

fn fill(child: &mut Post, number: usize) {
    assert_eq!(child.ask(&format!("fill {number}")), "done");
}

/// One row of the table.
#[track_caller]
fn row(main: &str, child_mode: &str, fate: Fate) {
    let context = format!("main {main}, child {child_mode}, {fate:?}");
    let mut house = House::start(&["--mode", main]);
    let note = house.note();
    assert_eq!(note.socket.is_some(), main != "protocol", "{context}");
    assert_eq!(note.address.is_some(), main != "classic", "{context}");
    // Something else is there at once: a socket that is only removed main would make anew.
    let remove = || {
        if let Some(socket) = &note.socket {
            let other = socket.with_extension("other");
            std::fs::write(&other, "").unwrap();
            std::fs::rename(other, socket).unwrap();
        }
    };

    let mut options = vec!["--mode", child_mode];
    if fate == Fate::Missing {
        options.insert(0, "--no-socket");
        remove();
    }
    let mut child = house.child("page", &options);
    let way = expected_way(main, child_mode, fate);
    match fate {
        Fate::There | Fate::Missing => fill(&mut child, EVENTS),
        Fate::Broken => {
            for _ in 0..6 {
                fill(&mut child, EVENTS / 6);
                child.cut();
            }
        }
        Fate::Removed => {
            fill(&mut child, EVENTS / 2);
            remove();
            child.cut();
            fill(&mut child, EVENTS / 2);
        }
    }
    assert_eq!(child.ask(&format!("await {way}")), format!("way {way}"), "{context}");
    if way == "none" {
        assert!(!child.close(), "{context}");
    } else {
        child.flush();
        // A broken connection may be noticed only now.
        house.await_way("page", way);
        assert_eq!(house.known("page").map(|(_, _, pid)| pid), Some(child.id()), "{context}");
        assert!(child.close(), "{context}");
    }
    assert_eq!(house.desk.ask("await-end page"), "done");
    assert_eq!(house.desk.ask("wait page"), "ended 0", "{context}");
    house.close();
    if way == "none" {
        // It may be the next main that finds what was left.
        house.restart(&["--mode", main]);
        house.close();
    }
    let expected: Vec<String> = (0..EVENTS).map(|number| format!("fill {number}")).collect();
    assert_eq!(house.messages(), expected, "{context}");
    assert_eq!(house.sentry.duplicates(), [""; 0], "{context}");
}

#[track_caller]
fn rows_of(main: &str) {
    for child in MODES {
        for fate in FATES {
            row(main, child, fate);
        }
    }
}

#[test]
fn with_a_main_of_both_ways_nothing_is_lost_doubled_or_out_of_order() {
    rows_of("both");
}

#[test]
fn with_a_main_of_the_classic_way_nothing_is_lost_doubled_or_out_of_order() {
    rows_of("classic");
}

#[test]
fn with_a_main_of_the_protocol_nothing_is_lost_doubled_or_out_of_order() {
    rows_of("protocol");
}
