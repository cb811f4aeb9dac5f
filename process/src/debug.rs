//! What the SDK says of itself: on standard error, if the application asked for it, else nowhere.

use std::fmt::Arguments;

/// Says something if the application wants to hear it. A standard error that is closed is no reason
/// to panic.
pub fn say(wanted: bool, words: Arguments<'_>) {
    use std::io::Write;
    if wanted {
        let _ = writeln!(std::io::stderr().lock(), "[guardhouse] {words}");
    }
}
