//! The one SDK that runs in a process, for functions that are called without a guard at hand.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::house::House;

/// Whether `init` was called and its guard not dropped.
static IS_RUNNING: AtomicBool = AtomicBool::new(false);

/// What runs, from the end of `init` to the dropping of its guard.
static HOUSE: RwLock<Option<Arc<House>>> = RwLock::new(None);

/// Says that it runs from now on, unless it did already.
pub(crate) fn begin() -> bool {
    !IS_RUNNING.swap(true, Ordering::AcqRel)
}

/// Says that it runs no more.
pub(crate) fn end() {
    IS_RUNNING.store(false, Ordering::Release);
}

/// Lets functions that are called without a guard find the house, or not find it any more.
pub(crate) fn set_house(house: Option<Arc<House>>) {
    let former = {
        let mut current = HOUSE.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *current, house)
    };
    drop(former);
}

/// Does something if it runs.
pub(crate) fn with_house(act: impl FnOnce(&House)) {
    // Taken out of the lock first, since what is done may call functions of the application.
    let house = HOUSE.read().unwrap_or_else(PoisonError::into_inner).clone();
    if let Some(house) = house {
        act(&house);
    }
}
