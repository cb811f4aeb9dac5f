//! What is left to the next start.

use super::*;

#[test]
fn a_dead_run_is_adopted_and_leaves_nothing_behind() {
    let cache = Cache::new();
    let mut dead = cache.open();
    for text in 0..20 {
        put(&mut dead, text);
    }
    drop(dead);
    let mut spool = cache.open();
    let found = adopt_all(&mut spool, at(0));
    assert_eq!(found.len(), 20);
    assert!(found.iter().all(|entry| entry.is_from_earlier_run));
    assert!(found.is_sorted_by_key(|entry| entry.id));
    let expected: Vec<String> = (0..20).map(|text| text.to_string()).collect();
    assert_eq!(messages(&mut spool), expected);
    for entry in found {
        spool.delete(entry.id);
    }
    drop(spool);
    assert_eq!(cache.files(), [""; 0]);
}

#[test]
fn the_living_never_see_each_others_files() {
    let cache = Cache::new();
    let (mut one, mut two) = (cache.open(), cache.open());
    put(&mut one, "one");
    put(&mut two, "two");
    assert_eq!(adopt_all(&mut one, at(0)), []);
    assert_eq!(adopt_all(&mut two, at(0)), []);
    assert_eq!(messages(&mut one), ["one"]);
    drop(one);
    adopt_all(&mut two, at(0));
    assert_eq!(messages(&mut two), ["two"], "it has looked before, and does so at a start alone");
    drop(two);
    let mut three = cache.open();
    adopt_all(&mut three, at(0));
    assert_eq!(three.entries().count(), 2);
}

#[test]
fn of_many_that_start_at_once_each_file_is_adopted_by_one() {
    let cache = Cache::new();
    for run in 0..8 {
        // All live at once, so that none adopts another.
        let mut dead = cache.open();
        for text in 0..10 {
            put(&mut dead, run * 10 + text);
        }
        let mut losses = Losses::new();
        losses.count(Category::Error, Reason::Invalid, 1);
        dead.count(&losses);
    }
    let start = std::sync::Barrier::new(6);
    let adopted: Vec<(Vec<String>, u64)> = std::thread::scope(|scope| {
        let starts: Vec<_> = (0..6)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    let mut spool = cache.open();
                    adopt_all(&mut spool, at(0));
                    let result = (messages(&mut spool), errors_lost(&spool));
                    // Nobody's end comes before the others have looked.
                    start.wait();
                    result
                })
            })
            .collect();
        starts.into_iter().map(|start| start.join().unwrap()).collect()
    });
    let mut all: Vec<u32> =
        adopted.iter().flat_map(|(texts, _)| texts).map(|text| text.parse().unwrap()).collect();
    all.sort_unstable();
    assert_eq!(all, (0..80).collect::<Vec<u32>>());
    assert_eq!(adopted.iter().map(|(_, lost)| lost).sum::<u64>(), 8);
}

#[test]
fn what_is_too_much_goes_when_it_is_adopted() {
    let cache = Cache::new();
    let mut dead = cache.open();
    for text in 0..10 {
        let _ = dead.put(Priority::Normal, &event(text), at(text));
    }
    drop(dead);
    let mut spool = cache.open_within(Limits { max_count: 4, ..Limits::default() });
    let found = adopt_all(&mut spool, at(0));
    assert_eq!(errors_lost(&spool), 6);
    assert_eq!(spool.entries().count(), 4);
    assert!(found.len() >= 4);
}

#[test]
fn temporary_files_and_strange_ones() {
    let cache = Cache::new();
    let mut dead = cache.open();
    put(&mut dead, "x");
    std::fs::write(cache.path_of(&dead, "abc.tmp"), "half").unwrap();
    std::fs::write(cache.path_of(&dead, "notes.txt"), "mine").unwrap();
    std::fs::create_dir(cache.0.join("runs/somebody")).unwrap();
    let folder = dead.run().to_string();
    drop(dead);
    let mut spool = cache.open();
    assert_eq!(adopt_all(&mut spool, at(0)).len(), 1);
    assert_eq!(cache.files_that_end_with(".tmp"), [""; 0]);
    let files = cache.files();
    for kept in ["notes.txt", "somebody", &folder] {
        assert!(files.iter().any(|file| file == kept), "{kept}");
    }
}

#[test]
fn a_folder_without_lock_is_adopted_and_a_lock_without_folder_goes() {
    let cache = Cache::new();
    let mut dead = cache.open();
    put(&mut dead, "x");
    let lock = cache.0.join(format!("runs/{}.lock", dead.run()));
    drop(dead);
    std::fs::remove_file(lock).unwrap();
    std::fs::write(cache.0.join("runs/0123456789abcdef.lock"), "").unwrap();
    let mut spool = cache.open();
    let found = adopt_all(&mut spool, at(0));
    assert_eq!(found.len(), 1);
    spool.delete(found[0].id);
    drop(spool);
    assert_eq!(cache.files(), [""; 0]);
}

#[test]
fn a_dead_run_is_concluded_once() {
    let cache = Cache::new();
    let mut dead = cache.open();
    dead.write_side(&key("session"), b"{\"status\":\"ok\"}").unwrap();
    assert_eq!(dead.read_side(&key("session")).unwrap().unwrap(), b"{\"status\":\"ok\"}");
    assert_eq!(dead.read_side(&key("other")).unwrap(), None);
    put(&mut dead, "x");
    let run = dead.run();
    drop(dead);

    let mut spool = cache.open();
    adopt_all(&mut spool, at(0));
    let runs: Vec<DeadRun> = spool.dead_runs().cloned().collect();
    assert_eq!(runs.len(), 1);
    assert_eq!(runs[0].run, run);
    assert_eq!(runs[0].sides[0].name, "session");
    assert_eq!(runs[0].sides[0].bytes, b"{\"status\":\"ok\"}");
    let mut other = cache.open();
    adopt_all(&mut other, at(0));
    assert_eq!(other.dead_runs().count(), 0, "it is in somebody's hands");

    let (key, envelope) = (key("end"), event("abnormal"));
    let outcome = Outcome { key: &key, priority: Priority::Session, envelope: &envelope };
    let settled = spool.settle(run, &[outcome], at(5)).unwrap();
    assert_eq!(settled.found.len(), 1);
    assert_eq!(spool.dead_runs().count(), 0);
    assert!(spool.settle(run, &[outcome], at(5)).unwrap().found.is_empty());
    assert_eq!(messages(&mut spool), ["x", "abnormal"]);
    assert_eq!(cache.files_that_end_with("side-"), [""; 0]);
}

#[test]
fn what_the_run_has_concluded_itself_counts() {
    let cache = Cache::new();
    let mut dead = cache.open();
    dead.write_side(&key("session"), b"{}").unwrap();
    let _ = dead.put_as(&key("end"), Priority::Session, &event("exited"), at(0));
    let run = dead.run();
    drop(dead);

    let mut spool = cache.open();
    assert_eq!(adopt_all(&mut spool, at(0)), []);
    let (key, envelope) = (key("end"), event("abnormal"));
    let outcome = Outcome { key: &key, priority: Priority::Session, envelope: &envelope };
    let settled = spool.settle(run, &[outcome], at(5)).unwrap();
    assert_eq!(settled.found.len(), 1);
    assert_eq!(messages(&mut spool), ["exited"]);
}

#[test]
fn thousands_are_adopted_in_steps() {
    let cache = Cache::new();
    let many = Limits { max_count: 5000, ..Limits::default() };
    let mut dead = cache.open_within(many);
    for text in 0..2000 {
        put(&mut dead, text);
    }
    drop(dead);
    let mut spool = cache.open_within(many);
    let (mut steps, mut found) = (0, 0);
    loop {
        let adopted = spool.adopt_some(100, at(0));
        assert!(adopted.found.len() <= 100);
        found += adopted.found.len();
        steps += 1;
        if !adopted.is_more {
            break;
        }
    }
    assert_eq!(found, 2000);
    assert!((20..30).contains(&steps));
}
