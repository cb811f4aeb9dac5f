//! What native renderers ask for, put into practice.

use super::Watch;
use crate::ipc::service::Call;

impl Watch {
    pub(super) fn native(&mut self, call: Call) {
        drop(call);
    }
}
