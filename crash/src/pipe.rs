//! Named pipes that only the current user can open (Windows).
//!
//! [`create`] makes the server's end, [`client_process_id`] asks the system who has connected.
//! Neither another user nor another machine gets in; which of the user's own processes may speak is
//! for the caller to decide.
//!
//! It has been run under Wine, but never on Windows. That others are kept out has been read, not seen.

use std::ffi::c_void;
use std::io;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::ptr::null_mut;

use tokio::net::windows::named_pipe::{NamedPipeServer, ServerOptions};
use windows_sys::Win32::Foundation::LocalFree;
use windows_sys::Win32::Security::Authorization::{
    ConvertSidToStringSidW, ConvertStringSecurityDescriptorToSecurityDescriptorW, SDDL_REVISION_1,
};
use windows_sys::Win32::Security::{
    GetTokenInformation, SECURITY_ATTRIBUTES, TOKEN_QUERY, TOKEN_USER, TokenUser,
};
use windows_sys::Win32::System::Pipes::GetNamedPipeClientProcessId;
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};

/// Makes an instance of the pipe, which waits for one client.
///
/// `name` is the whole of it, with `\\.\pipe\` before. With `is_first` there must be no pipe of that
/// name yet, so nobody can have made one to listen in; the further instances are made without.
///
/// # Errors
///
/// If the name is taken or is none, or the system refuses.
///
/// # Panics
///
/// Outside of a tokio runtime that has I/O enabled.
///
/// ```no_run
/// # async fn example() -> std::io::Result<()> {
/// let pipe = guardhouse_crash::pipe::create(r"\\.\pipe\my-app", true)?;
/// pipe.connect().await?;
/// let pid = guardhouse_crash::pipe::client_process_id(&pipe)?;
/// # let _ = pid;
/// # Ok(())
/// # }
/// ```
pub fn create(name: &str, is_first: bool) -> io::Result<NamedPipeServer> {
    let descriptor = for_current_user()?;
    let mut attributes = SECURITY_ATTRIBUTES {
        // The size of a structure of three words.
        nLength: size_of::<SECURITY_ATTRIBUTES>() as u32,
        lpSecurityDescriptor: descriptor.0,
        bInheritHandle: 0,
    };
    let mut options = ServerOptions::new();
    options.first_pipe_instance(is_first).reject_remote_clients(true);
    // SAFETY: The attributes are complete, and they and the descriptor in them outlive the call,
    // which copies what it needs.
    unsafe {
        options.create_with_security_attributes_raw(name, (&raw mut attributes).cast::<c_void>())
    }
}

/// The id of the process that has connected.
///
/// It is that of the process which opened the pipe, whoever it has passed it on to since.
///
/// # Errors
///
/// If nobody is connected.
///
/// See [`create`] for an example.
pub fn client_process_id(pipe: &NamedPipeServer) -> io::Result<u32> {
    let mut pid = 0;
    // SAFETY: The handle is open as long as the pipe is borrowed, and `pid` is there to be written.
    done(unsafe { GetNamedPipeClientProcessId(pipe.as_raw_handle(), &raw mut pid) })?;
    Ok(pid)
}

/// What lets the user of this process do everything, and nobody else anything.
fn for_current_user() -> io::Result<Local> {
    let sid = current_user()?;
    let mut text: Vec<u16> = "D:P(A;;GA;;;".encode_utf16().collect();
    text.extend(sid);
    text.extend(")\0".encode_utf16());

    let mut descriptor = null_mut();
    // SAFETY: The text ends with a zero and `descriptor` is there to be written. The size may be left
    // unasked.
    done(unsafe {
        ConvertStringSecurityDescriptorToSecurityDescriptorW(
            text.as_ptr(),
            SDDL_REVISION_1,
            &raw mut descriptor,
            null_mut(),
        )
    })?;
    Ok(Local(descriptor))
}

/// The user of this process, in the letters that descriptors are written in.
fn current_user() -> io::Result<Vec<u16>> {
    let mut token = null_mut();
    // SAFETY: The handle of the own process always is one, and `token` is there to be written.
    done(unsafe { OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &raw mut token) })?;
    // SAFETY: The call has opened it, for us alone.
    let token = unsafe { OwnedHandle::from_raw_handle(token) };

    // The structure and behind it the identifier, which has at most 68 bytes.
    const WORDS: usize = 16;
    let mut user = [0_u64; WORDS];
    let mut size = 0;
    // SAFETY: The token is open for queries. As many bytes are there as is said, aligned for the
    // structure.
    done(unsafe {
        GetTokenInformation(
            token.as_raw_handle(),
            TokenUser,
            user.as_mut_ptr().cast::<c_void>(),
            size_of_val(&user) as u32,
            &raw mut size,
        )
    })?;
    // SAFETY: The call has written one there.
    let sid = unsafe { (*user.as_ptr().cast::<TOKEN_USER>()).User.Sid };

    let mut text = null_mut();
    // SAFETY: The identifier lies in `user`, which is still there, and `text` is there to be written.
    done(unsafe { ConvertSidToStringSidW(sid, &raw mut text) })?;
    let text = (text, Local(text.cast::<c_void>()));
    // SAFETY: The call has made a text that ends with a zero, which is freed after this.
    let length = (0..).take_while(|&at| unsafe { *text.0.add(at) } != 0).count();
    // SAFETY: As above, and it has just been measured.
    Ok(unsafe { std::slice::from_raw_parts(text.0, length) }.to_vec())
}

/// Memory that the system made for us to free.
struct Local(*mut c_void);

impl Drop for Local {
    fn drop(&mut self) {
        // SAFETY: The system made it, and it is freed once.
        unsafe { LocalFree(self.0) };
    }
}

/// What the calls of Windows say by their result.
fn done(result: i32) -> io::Result<()> {
    if result == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
