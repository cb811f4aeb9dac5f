//! Attachments that are too large to be held in memory.

use guardhouse_protocol::limits::MIB;

use crate::House;

const BYTES: usize = 150 * MIB;

/// How much memory a process has had at most, in bytes.
fn most_memory(pid: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it is there");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<usize>().ok());
    kib.expect("the kernel tells") * 1024
}

/// What was attached has arrived, once and byte for byte.
#[track_caller]
fn check(house: &House, bytes: usize) {
    let requests = house.sentry.requests();
    let envelopes = requests.iter().filter_map(|request| request.envelope.as_ref().ok());
    let items = envelopes.flat_map(|envelope| &envelope.items);
    let attached: Vec<_> = items.filter(|item| item.kind() == "attachment").collect();
    assert_eq!(attached.len(), 1);
    assert_eq!(attached[0].header["filename"], "attached.bin");
    let payload = &attached[0].payload;
    assert_eq!(payload.len(), bytes);
    let expected = vec![b'x'; MIB];
    assert!(payload.chunks(MIB).all(|piece| *piece == expected[..piece.len()]));
}

#[track_caller]
fn a_large_attachment_arrives(mode: &str) {
    let mut house = House::start(&["--max-items", "100"]);
    let mut child = house.child("page", &["--mode", mode]);
    let captured = child.ask("capture with much");
    child.flush();
    let before = [house.desk.id(), child.id()].map(most_memory);
    let id = captured.strip_prefix("captured ").unwrap();
    assert_eq!(child.ask(&format!("attach {id} {BYTES}")), format!("attached taken {BYTES}"));
    let childs = most_memory(child.id()) - before[1];
    assert!(childs < 32 * MIB, "{} MiB", childs / MIB);
    assert!(child.close());
    // It is sent while main is still there to be looked at.
    house.sentry.wait_until(|requests| {
        requests.iter().any(|request| request.content.len() > BYTES && request.was_taken())
    });
    let main = most_memory(house.desk.id());
    assert!(main - before[0] < 32 * MIB, "{} MiB", (main - before[0]) / MIB);
    house.close();
    check(&house, BYTES);
}

#[test]
fn a_large_attachment_takes_no_memory_of_either() {
    a_large_attachment_arrives("classic");
}

#[test]
fn a_large_attachment_goes_on_where_a_connection_broke() {
    const BYTES: usize = 20 * MIB;
    for mode in ["classic", "protocol", "both"] {
        let mut house = House::start(&["--max-items", "100"]);
        let mut child = house.child("page", &["--mode", mode]);
        let captured = child.ask("capture with much");
        child.flush();
        let id = captured.strip_prefix("captured ").unwrap();
        child.tell(&format!("attach {id} {BYTES}"));
        for _ in 0..3 {
            // An answer of it, whatever happens to its connections meanwhile.
            child.tell("way");
            child.cut();
        }
        let mut said: Vec<_> = (0..4).map(|_| child.hear().expect("it lives")).collect();
        said.retain(|line| !line.starts_with("way "));
        assert_eq!(said, [format!("attached taken {BYTES}")], "{mode}");
        assert!(child.close(), "{mode}");
        house.close();
        check(&house, BYTES);
    }
}
