//! What happens to an event of this process before it goes to main.
//!
//! It is little: the scope of all processes is laid over it in main. Here it is only said which trace
//! it belongs to, since `sentry` lets nobody set that in a scope.

use std::sync::Arc;

use sentry::protocol::{Context, Event};
use sentry::{ClientOptions, Integration};

use crate::wishes::Wishes;

/// The integration that [`init`](crate::init) adds to the client.
pub(crate) struct Tracing(pub(crate) Arc<Wishes>);

impl Integration for Tracing {
    fn name(&self) -> &'static str {
        "guardhouse"
    }

    fn process_event(
        &self,
        mut event: Event<'static>,
        _options: &ClientOptions,
    ) -> Option<Event<'static>> {
        if let Some(Context::Trace(context)) = event.contexts.get_mut("trace") {
            self.0.continue_in(context);
        }
        Some(event)
    }
}
