//! One exchange with Sentry over HTTP.
