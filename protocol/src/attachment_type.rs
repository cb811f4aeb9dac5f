//! What an attachment is to Sentry.

/// Whether Sentry makes an event of an attachment of this type, as it does of crash reports. A
/// renderer may not attach such a thing: it would forge the crash of another process.
///
/// ```
/// use guardhouse_protocol::creates_event;
///
/// assert!(creates_event("event.minidump"));
/// assert!(!creates_event("event.view_hierarchy"));
/// ```
pub fn creates_event(attachment_type: &str) -> bool {
    matches!(
        attachment_type,
        "event.minidump"
            | "event.applecrashreport"
            | "event.payload"
            | "event.breadcrumbs"
            | "playstation.prosperodump"
    )
}
