//! A disk that hangs, and comes back: a small file system of its own that is frozen.
//!
//! Whoever writes to it while it is frozen waits in the kernel, where nothing can end it, as with a disk
//! that has failed or a network file system whose server is gone. Mounting needs privileges that not
//! every machine gives; there is none then, and a test has to take another way.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The image is as small as `mkfs` makes one with a journal.
const IMAGE_BYTES: u64 = 16 << 20;

/// A file system that can be frozen. It is thawed and unmounted at the end, also that of the process of the
/// test, however it ends.
#[derive(Debug)]
pub struct Disk {
    path: PathBuf,
    /// Waits for the end, and then thaws and unmounts.
    keeper: Child,
}

impl Disk {
    /// Makes one and mounts it at `path`, with its image beside it. Nothing if that is refused.
    ///
    /// # Panics
    ///
    /// If there is no place for the image.
    pub fn mount(path: &Path) -> Option<Self> {
        let image = path.with_extension("image");
        std::fs::create_dir_all(path).expect("there is a place for it");
        let file = std::fs::File::create(&image).expect("there is a place for it");
        file.set_len(IMAGE_BYTES).expect("there is a place for it");
        let is_mounted = run(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&image))
            && run(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(path));
        if !is_mounted {
            return None;
        }
        let keeper = Command::new("sh")
            .args(["-c", "read -r _; fsfreeze -u \"$0\"; umount -l \"$0\""])
            .arg(path)
            // Whoever ends the test and all that belongs to it should not end this.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("there is a shell");
        let disk = Self { path: path.to_owned(), keeper };
        // Where it cannot be frozen it is of no use.
        let can_freeze = fsfreeze("-f", &disk.path) && fsfreeze("-u", &disk.path);
        can_freeze.then_some(disk)
    }

    /// Lets everybody hang who writes to it.
    ///
    /// # Panics
    ///
    /// If it is frozen already.
    pub fn freeze(&self) {
        assert!(fsfreeze("-f", &self.path), "it cannot be frozen");
    }

    /// Lets everybody go on.
    ///
    /// # Panics
    ///
    /// If it is not frozen.
    pub fn thaw(&self) {
        assert!(fsfreeze("-u", &self.path), "it cannot be thawed");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Some(mut stdin) = self.keeper.stdin.take() {
            let _ = stdin.write_all(b"end\n");
        }
        let _ = self.keeper.wait();
    }
}

fn fsfreeze(what: &str, path: &Path) -> bool {
    run(Command::new("fsfreeze").arg(what).arg(path))
}

fn run(command: &mut Command) -> bool {
    let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
