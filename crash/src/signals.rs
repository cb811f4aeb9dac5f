//! Signals that the threads of the SDK must not cause.

use std::io;
use std::mem::MaybeUninit;
use std::ptr;

/// Keeps a write beyond the largest file that the process may make (`RLIMIT_FSIZE`) from ending the
/// process: for this thread, and all that it starts from now on. The write is an error then.
///
/// The system sends `SIGXFSZ` to the thread that writes. Blocked, it waits there for ever, and no other
/// thread sees it: what the application does about the signal for its own writes is as it was.
pub fn block_file_size_signal() -> io::Result<()> {
    let mut signals = MaybeUninit::uninit();
    // SAFETY: `sigemptyset` initialises the set that it gets, before anything else uses it.
    let signals = unsafe {
        libc::sigemptyset(signals.as_mut_ptr());
        signals.assume_init_mut()
    };
    // SAFETY: The set is initialised, and the number is that of a signal. The mask is changed for this
    // thread alone, and nobody asks for the former one.
    let error = unsafe {
        libc::sigaddset(signals, libc::SIGXFSZ);
        libc::pthread_sigmask(libc::SIG_BLOCK, signals, ptr::null_mut())
    };
    if error == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(error)) }
}
