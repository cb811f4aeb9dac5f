//! The one SDK that runs in a process, for functions that are called without a guard at hand.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::scope::OwnScope;

/// Whether `init` was called and its guard not dropped.
static IS_RUNNING: AtomicBool = AtomicBool::new(false);

/// What the process contributes, from the end of `init` to the dropping of its guard.
static SCOPE: RwLock<Option<Arc<OwnScope>>> = RwLock::new(None);

/// Says that it runs from now on, unless it did already.
pub fn begin() -> bool {
    !IS_RUNNING.swap(true, Ordering::AcqRel)
}

/// Says that it runs no more.
pub fn end() {
    IS_RUNNING.store(false, Ordering::Release);
}

/// Lets functions that are called without a guard find the scope, or not find it any more.
pub fn set_scope(scope: Option<Arc<OwnScope>>) {
    let former = {
        let mut current = SCOPE.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *current, scope)
    };
    drop(former);
}

/// Does something with the scope if it runs.
pub fn with_scope(act: impl FnOnce(&OwnScope)) {
    // Taken out of the lock first, since what is done may call functions of the application.
    let scope = SCOPE.read().unwrap_or_else(PoisonError::into_inner).clone();
    if let Some(scope) = scope {
        act(&scope);
    }
}
