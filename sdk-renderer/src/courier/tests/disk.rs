//! The offline file as the thread keeps it, and what a main finds in it when the process is killed.

use std::path::PathBuf;

use guardhouse_process::offline_file::{LeftFile, OfflineFile, Writer, find};

use super::*;

pub(super) struct Disk {
    directory: PathBuf,
    file: Option<OfflineFile>,
    renderer: Option<Uuid>,
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

impl Disk {
    pub(super) fn new() -> Self {
        let name = format!("guardhouse-courier-{}", Uuid::new_v4().simple());
        Self { directory: std::env::temp_dir().join(name), file: None, renderer: None }
    }

    fn append(&mut self, entries: &[Entry]) {
        if let Some(file) = &mut self.file {
            file.append(entries).unwrap();
        }
    }

    pub(super) fn put(&mut self, courier: &mut Courier) {
        if !courier.has_unfiled() {
            return;
        }
        let writer = Writer { name: "test".to_owned(), pid: 1 };
        let mut entries = Vec::new();
        if self.file.is_none() {
            entries.extend(self.renderer.map(Entry::Renderer));
        }
        entries.extend(courier.poll_file());
        let directory = &self.directory;
        let file = self.file.get_or_insert_with(|| OfflineFile::begin(directory, &writer).unwrap());
        let places = file.append(&entries).unwrap();
        courier.filed_at(&entries, places);
        courier.release();
    }

    pub(super) fn connected(&mut self, renderer: Uuid, courier: &Courier) {
        if self.renderer.replace(renderer) != Some(renderer) {
            self.append(&[Entry::Renderer(renderer), Entry::Sent(courier.sent())]);
        }
    }

    pub(super) fn say(&mut self, courier: &mut Courier) -> Option<Frame> {
        if let Some((order, place)) = courier.poll_load() {
            let bytes = self.file.as_mut().unwrap().read(place).unwrap();
            courier.handle_loaded(order, Some(bytes));
        }
        let (filed, frame) = courier.poll()?;
        if let Some(sent) = filed {
            self.append(&[Entry::Sent(vec![sent])]);
        }
        Some(frame)
    }

    pub(super) fn settle(&mut self, courier: &mut Courier) {
        if courier.filed() > 0 {
            let taken = courier.take_taken();
            self.append(&[Entry::Taken(taken)]);
        } else if let Some(file) = self.file.take() {
            file.remove().unwrap();
            courier.clear_file();
        }
    }

    /// What a main takes that finds the file, with the scope that it lays over it; of the renderer that it
    /// knows it has taken these ids.
    fn found_by(&mut self, known: Option<(Uuid, &BTreeSet<u64>)>) -> Vec<Taken> {
        self.file = None;
        let mut main = Main::new(77);
        main.has_started = true;
        for path in find(&self.directory) {
            let mut file = LeftFile::open(&path).unwrap().unwrap();
            let known = known.filter(|(renderer, _)| file.renderer() == Some(*renderer));
            let mut number = 0;
            while let Some(left) = file.next_message().unwrap() {
                let was_taken = |id: MessageId| known.is_some_and(|it| it.1.contains(&id.number()));
                if left.channel != Channel::Scope && left.id.is_some_and(was_taken) {
                    continue;
                }
                number += 1;
                let (id, channel) = (MessageId::new(number), left.channel);
                main.take(Frame::Message { id, channel, payload: left.payload });
            }
            assert!(!file.is_damaged());
        }
        main.taken
    }
}

#[test]
fn whenever_the_process_is_killed_main_takes_all_that_is_in_the_file_and_nothing_twice() {
    for seed in 0..100 {
        let mut world = World::new(seed);
        world.courier.bounds.items = 8;
        // From some moment on there is a file nearly all the time.
        for _ in 0..800 {
            world.step(false);
            if world.courier.is_over() {
                world.disk.put(&mut world.courier);
            }
        }
        world.disk.put(&mut world.courier);
        // Killed: of what is under way some arrives.
        let arrives = world.below(world.up.len() + 1);
        for frame in world.up.drain(..arrives) {
            world.main.take(frame);
        }
        let known = world.main.known.clone();
        let found = world.disk.found_by(Some((world.main.id, &known)));
        let taken: Vec<_> = world.main.taken.iter().chain(&found).map(|taken| taken.0).collect();
        assert_eq!(taken, (1..=world.events).collect::<Vec<_>>(), "seed {seed}");
        assert!(found.iter().all(|(_, said, laid)| laid == said), "seed {seed}");
        assert!(world.courier.take_losses().is_empty());
    }
}

#[test]
fn what_is_in_the_file_survives_mains_too_and_is_doubled_only_if_an_answer_was_lost() {
    for seed in 0..100 {
        let mut world = World::new(seed);
        world.courier.bounds.items = 8;
        for _ in 0..1500 {
            world.step(true);
            if world.courier.is_over() {
                world.disk.put(&mut world.courier);
            }
        }
        world.disk.put(&mut world.courier);
        world.disk.settle(&mut world.courier);
        let known = world.main.known.clone();
        let found = world.disk.found_by(Some((world.main.id, &known)));
        let mut last: Vec<_> = world.main.taken.iter().map(|taken| taken.0).collect();
        last.extend(found.iter().map(|taken| taken.0));
        assert!(last.is_sorted_by(|a, b| a < b), "nothing twice by one main: seed {seed}");
        let all: BTreeSet<_> =
            world.former.iter().map(|taken| taken.0).chain(last.iter().copied()).collect();
        assert_eq!(all, (1..=world.events).collect(), "seed {seed}");
        assert!(found.iter().all(|(_, said, laid)| laid == said), "seed {seed}");
    }
}

#[test]
fn a_burst_is_in_memory_within_bounds_and_in_the_file_in_its_order() {
    let mut courier = Courier::new(Bounds { items: 100, bytes: 10_000 }, 100);
    let mut disk = Disk::new();
    for number in 1..=10_000 {
        capture(&mut courier, &format!("{number} 0"));
        if courier.is_over() {
            disk.put(&mut courier);
        }
        courier.make_room();
        assert!(courier.held <= 100 && courier.held_bytes <= 10_000);
    }
    let mut main = Main::new(1);
    courier.connect(main.id, false);
    disk.connected(main.id, &courier);
    while let Some(frame) = disk.say(&mut courier) {
        let ack = main.take(frame);
        courier.handle(ack);
        assert!(courier.held <= 101);
    }
    let events: Vec<_> = main.taken.iter().map(|taken| taken.0).collect();
    assert_eq!(events, (1..=10_000).collect::<Vec<_>>());
    assert!(courier.has_nothing() && courier.take_losses().is_empty());
    disk.settle(&mut courier);
    assert!(find(&disk.directory).is_empty());
}

#[test]
fn what_cannot_be_read_again_is_lost_and_a_flush_says_so() {
    let mut courier = courier();
    let mut disk = Disk::new();
    courier.bounds.items = 2;
    for number in 1..=5 {
        capture(&mut courier, &format!("{number} 0"));
    }
    disk.put(&mut courier);
    let (done, is_done) = mpsc::channel();
    let deadline = Instant::now() + Duration::from_secs(30);
    courier.flush(deadline, move |is_durable| done.send(is_durable).unwrap());
    courier.connect(Uuid::max(), false);
    let mut lost = 0;
    loop {
        if let Some((order, _)) = courier.poll_load() {
            courier.handle_loaded(order, None);
            lost += 1;
        } else if courier.say().is_none() {
            break;
        }
    }
    assert_eq!(lost, 4);
    assert_eq!(is_done.try_recv(), Ok(false));
    let losses = courier.take_losses();
    assert_eq!(losses.get(Category::Default, Reason::QueueOverflow), 4);
    assert!(courier.filed() == 1 && !courier.has_nothing());
}
