//! The SDK thread: it takes what comes through the doorway, and hands it to main.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use guardhouse_protocol::frame::{RendererName, Role};
use guardhouse_protocol::{Config, IpcMode, Namespace, Trace};

use crate::house::House;

/// Everything that the thread has to know.
pub(crate) struct Orders {
    pub(crate) namespace: Namespace,
    pub(crate) mode: IpcMode,
    pub(crate) name: RendererName,
    pub(crate) role: Role,
    /// Where to leave what main has not taken, if no main was ever seen that says where.
    pub(crate) spool: Option<PathBuf>,
    /// So many messages wait for main at most.
    pub(crate) max_items: usize,
    /// So many bytes of them.
    pub(crate) max_bytes: usize,
    /// So many breadcrumbs of the process itself are kept for a new main.
    pub(crate) max_breadcrumbs: usize,
    pub(crate) on_config: Box<dyn Fn(Config) + Send>,
    pub(crate) on_trace: Box<dyn Fn(Trace) + Send>,
    /// What chance starts from.
    pub(crate) seed: u64,
}

/// Starts the thread. Whoever calls it has touched `Hub::main()` before.
pub(crate) fn start(house: Arc<House>, orders: Orders) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("guardhouse".to_owned()).spawn(move || {
        house.enter();
        drop(orders);
    })
}
