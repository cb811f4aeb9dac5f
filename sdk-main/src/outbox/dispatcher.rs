//! What to send when. It decides and does nothing: no socket, no file, no clock.
