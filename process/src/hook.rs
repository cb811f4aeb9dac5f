//! Calling functions of the application where a panic of theirs must cost nothing of ours.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};

use sentry::protocol::Breadcrumb;
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
