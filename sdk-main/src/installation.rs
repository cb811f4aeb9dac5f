//! The id of the installation, by which Sentry counts how many users have sessions without a crash.
//!
//! It is random, says nothing of the user or the machine, and lies in a file of `cache_dir`. The file is
//! made by the first run that may send anything and deleted when the user's consent is revoked, so that
//! the id after a new consent is another one.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use guardhouse_process::regular_file;
use uuid::Uuid;

/// The name of the file.
const FILE: &str = "installation";
/// How the name of one ends that is not complete.
const TEMPORARY: &str = ".tmp";
/// So often it is tried to agree with other instances that make the file at the same time.
const ATTEMPTS: usize = 3;

/// The id of the installation whose `cache_dir` this is. It is made if there is none, or if the file
/// holds something else. Instances that start at the same time get the same one.
pub(crate) fn id(cache_dir: &Path) -> io::Result<String> {
    remove_leftovers(cache_dir);
    let file = cache_dir.join(FILE);
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for _ in 0..ATTEMPTS {
        last = match read(&file) {
            Ok(id) => return Ok(id),
            Err(error) => error,
        };
        // What is no id is replaced. Where there is nothing, whoever comes first has it.
        let may_replace = last.kind() == io::ErrorKind::InvalidData;
        match make(&file, may_replace) {
            Ok(()) => {}
            // Somebody else was faster, or has removed what this one was about to complete.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::AlreadyExists | io::ErrorKind::NotFound
                ) => {}
            Err(error) => return Err(error),
        }
    }
    read(&file).map_err(|_| last)
}

/// Forgets the id.
pub(crate) fn forget(cache_dir: &Path) {
    let _ = fs::remove_file(cache_dir.join(FILE));
}

/// Whatever is no id is an error of the kind [`InvalidData`](io::ErrorKind).
fn read(file: &Path) -> io::Result<String> {
    let is_too_large = |error: &io::Error| error.kind() == io::ErrorKind::FileTooLarge;
    let bytes = match regular_file::read_at_most(file, 64) {
        Err(error) if is_too_large(&error) => Vec::new(),
        bytes => bytes?,
    };
    let id =
        std::str::from_utf8(&bytes).ok().and_then(|text| Uuid::try_parse(text.trim_end()).ok());
    id.map(|id| id.simple().to_string()).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Makes the file, so that it is there as a whole or not at all.
fn make(file: &Path, may_replace: bool) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    let id = Uuid::new_v4().simple();
    let temporary = PathBuf::from(format!("{}.{id}{TEMPORARY}", file.display()));
    let made = write(&temporary, &format!("{id}\n")).and_then(|()| {
        if may_replace { fs::rename(&temporary, file) } else { fs::hard_link(&temporary, file) }
    });
    let _ = fs::remove_file(&temporary);
    made
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(text.as_bytes())
}

/// Removes what a run has left that was killed while it made the file.
fn remove_leftovers(cache_dir: &Path) {
    for entry in fs::read_dir(cache_dir).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(FILE) && name.ends_with(TEMPORARY) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Self {
            let name = format!("guardhouse-installation-{}", Uuid::new_v4().simple());
            Self(std::env::temp_dir().join(name))
        }

        fn files(&self) -> Vec<String> {
            let names = fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name());
            names.map(|name| name.into_string().unwrap()).collect()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn it_stays_the_same_until_it_is_forgotten() {
        let folder = Folder::new();
        let first = id(&folder.0).unwrap();
        assert_eq!(id(&folder.0).unwrap(), first);
        assert_eq!(first.len(), 32);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(folder.0.join(FILE)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        forget(&folder.0);
        assert_ne!(id(&folder.0).unwrap(), first);
        assert_eq!(folder.files(), [FILE]);
    }

    #[test]
    fn those_who_start_at_the_same_time_agree() {
        let folder = Folder::new();
        for _ in 0..20 {
            let ids: Vec<String> = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| id(&folder.0).ok())).collect();
                threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
            });
            assert!(!ids.is_empty());
            assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
            forget(&folder.0);
        }
        assert!(folder.files().is_empty());
    }

    #[test]
    fn what_is_no_id_is_replaced_and_what_was_left_unfinished_removed() {
        let folder = Folder::new();
        fs::create_dir(&folder.0).unwrap();
        for garbage in ["", "abc", "\u{0}\u{0}", &"0".repeat(100), &"x".repeat(32)] {
            fs::write(folder.0.join(FILE), garbage).unwrap();
            fs::write(folder.0.join("installation.abc.tmp"), "half").unwrap();
            let made = id(&folder.0).unwrap();
            assert_eq!(id(&folder.0).unwrap(), made, "{garbage:?}");
            assert_eq!(folder.files(), [FILE]);
        }
    }

    #[cfg(unix)]
    #[test]
    fn what_is_planted_in_its_place_is_neither_followed_nor_waited_for() {
        let folder = Folder::new();
        fs::create_dir(&folder.0).unwrap();
        let (file, other) = (folder.0.join(FILE), folder.0.join("other"));
        fs::write(&other, Uuid::new_v4().simple().to_string()).unwrap();
        std::os::unix::fs::symlink(&other, &file).unwrap();
        let made = id(&folder.0).unwrap();
        assert_ne!(made, fs::read_to_string(&other).unwrap());
        forget(&folder.0);
        let fifo = std::process::Command::new("mkfifo").arg(&file).status().unwrap();
        assert!(fifo.success());
        assert!(id(&folder.0).is_ok());
        forget(&folder.0);
        fs::create_dir(&file).unwrap();
        assert!(id(&folder.0).is_err());
    }
}
