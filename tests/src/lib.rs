//! What the tests of Guardhouse are judged by: the corpus, and oracles that property tests and fuzz
//! targets share.

/// What must hold for any bytes whatsoever. Each oracle takes bytes and panics if it does not;
/// property tests call it with bytes that make sense, fuzz targets with those that do not.
pub mod oracle {
    pub mod frame;
}
