//! What holds for random inputs of the protocol, not only for those that somebody thought of.

mod envelope;
mod frame;
mod json;
mod scope;
mod splice;

use proptest::test_runner::{Config, RngSeed};

/// The same cases in every run, as many as `PROPTEST_CASES` says.
fn config(cases: u32) -> Config {
    let asked = std::env::var("PROPTEST_CASES");
    Config {
        cases: asked.ok().and_then(|n| n.parse().ok()).unwrap_or(cases),
        rng_seed: RngSeed::Fixed(0x6a_7e),
        failure_persistence: None,
        ..Config::default()
    }
}
