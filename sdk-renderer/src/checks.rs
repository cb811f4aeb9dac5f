//! Values that nothing could work with, and that would cost reports much later: found out at the start,
//! while somebody looks.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use guardhouse_process::helper_thread;
use sentry::TracesSamplingStrategy;

use crate::error::InitError;
use crate::options::Options;

/// So long the start waits for a disk. One that hangs is no reason not to report.
const DISK_TIME: Duration = Duration::from_millis(500);

/// Checks what the options say, but for names.
pub(crate) fn all(options: &Options) -> Result<(), InitError> {
    for (option, value) in [("max_items", options.max_items), ("max_bytes", options.max_bytes)] {
        if value == 0 {
            return Err(InitError::Invalid { option, value: value.to_string() });
        }
    }
    if let TracesSamplingStrategy::FixedRate(rate) = options.sentry.traces_sampling_strategy
        && !(0.0..=1.0).contains(&rate)
    {
        return Err(InitError::SampleRate(rate));
    }
    let Some(path) = options.spool_dir.clone() else { return Ok(()) };
    let (sender, checked) = mpsc::sync_channel(1);
    let look = move || drop(sender.send(directory(&path).map_err(|source| (path, source))));
    // Without a thread for it, or where the disk does not answer, it shows later.
    let is_looked_at = helper_thread::run(look).is_ok();
    match checked.recv_timeout(DISK_TIME) {
        Ok(Err((path, source))) if is_looked_at => Err(InitError::SpoolDir { path, source }),
        _ => Ok(()),
    }
}

/// Whether a directory is there and can be written in, or can be made. Nothing is changed by looking.
fn directory(path: &Path) -> io::Result<()> {
    if path.as_os_str().is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "its name is empty"));
    }
    let path = std::path::absolute(path)?;
    let (there, metadata) = nearest(path)?;
    if !metadata.is_dir() {
        let why = format!("{} is a file", there.display());
        return Err(io::Error::new(io::ErrorKind::NotADirectory, why));
    }
    may_write(&there)
}

/// The path, or what is there of it.
fn nearest(mut path: PathBuf) -> io::Result<(PathBuf, std::fs::Metadata)> {
    loop {
        match std::fs::metadata(&path) {
            Ok(metadata) => return Ok((path, metadata)),
            Err(error) => {
                let is_there_more =
                    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory);
                if !is_there_more || !path.pop() {
                    return Err(error);
                }
            }
        }
    }
}

#[cfg(unix)]
fn may_write(directory: &Path) -> io::Result<()> {
    use rustix::fs::{Access, access};
    Ok(access(directory, Access::WRITE_OK | Access::EXEC_OK)?)
}

#[cfg(not(unix))]
fn may_write(directory: &Path) -> io::Result<()> {
    // Who may write where is not asked easily here; what can only be read is.
    let is_readonly = std::fs::metadata(directory)?.permissions().readonly();
    let kind = io::ErrorKind::PermissionDenied;
    if is_readonly { Err(io::Error::new(kind, "it can only be read")) } else { Ok(()) }
}
