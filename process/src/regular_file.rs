//! Regular files, opened so that nothing else can be there in their place.
//!
//! Our directories belong to the user alone, but whatever runs as that user can plant things in them. A
//! FIFO hangs whoever opens it, a link leads elsewhere, `/dev/zero` never ends. So files are opened
//! without following a link and without waiting, looked at before anything is read, and read only up to
//! a limit.
//!
//! ```
//! # let path = std::env::temp_dir().join(format!("guardhouse-doc-{}", std::process::id()));
//! # std::fs::write(&path, "a few bytes")?;
//! use guardhouse_process::regular_file;
//!
//! assert_eq!(regular_file::read_at_most(&path, 100)?, b"a few bytes");
//! let error = regular_file::read_at_most(&path, 5).unwrap_err();
//! assert_eq!(error.kind(), std::io::ErrorKind::FileTooLarge);
//! # std::fs::remove_file(&path)?;
//! # Ok::<(), std::io::Error>(())
//! ```

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

/// Opens a file to read it.
///
/// A link, a FIFO, a device, a socket or a directory is an error ([`io::ErrorKind::InvalidData`]).
pub fn open(path: &Path) -> io::Result<File> {
    open_with(path, OpenOptions::new().read(true))
}

/// Opens a file as `options` say, whose custom flags are set here. What is not regular is an error as
/// for [`open`].
pub fn open_with(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let file = without_following(options).open(path).map_err(|error| explain(path, error))?;
    // Asked of what was opened: the path may lead elsewhere by now.
    if file.metadata()?.is_file() { Ok(file) } else { Err(not_regular(path)) }
}

/// Reads a whole file. One that holds more than `most` bytes is an error
/// ([`io::ErrorKind::FileTooLarge`]), as is memory that does not suffice
/// ([`io::ErrorKind::OutOfMemory`]); what is not regular is one as for [`open`].
pub fn read_at_most(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    let length = file.metadata()?.len();
    if length > most {
        return Err(too_large(path, most));
    }
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length as usize)?;
    // It may have grown since.
    if file.take(most.saturating_add(1)).read_to_end(&mut bytes)? as u64 > most {
        return Err(too_large(path, most));
    }
    Ok(bytes)
}

#[cfg(unix)]
fn without_following(options: &mut OpenOptions) -> &mut OpenOptions {
    use rustix::fs::OFlags;
    use std::os::unix::fs::OpenOptionsExt;
    // The standard library adds `O_CLOEXEC`.
    options.custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32)
}

#[cfg(windows)]
fn without_following(options: &mut OpenOptions) -> &mut OpenOptions {
    use std::os::windows::fs::OpenOptionsExt;
    /// Opens the link itself, which is no regular file. Pipes have a name space of their own there.
    const FILE_FLAG_OPEN_REPARSE_POINT: u32 = 0x0020_0000;
    options.custom_flags(FILE_FLAG_OPEN_REPARSE_POINT)
}

/// What the system says of a link or a FIFO that was not opened does not tell what is wrong.
#[cfg(unix)]
fn explain(path: &Path, error: io::Error) -> io::Error {
    use rustix::io::Errno;
    match Errno::from_io_error(&error) {
        // A link; a FIFO that nobody reads, or a socket; a device that is not there; a directory.
        Some(Errno::LOOP | Errno::NXIO | Errno::NODEV | Errno::ISDIR) => not_regular(path),
        // Some systems answer a link with an error of their own.
        Some(_) if std::fs::symlink_metadata(path).is_ok_and(|it| it.is_symlink()) => {
            not_regular(path)
        }
        _ => error,
    }
}

#[cfg(not(unix))]
fn explain(_: &Path, error: io::Error) -> io::Error {
    error
}

fn not_regular(path: &Path) -> io::Error {
    let why = format!(
        "{} is no regular file but a link, a pipe, a device or a directory that somebody has put there; \
         remove it",
        path.display()
    );
    io::Error::new(io::ErrorKind::InvalidData, why)
}

fn too_large(path: &Path, most: u64) -> io::Error {
    let why = format!("{} holds more than {most} bytes, so it was not read", path.display());
    io::Error::new(io::ErrorKind::FileTooLarge, why)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use uuid::Uuid;

    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Self {
            let name = format!("guardhouse-test-{}", Uuid::new_v4().simple());
            let path = std::env::temp_dir().join(name);
            std::fs::create_dir(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_file_is_read_up_to_its_limit_and_not_beyond() {
        let folder = Folder::new();
        let path = folder.0.join("file");
        assert_eq!(read_at_most(&path, 9).unwrap_err().kind(), io::ErrorKind::NotFound);
        std::fs::write(&path, "ten bytes.").unwrap();
        assert_eq!(read_at_most(&path, 10).unwrap(), b"ten bytes.");
        assert_eq!(read_at_most(&path, 9).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(read_at_most(&path, u64::MAX).unwrap(), b"ten bytes.");
        assert_eq!(read_at_most(&folder.0, 9).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[cfg(unix)]
    #[test]
    fn what_is_planted_in_place_of_a_file_is_neither_followed_nor_waited_for() {
        let folder = Folder::new();
        let file = folder.0.join("file");
        std::fs::write(&file, "content").unwrap();
        let plant = |name: &str| folder.0.join(name);
        std::os::unix::fs::symlink(&file, plant("link")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", plant("zero")).unwrap();
        std::os::unix::fs::symlink(plant("nowhere"), plant("dangling")).unwrap();
        let status = std::process::Command::new("mkfifo").arg(plant("fifo")).status().unwrap();
        assert!(status.success());
        let _socket = std::os::unix::net::UnixListener::bind(plant("socket")).unwrap();
        for name in ["link", "zero", "dangling", "fifo", "socket"] {
            let path = plant(name);
            for options in [
                OpenOptions::new().read(true),
                OpenOptions::new().write(true),
                OpenOptions::new().read(true).write(true),
                OpenOptions::new().write(true).create(true).truncate(true),
                OpenOptions::new().append(true).create(true),
            ] {
                let error = open_with(&path, options).unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{name}: {error}");
            }
            assert_eq!(read_at_most(&path, 9).unwrap_err().kind(), io::ErrorKind::InvalidData);
        }
        let device = open(Path::new("/dev/zero")).unwrap_err();
        assert_eq!(device.kind(), io::ErrorKind::InvalidData);
        assert_eq!(std::fs::read(&file).unwrap(), b"content");
        assert!(!plant("nowhere").exists());
    }
}
