//! What renderers say, judged: bytes become messages, or counted refusals.
