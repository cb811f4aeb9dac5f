//! Full disks: real ones, as far as the system lets us have them, and always an imitated one.

use std::io::Write;
use std::process::{Command, Stdio};

use super::*;

/// A small disk.
pub(super) enum Disk {
    /// A file system of its own. The image that it is in, if it is in one, goes with it.
    Mounted { at: Cache, image: Option<PathBuf> },
    /// A folder in which writing fails when there is too much in it.
    Imitated(Cache),
}

const IMITATED_BYTES: u64 = 1 << 20;

impl Disk {
    /// One of a megabyte: of memory where we may mount one.
    pub(super) fn small() -> Self {
        Self::tmpfs().unwrap_or_else(|| Self::Imitated(Cache::made()))
    }

    /// One of each kind that there is.
    fn each() -> Vec<Self> {
        let imitated = Some(Self::Imitated(Cache::made()));
        [Self::tmpfs(), Self::ext4(), imitated].into_iter().flatten().collect()
    }

    fn tmpfs() -> Option<Self> {
        let at = Cache::made();
        let is_mounted =
            run(Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "none"]).arg(&at.0));
        is_mounted.then_some(Self::Mounted { at, image: None })
    }

    fn ext4() -> Option<Self> {
        let at = Cache::made();
        let image = at.0.with_extension("image");
        std::fs::File::create(&image).unwrap().set_len(8 << 20).unwrap();
        let is_mounted = run(Command::new("mkfs.ext4").args(["-q", "-m", "0", "-F"]).arg(&image))
            && run(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&at.0));
        let disk = Self::Mounted { at, image: Some(image) };
        is_mounted.then_some(disk)
    }

    pub(super) fn path(&self) -> &Path {
        let (Self::Mounted { at, .. } | Self::Imitated(at)) = self;
        &at.0
    }

    fn hook(&self) -> Hook {
        let is_imitated = matches!(self, Self::Imitated(_));
        let path = self.path().to_owned();
        Arc::new(move |step| {
            let needs_room =
                matches!(step, Step::Lock | Step::Locked | Step::Create | Step::HalfWritten);
            if is_imitated && needs_room && size_of(&path) >= IMITATED_BYTES {
                return Err(io::ErrorKind::StorageFull.into());
            }
            Ok(())
        })
    }

    fn open(&self) -> Spool {
        Spool::open_with_hook(self.path(), Limits::default(), self.hook()).unwrap()
    }

    /// Somebody else uses up all that is left.
    fn fill(&self) {
        let mut file = std::fs::File::create(self.somebody()).unwrap();
        if let Self::Imitated(_) = self {
            let left = IMITATED_BYTES.saturating_sub(size_of(self.path()));
            return file.set_len(left).unwrap();
        }
        // The kernel may refuse a large write a little before all is used up.
        for piece in [1 << 20, 64 << 10, 4096, 1] {
            while file.write(&vec![0; piece]).is_ok_and(|length| length > 0) {}
        }
        let _ = file.sync_all();
    }

    fn empty(&self) {
        std::fs::remove_file(self.somebody()).unwrap();
    }

    fn somebody(&self) -> PathBuf {
        self.path().join("somebody")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Self::Mounted { at, image } = self {
            let _ = Command::new("umount").arg(&at.0).stderr(Stdio::null()).status();
            let _ = image.as_ref().map(std::fs::remove_file);
        }
    }
}

impl Cache {
    fn made() -> Self {
        let cache = Self::new();
        std::fs::create_dir(&cache.0).unwrap();
        cache
    }
}

fn run(command: &mut Command) -> bool {
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

fn size_of(path: &Path) -> u64 {
    let Ok(metadata) = path.symlink_metadata() else { return 0 };
    let inside = std::fs::read_dir(path).into_iter().flatten().flatten();
    let inside: u64 = inside.map(|entry| size_of(&entry.path())).sum();
    inside + if metadata.is_file() { metadata.len() } else { 0 }
}

fn on_disk(spool: &Spool) -> usize {
    spool.entries().filter(|entry| spool.is_durable(entry.id)).count()
}

#[test]
fn promise_2_a_disk_that_somebody_fills_costs_nothing_that_was_saved() {
    for disk in Disk::each() {
        let mut spool = disk.open();
        for number in 0..30 {
            put(&mut spool, number);
        }
        disk.fill();
        for number in 30..180 {
            let put = spool.put(Priority::Normal, &event(number), at(0));
            assert!(matches!(put.placed, Placed::Memory(_)), "{put:?}");
            assert_eq!(on_disk(&spool), 30);
        }
        // As many as memory does not hold are counted, on the full disk.
        assert!(spool.has_written_losses());
        assert_eq!(errors_lost(&spool), 50);
        disk.empty();
        assert!(spool.try_again(), "{:?}", spool.trouble());
        assert_eq!(on_disk(&spool), 130);
        drop(spool);
        let mut next = disk.open();
        adopt_all(&mut next, at(0));
        assert_eq!(next.entries().count(), 130);
        assert_eq!(errors_lost(&next), 50);
    }
}

#[test]
fn what_was_saved_waits_for_a_start_that_finds_room() {
    for disk in Disk::each() {
        let mut spool = disk.open();
        for number in 0..30 {
            put(&mut spool, number);
        }
        disk.fill();
        let in_memory = spool.put(Priority::Normal, &event("memory"), at(0));
        assert!(matches!(in_memory.placed, Placed::Memory(_)));
        // The run ends, and what only memory held is counted.
        drop(spool);
        for _ in 0..3 {
            let opened = Spool::open_with_hook(disk.path(), Limits::default(), disk.hook());
            if let Err(error) = opened {
                assert_eq!(error.fault(), SpoolFault::Full, "{error}");
            }
        }
        disk.empty();
        let mut next = disk.open();
        adopt_all(&mut next, at(0));
        assert_eq!(next.entries().count(), 30);
        assert_eq!(errors_lost(&next), 1);
    }
}

#[test]
fn a_crash_gets_as_much_room_of_less_urgent_ones_as_it_needs() {
    for disk in Disk::each() {
        let mut spool = disk.open();
        let mut count = 0;
        while let Placed::Disk(_) =
            spool.put(Priority::Normal, &event(format!("{count:20000}")), at(count)).placed
        {
            count += 1;
        }
        disk.fill();
        let put = spool.put(Priority::Crash, &event(format!("{:50000}", "crash")), at(0));
        assert!(matches!(put.placed, Placed::Disk(_)), "{put:?} {:?}", spool.trouble());
        assert!((1..=3).contains(&put.evicted.len()), "{put:?}");
        assert_eq!(errors_lost(&spool), put.evicted.len() as u64);
        assert!(spool.has_written_losses());
        let normal = spool.put(Priority::Normal, &event(format!("{:50000}", "more")), at(0));
        assert!(matches!(normal.placed, Placed::Memory(_)), "{normal:?}");
        assert!(normal.evicted.is_empty());
    }
}

#[test]
fn nothing_is_given_up_for_what_could_not_be_written_then_either() {
    for disk in Disk::each() {
        let mut spool = disk.open();
        for number in 0..3 {
            put(&mut spool, number);
        }
        disk.fill();
        let large = event("x".repeat(200_000));
        let crash = spool.put(Priority::Crash, &large, at(0));
        assert!(matches!(crash.placed, Placed::Memory(_)), "{crash:?}");
        assert!(crash.evicted.is_empty());
        assert_eq!(on_disk(&spool), 3);
    }
}

#[test]
fn room_that_somebody_else_takes_is_made_once() {
    let cache = Cache::new();
    // The disk is full, whatever is deleted.
    let fault = Fault::default();
    let hook = fault.hook(&[Step::Create], io::ErrorKind::QuotaExceeded);
    let mut spool = Spool::open_with_hook(&cache.0, Limits::default(), hook).unwrap();
    for number in 0..10 {
        put(&mut spool, number);
    }
    fault.set(true);
    for (number, evicted) in [(0, 1), (1, 0), (2, 0)] {
        let put = spool.put(Priority::Crash, &event(number), at(0));
        assert!(matches!(put.placed, Placed::Memory(_)), "{put:?}");
        assert_eq!(put.evicted.len(), evicted);
    }
    assert_eq!((on_disk(&spool), errors_lost(&spool)), (9, 1));
}

#[test]
fn memory_that_a_sender_keeps_as_well_pushes_out_nothing_and_is_not_pushed_out() {
    let cache = Cache::new();
    let fault = Fault::default();
    let hook = fault.hook(&[Step::Create], io::ErrorKind::StorageFull);
    let limits = Limits { memory_count: 4, ..Limits::default() };
    let mut spool = Spool::open_with_hook(&cache.0, limits, hook).unwrap();
    fault.set(true);
    let mut kept = Vec::new();
    assert!(spool.can_take_of_sender(100), "it is not known yet that the disk is full");
    while spool.can_take_of_sender(100) {
        let put = spool.put(Priority::Normal, &event("of a renderer"), at(0));
        assert!(put.evicted.is_empty());
        let id = put.placed.id().unwrap();
        spool.set_kept_by_sender(id);
        kept.push(id);
    }
    assert_eq!(kept.len(), 2);
    for number in 0..10 {
        let put = spool.put(Priority::Normal, &event(number), at(0));
        assert!(matches!(put.placed, Placed::Memory(_)));
    }
    assert_eq!(errors_lost(&spool), 6);
    assert!(kept.iter().all(|id| spool.entry(*id).is_some()));
    fault.set(false);
    assert!(spool.can_take_of_sender(100));
    assert!(kept.iter().all(|id| spool.is_durable(*id)));
}

#[test]
fn promise_2_a_disk_that_fails_at_any_step_loses_nothing_uncounted() {
    use io::ErrorKind::{FileTooLarge, Other, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    for &step in Step::ALL {
        for kind in [StorageFull, QuotaExceeded, FileTooLarge, ReadOnlyFilesystem, Other] {
            let cache = Cache::new();
            let is_set = Arc::new(AtomicBool::new(false));
            let hook: Hook = {
                let is_set = is_set.clone();
                Arc::new(move |at| {
                    let fails = at == step && is_set.load(Ordering::Relaxed);
                    if fails { Err(kind.into()) } else { Ok(()) }
                })
            };
            let limits = Limits { max_count: 8, memory_count: 3, ..Limits::default() };
            let mut spool = Spool::open_with_hook(&cache.0, limits, hook.clone()).unwrap();
            // What is known to be on disk or counted there.
            let mut acknowledged = 0;
            let mut round = |spool: &mut Spool| {
                for number in 0..5 {
                    let priority = if number == 3 { Priority::Crash } else { Priority::Normal };
                    let put = spool.put(priority, &event(number), at(0));
                    let is_kept = match put.placed {
                        Placed::Disk(_) => true,
                        Placed::Memory(_) => false,
                        Placed::Refused => spool.has_written_losses(),
                    };
                    acknowledged += u64::from(is_kept);
                }
                let saved = spool.entries().find(|entry| spool.is_durable(entry.id));
                if let Some(id) = saved.map(|entry| entry.id) {
                    spool.lose(id, Reason::SendError);
                }
            };
            round(&mut spool);
            is_set.store(true, Ordering::Relaxed);
            round(&mut spool);
            is_set.store(false, Ordering::Relaxed);
            // As if it was killed: nothing of what memory holds gets to disk.
            spool.die();
            is_set.store(true, Ordering::Relaxed);
            if let Ok(mut next) = Spool::open_with_hook(&cache.0, limits, hook) {
                while next.adopt_some(3, at(0)).is_more {}
                round(&mut next);
                is_set.store(false, Ordering::Relaxed);
                next.die();
            }
            let mut last = cache.open();
            adopt_all(&mut last, at(0));
            let there = last.entries().count() as u64;
            let found = there + errors_lost(&last);
            assert!(found >= acknowledged, "{step:?} {kind:?}: {found} of {acknowledged}");
        }
    }
}
