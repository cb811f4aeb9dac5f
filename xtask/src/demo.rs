//! `cargo xtask demo`: what there is to see so far.

use guardhouse_protocol::contract::{CONTRACT, Origin};
use guardhouse_protocol::{Channel, Namespace};

use crate::contract::text::bytes;
use crate::{Failure, packages};

/// Prints the contract, which is what exists.
pub(crate) fn run() -> Result<(), Failure> {
    packages::install()?;
    let namespace = Namespace::default();
    println!("\nThe contract between the processes of an application, as it is spoken here:\n");
    println!(
        "  {:<26} {:<34} {:>9}  {:>9}  made up by",
        "key", "who speaks", "message", "in all"
    );
    for channel in Channel::ALL {
        let row = channel.declaration();
        println!(
            "  {:<26} {:<34} {:>9}  {:>9}  {}",
            channel.key(&namespace),
            row.direction.describe(),
            bytes(row.max_bytes as u64),
            bytes(row.max_total_bytes),
            match row.origin {
                Origin::Electron => "@sentry/electron",
                Origin::Guardhouse => "Guardhouse",
            }
        );
    }
    let to_main = CONTRACT.iter().filter(|row| row.direction.is_to_main());
    println!(
        "\n{} of these {} channels are spoken by renderers. What main does when it hears them, and \
         what it\nrefuses, stands in docs/contract.md.\n\n\
         This is all that there is to see so far: no window opens, no process starts and nothing \
         is sent.\nThe SDKs that speak the contract come next; README.md says what state each part \
         is in.",
        to_main.count(),
        CONTRACT.len()
    );
    Ok(())
}
