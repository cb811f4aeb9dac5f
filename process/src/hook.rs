//! Calling functions of the application where a panic of theirs must cost nothing of ours.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};

use sentry::protocol::{Breadcrumb, Event};
use sentry::{BeforeCallback, Hub};

/// Calls a function of the application about a breadcrumb. `sentry` holds a lock meanwhile that a
/// report of a panic would wait for, so a panic in there is not reported, and the breadcrumb stays.
pub fn call_about_breadcrumb(
    function: &BeforeCallback<Breadcrumb>,
    breadcrumb: Breadcrumb,
) -> Option<Breadcrumb> {
    static SILENCE: OnceLock<Arc<Hub>> = OnceLock::new();
    let silence = SILENCE.get_or_init(|| Arc::new(Hub::new(None, Arc::default())));
    let unchanged = breadcrumb.clone();
    let call = || Hub::run(silence.clone(), || function(breadcrumb));
    catch_unwind(AssertUnwindSafe(call)).unwrap_or(Some(unchanged))
}

thread_local! {
    /// Whether a function of the application is being called about an event on this thread.
    static IS_CALLING: Cell<bool> = const { Cell::new(false) };
}

/// Calls a function of the application about an event. If it panics, the event goes on as it was. The
/// panic is reported like any other, without calling such functions for that one: they would panic
/// again, in a panic, and that ends a process.
pub fn call_about_event(
    function: &BeforeCallback<Event<'static>>,
    event: Event<'static>,
) -> Option<Event<'static>> {
    if IS_CALLING.replace(true) {
        return Some(event);
    }
    let unchanged = event.clone();
    let result = catch_unwind(AssertUnwindSafe(|| function(event)));
    IS_CALLING.set(false);
    result.unwrap_or(Some(unchanged))
}
