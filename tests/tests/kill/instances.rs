//! Several instances of the application on one directory.

use std::collections::{BTreeMap, BTreeSet};

use crate::life::Life;
use crate::{World, book, sessions};

const EVENTS: u64 = 20;

/// Lets it report events and waits until it has acknowledged them.
#[track_caller]
fn report(life: &mut Life, from: u64) {
    let ids: Vec<String> = (from..from + EVENTS).map(|number| format!("{number:032x}")).collect();
    for id in &ids {
        life.report(from / EVENTS, id);
    }
    for id in &ids {
        assert!(life.hear_of(id), "it died before it had acknowledged {id}");
    }
}

/// How often everything arrived.
fn arrivals(world: &World) -> BTreeMap<String, usize> {
    let mut times = BTreeMap::new();
    for request in world.sentry.requests().iter().filter(|request| request.was_taken()) {
        for mark in book::marks(request) {
            *times.entry(mark).or_default() += 1;
        }
    }
    times
}

#[track_caller]
fn close(life: &mut Life) {
    life.tell("close 50000");
    assert!(life.hear_until("closed true"), "not everything was sent");
    life.end();
}

#[test]
fn what_a_killed_instance_left_is_sent_once_by_one_of_those_that_start_while_others_live() {
    let world = World::new();
    // Nobody can send until one is dead: so there are no two generals.
    world.sentry.refuse_connections();
    let mut lives: Vec<Life> = (0..2).map(|_| world.start(&["--shutdown", "20000"])).collect();
    for (life, from) in lives.iter_mut().zip([0, EVENTS]) {
        report(life, from);
    }
    lives[0].panic("boom");
    assert!(lives[0].hear_of("boom"));
    lives[0].kill();
    world.sentry.recover();
    // Two at once, so that they meet over what is left.
    lives.extend((0..2).map(|_| world.launch(&[])));
    for life in &mut lives[2..] {
        assert!(life.hear_until("ready"));
    }
    for (life, from) in lives[1..].iter_mut().zip([2 * EVENTS, 3 * EVENTS, 4 * EVENTS]) {
        report(life, from);
    }
    for life in &mut lives[1..] {
        close(life);
    }

    book::check_form(&world.sentry.requests(), "several instances");
    let arrivals = arrivals(&world);
    let twice: Vec<_> = arrivals.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
    let told: BTreeSet<&String> = lives.iter().flat_map(|life| &life.told).collect();
    let missing: Vec<_> = told.iter().filter(|id| !arrivals.contains_key(**id)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    sessions::check(&world.sentry, &lives, true, "several instances");
    assert!(world.left_behind().is_empty(), "{:?}", world.left_behind());
}

/// Those who send and are killed while they do so may each send one envelope that another sends again.
#[test]
fn instances_that_come_and_go_at_the_same_time_send_everything_and_next_to_nothing_twice() {
    let world = World::new();
    let mut alive: Vec<Life> = Vec::new();
    let mut dead: Vec<Life> = Vec::new();
    for number in 0..8 {
        let mut life = world.start(&["--shutdown", "20000"]);
        report(&mut life, number * EVENTS);
        alive.push(life);
        if alive.len() > 2 {
            let mut killed = alive.remove(0);
            killed.kill();
            dead.push(killed);
        }
    }
    let killed = dead.len();
    for mut life in alive {
        close(&mut life);
        dead.push(life);
    }
    // What the last of the killed has left while nobody started any more.
    dead.extend(world.drain("at last"));

    book::check_form(&world.sentry.requests(), "at last");
    let arrivals = arrivals(&world);
    let again: usize = arrivals.values().map(|times| times - 1).sum();
    assert!(again <= killed, "{again} arrived again, but only {killed} were killed");
    let told: BTreeSet<&String> = dead.iter().flat_map(|life| &life.told).collect();
    let missing: Vec<_> = told.iter().filter(|id| !arrivals.contains_key(**id)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    sessions::check(&world.sentry, &dead, true, "at last");
}
