//! Windows: a handle of the process, which is signalled once it has ended.
//!
//! One of the threads that Windows keeps for waiting waits for all of them.

use std::io;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};

use windows_sys::Win32::Foundation::{STATUS_CONTROL_C_EXIT, WAIT_OBJECT_0, WAIT_TIMEOUT};
use windows_sys::Win32::System::Threading::{
    GetExitCodeProcess, OpenProcess, PROCESS_QUERY_LIMITED_INFORMATION, PROCESS_SYNCHRONIZE,
    WaitForSingleObject,
};

use super::Status;

#[derive(Debug)]
pub(super) struct Process {
    handle: OwnedHandle,
}

impl Process {
    pub(super) fn open(pid: u32) -> io::Result<Self> {
        // SAFETY: A call with plain numbers.
        let handle =
            unsafe { OpenProcess(PROCESS_SYNCHRONIZE | PROCESS_QUERY_LIMITED_INFORMATION, 0, pid) };
        if handle.is_null() {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: The handle is open, and nobody else has it.
        Ok(Self { handle: unsafe { OwnedHandle::from_raw_handle(handle) } })
    }

    pub(super) fn status(&self) -> io::Result<Option<Status>> {
        // The code of a process that has not ended is also one that it may end with.
        // SAFETY: The handle is open, and may be waited for.
        match unsafe { WaitForSingleObject(self.handle.as_raw_handle(), 0) } {
            WAIT_OBJECT_0 => {}
            WAIT_TIMEOUT => return Ok(None),
            _ => return Err(io::Error::last_os_error()),
        }
        let mut code = 0;
        // SAFETY: The handle is open, and `code` is there to be written.
        if unsafe { GetExitCodeProcess(self.handle.as_raw_handle(), &raw mut code) } == 0 {
            return Ok(Some(Status::Unknown));
        }
        Ok(Some(Status::Code(code.cast_signed())))
    }

    #[cfg(feature = "tokio")]
    pub(super) async fn ended(&self) -> io::Result<Status> {
        waiting::Wait::new(&self.handle)?.over().await;
        Ok(self.status()?.unwrap_or(Status::Unknown))
    }
}

/// Whether a process ends with this code because of an exception that it did not handle.
pub(super) fn is_exception(code: i32) -> bool {
    /// The top four bits of what Windows calls an error.
    const ERROR: u32 = 0xc;

    code.cast_unsigned() >> 28 == ERROR && code != STATUS_CONTROL_C_EXIT
}

#[cfg(feature = "tokio")]
mod waiting {
    use std::ffi::c_void;
    use std::io;
    use std::os::windows::io::{AsRawHandle, OwnedHandle};
    use std::ptr::null_mut;

    use tokio::sync::Notify;
    use windows_sys::Win32::Foundation::{HANDLE, INVALID_HANDLE_VALUE};
    use windows_sys::Win32::System::Threading::{
        INFINITE, RegisterWaitForSingleObject, UnregisterWaitEx, WT_EXECUTEINWAITTHREAD,
        WT_EXECUTEONLYONCE,
    };

    /// One wait for one handle, which ends when it is dropped.
    pub(super) struct Wait<'a> {
        registration: HANDLE,
        /// On the heap, so that it stays where the waiting thread looks for it.
        signalled: Box<Notify>,
        _handle: &'a OwnedHandle,
    }

    // SAFETY: A registration may be ended by any thread but the waiting one, which never has it. All
    // else in it may be sent anyway.
    unsafe impl Send for Wait<'_> {}
    // SAFETY: A shared one allows nothing but to wait for the `Notify`, which may be shared.
    unsafe impl Sync for Wait<'_> {}

    impl<'a> Wait<'a> {
        pub(super) fn new(handle: &'a OwnedHandle) -> io::Result<Self> {
            let signalled = Box::new(Notify::new());
            let mut registration = null_mut();
            // SAFETY: The handle is open until the registration is ended in `drop`, since it is
            // borrowed. So is the `Notify`, which `drop` frees only after the callback cannot run
            // any more; it is used by a shared reference on either side.
            let done = unsafe {
                RegisterWaitForSingleObject(
                    &raw mut registration,
                    handle.as_raw_handle(),
                    Some(signal),
                    (&raw const *signalled).cast(),
                    INFINITE,
                    WT_EXECUTEINWAITTHREAD | WT_EXECUTEONLYONCE,
                )
            };
            if done == 0 {
                return Err(io::Error::last_os_error());
            }
            Ok(Self { registration, signalled, _handle: handle })
        }

        pub(super) async fn over(&self) {
            self.signalled.notified().await;
        }
    }

    impl Drop for Wait<'_> {
        fn drop(&mut self) {
            // Waits for a callback that is running, which does next to nothing.
            // SAFETY: It is registered, and this is not its callback.
            let done = unsafe { UnregisterWaitEx(self.registration, INVALID_HANDLE_VALUE) };
            if done == 0 {
                // The callback may still come, so what it uses has to stay.
                std::mem::forget(std::mem::take(&mut self.signalled));
            }
        }
    }

    unsafe extern "system" fn signal(signalled: *mut c_void, _timed_out: bool) {
        // SAFETY: It is the `Notify` of a `Wait`, which outlives the callback.
        let signalled = unsafe { &*signalled.cast_const().cast::<Notify>() };
        // Kept for the waiter if it comes later.
        signalled.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions_are_crashes_and_other_codes_are_not() {
        let code = |code: u32| Status::Code(code.cast_signed());
        assert!([0xc000_0005, 0xc000_0409, 0xc000_00fd].into_iter().all(|it| code(it).is_crash()));
        assert!(![0, 1, 3, 0x103, 0xc000_013a].into_iter().any(|it| code(it).is_crash()));
    }
}
