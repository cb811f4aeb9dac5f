//! Linux: a descriptor of the process, which is readable once it has ended.
//!
//! Three may know how it ended, each at another time. The kernel tells a parent until somebody has
//! waited for the process. From then on it tells everyone who holds a descriptor, since Linux 6.15.
//! Of a process that is not ours and that nobody has waited for yet, `/proc` knows.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::ioctl::{Opcode, Updater, ioctl, opcode};
use rustix::process::{
    Pid, PidfdFlags, WaitId, WaitIdOptions, WaitIdStatus, geteuid, pidfd_open, waitid,
};

use super::Status;
use crate::process::linux::Stat;

/// How long somebody else may take between having begun to wait for the process and having done so.
/// It is a matter of microseconds in the kernel, and almost never seen.
const BETWEEN: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };

/// So often it is looked: before that, and after.
const LOOKS: usize = 2;

#[derive(Debug)]
pub(super) struct Process {
    pidfd: OwnedFd,
    pid: u32,
}

impl Process {
    pub(super) fn open(pid: u32) -> io::Result<Self> {
        let number = i32::try_from(pid).ok().filter(|&number| number > 0).and_then(Pid::from_raw);
        let number = number.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(Self { pidfd: pidfd_open(number, PidfdFlags::NONBLOCK)?, pid })
    }

    pub(super) fn status(&self) -> io::Result<Option<Status>> {
        let mut polled = [PollFd::new(&self.pidfd, PollFlags::IN)];
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        match poll(&mut polled, Some(&at_once)) {
            Ok(0) => Ok(None),
            Ok(_) => Ok(Some(self.how())),
            Err(Errno::INTR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn how(&self) -> Status {
        if let Some(status) = self.as_parent() {
            return status;
        }
        for _ in 0..LOOKS {
            match self.after_it_was_waited_for() {
                Told::Status(status) => return status,
                Told::Never => return self.as_onlooker().unwrap_or(Status::Unknown),
                Told::NotYet => {}
            }
            if let Some(status) = self.as_onlooker() {
                return status;
            }
            self.wait_until_it_was_waited_for();
        }
        Status::Unknown
    }

    /// What its parent is told, if that is us. It does not count as having waited for it.
    fn as_parent(&self) -> Option<Status> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        let status = waitid(WaitId::PidFd(self.pidfd.as_fd()), options).ok()??;
        from_waitid(&status)
    }

    fn after_it_was_waited_for(&self) -> Told {
        // The kernel looks for what it has kept and then for the process. If the one came and the
        // other went between these looks, it has found neither.
        match self.ask().or_else(|error| if error == Errno::SRCH { self.ask() } else { Err(error) })
        {
            Ok(info) if info.mask & INFO_EXIT != 0 => {
                Told::Status(Status::from_wait(info.exit_code))
            }
            Ok(_) => Told::NotYet,
            Err(_) => Told::Never,
        }
    }

    fn ask(&self) -> Result<Info, Errno> {
        const GET_INFO: Opcode = opcode::read_write::<Info>(0xff, 11);

        let mut info = Info { mask: INFO_EXIT, ..Info::default() };
        // SAFETY: The operation reads and writes as many bytes as its code says, which is the size of
        // an `Info`, and any bytes make one.
        unsafe { ioctl(&self.pidfd, Updater::<GET_INFO, Info>::new(&mut info)) }?;
        Ok(info)
    }

    /// What `/proc` says of a process that nobody has waited for.
    fn as_onlooker(&self) -> Option<Status> {
        let stat = Stat::read(self.pid)?;
        // A code of zero is also what those read who may not know.
        let may_know = stat.exit_code != 0 || {
            let user = geteuid();
            user.is_root()
                || std::fs::metadata(format!("/proc/{}", self.pid))
                    .is_ok_and(|entry| entry.uid() == user.as_raw())
        };
        // The id belonged to this process all the while if it still does.
        (stat.state == 'Z' && may_know && !self.is_waited_for())
            .then(|| Status::from_wait(stat.exit_code))
    }

    fn wait_until_it_was_waited_for(&self) {
        // A hang-up is told without being asked for. Nothing else is asked for here.
        let _ = poll(&mut [PollFd::new(&self.pidfd, PollFlags::empty())], Some(&BETWEEN));
    }

    fn is_waited_for(&self) -> bool {
        let number = self.pidfd.as_raw_fd();
        std::fs::read_to_string(format!("/proc/self/fdinfo/{number}")).map_or(true, |text| {
            let mut values = text.lines().filter_map(|line| line.strip_prefix("Pid:"));
            values.next().is_none_or(|value| value.trim().parse() != Ok(self.pid))
        })
    }
}

impl AsFd for Process {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

fn from_waitid(status: &WaitIdStatus) -> Option<Status> {
    let code = status.exit_status().map(Status::Code);
    let signal = || {
        let number = status.terminating_signal()?;
        Some(Status::Signal { number, core_dumped: status.dumped() })
    };
    code.or_else(signal)
}

/// What the kernel says to everyone who holds the descriptor.
enum Told {
    Status(Status),
    /// It will say when the process was waited for.
    NotYet,
    /// It is too old, or the descriptor was opened too late.
    Never,
}

/// What is asked for, and what was answered: how the process ended.
const INFO_EXIT: u64 = 1 << 3;

/// The first version of the kernel's `struct pidfd_info`, the size of which is part of the operation.
#[derive(Default)]
#[repr(C)]
struct Info {
    mask: u64,
    cgroup: u64,
    ids: [u32; 11],
    exit_code: i32,
}

const _: () = assert!(size_of::<Info>() == 64);
