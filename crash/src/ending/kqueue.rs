//! macOS: a queue of one event, which is readable once the process has ended.
//!
//! Only a parent is told how. An event is told once, so it is kept.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::null_mut;
use std::sync::Mutex;
use std::time::Duration;

use rustix::event::kqueue::{Event, EventFilter, EventFlags, ProcessEvents, kevent, kqueue};
use rustix::io::Errno;
use rustix::process::Pid;

use super::Status;

/// That the event says how the process ended. Only its parent may ask for it.
const EXITSTATUS: ProcessEvents = ProcessEvents::from_bits_retain(0x0400_0000);

#[derive(Debug)]
pub(super) struct Process {
    queue: OwnedFd,
    is_child: bool,
    ended: Mutex<Option<Status>>,
}

impl Process {
    pub(super) fn open(pid: u32) -> io::Result<Self> {
        let pid = i32::try_from(pid).ok().filter(|&number| number > 0).and_then(Pid::from_raw);
        let pid = pid.ok_or(io::ErrorKind::InvalidInput)?;
        let queue = kqueue()?;
        rustix::io::fcntl_setfd(&queue, rustix::io::FdFlags::CLOEXEC)?;
        let is_child = match watch(&queue, pid, ProcessEvents::EXIT | EXITSTATUS) {
            Ok(()) => true,
            Err(Errno::ACCESS | Errno::PERM) => {
                watch(&queue, pid, ProcessEvents::EXIT)?;
                false
            }
            Err(error) => return Err(error.into()),
        };
        Ok(Self { queue, is_child, ended: Mutex::new(None) })
    }

    pub(super) fn status(&self) -> io::Result<Option<Status>> {
        let mut ended = self.ended.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if ended.is_none() {
            let mut events = Vec::with_capacity(1);
            // SAFETY: No event is added here, and the one that the queue has names no descriptor.
            unsafe {
                kevent(
                    &self.queue,
                    &[],
                    rustix::buffer::spare_capacity(&mut events),
                    Some(Duration::ZERO),
                )?;
            }
            *ended = events.first().map(|event| self.how(event));
        }
        Ok(*ended)
    }

    fn how(&self, event: &Event) -> Status {
        match i32::try_from(event.data()) {
            Ok(raw) if self.is_child => Status::from_wait(raw),
            _ => Status::Unknown,
        }
    }
}

impl AsFd for Process {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.queue.as_fd()
    }
}

fn watch(queue: &OwnedFd, pid: Pid, flags: ProcessEvents) -> Result<(), Errno> {
    let filter = EventFilter::Proc { pid, flags };
    let event = Event::new(filter, EventFlags::ADD | EventFlags::ONESHOT, null_mut());
    let mut none: [Event; 0] = [];
    // SAFETY: The event names a process, and no descriptor.
    unsafe { kevent(queue, &[event], &mut none, None) }?;
    Ok(())
}
