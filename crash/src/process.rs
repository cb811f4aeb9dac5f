//! What can be seen of another process: whether it is stopped, and who its parent is.
//!
//! Both are a look at a moment, and both go by an id that may belong to another process the moment
//! after. Only Linux is looked at so far; elsewhere nobody is stopped and nobody has a parent.

#[cfg(target_os = "linux")]
pub(crate) mod linux;

/// Whether the process is stopped, by a signal or by a debugger: it cannot answer, and is not hung.
///
/// `false` if there is no such process, and always on other systems than Linux.
///
/// ```
/// assert!(!guardhouse_crash::process::is_stopped(std::process::id()));
/// ```
pub fn is_stopped(pid: u32) -> bool {
    #[cfg(target_os = "linux")]
    return linux::Stat::read(pid).is_some_and(|stat| matches!(stat.state, 'T' | 't'));
    #[cfg(not(target_os = "linux"))]
    {
        let _ = pid;
        false
    }
}

/// The id of the process's parent, or of whoever adopted it.
///
/// `None` if there is no such process or it has no parent, and always on other systems than Linux.
///
/// ```
/// # #[cfg(target_os = "linux")]
/// assert_eq!(
///     guardhouse_crash::process::parent_of(std::process::id()),
///     Some(std::os::unix::process::parent_id()),
/// );
/// ```
pub fn parent_of(pid: u32) -> Option<u32> {
    #[cfg(target_os = "linux")]
    return linux::Stat::read(pid).map(|stat| stat.parent).filter(|&parent| parent != 0);
    #[cfg(not(target_os = "linux"))]
    {
        let _ = pid;
        None
    }
}
