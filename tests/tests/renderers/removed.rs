//! Somebody removes the files by which renderers find main, while it lives.

use std::path::PathBuf;
use std::time::Instant;

use guardhouse_process::meeting;
use guardhouse_protocol::Namespace;
use guardhouse_tests::desk::runtime_of;

use crate::{House, PATIENCE};

/// Where main's note lies, once it does.
#[track_caller]
fn await_note(directory: &std::path::Path) -> PathBuf {
    let start = Instant::now();
    loop {
        let found = meeting::find(directory, &Namespace::DEFAULT);
        if let Some((path, _)) = found.into_iter().next() {
            return path;
        }
        assert!(start.elapsed() < PATIENCE, "main has made no note anew");
        std::thread::yield_now();
    }
}

/// Elsewhere the system does not tell it.
#[cfg(target_os = "linux")]
#[test]
fn main_is_found_again_after_its_runtime_directory_was_removed() {
    for mode in ["classic", "protocol", "both"] {
        let mut house = House::start(&["--mode", mode]);
        let directory = runtime_of(house.cache.path()).join("guardhouse");
        let path = await_note(&directory);
        let options = ["--no-socket", "--mode", mode];
        let mut early = house.child("early", &options);
        // All of it, and everything above it, and the note alone.
        let above = directory.parent().unwrap();
        let removals: [&dyn Fn() -> std::io::Result<()>; 3] =
            [&|| std::fs::remove_dir_all(&directory), &|| std::fs::remove_dir_all(above), &|| {
                std::fs::remove_file(&path)
            }];
        for remove in removals {
            remove().unwrap();
            assert_eq!(await_note(&directory), path, "children that are there know its name");
        }
        let mut late = house.child("late", &options);
        for child in [&mut early, &mut late] {
            let way = if mode == "both" { "classic" } else { mode };
            assert_eq!(child.ask(&format!("await {way}")), format!("way {way}"));
            child.ask("capture found");
            assert!(child.ask("flush 60000").starts_with("flushed true"), "{mode}");
            assert!(child.ask("close 60000").starts_with("closed true"), "{mode}");
        }
        house.close();
        assert_eq!(house.messages(), ["found", "found"]);
        assert!(!path.exists(), "it is taken away at the end");
    }
}
