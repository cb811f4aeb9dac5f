//! 100,000 clients after an outage of an hour: the table in `docs/fleet.md`.
//!
//! ```sh
//! cargo run --release -p guardhouse-tests --example fleet
//! ```

mod simulation;

use std::io::Write;

use simulation::{Arrivals, Seen, simulate};

const CLIENTS: usize = 100_000;

/// Seconds after the recovery at which the rows begin and end.
const ROWS: [(usize, usize, &str); 8] = [
    (0, 1, "first second"),
    (1, 10, "to 10 s"),
    (10, 60, "to 1 min"),
    (60, 300, "to 5 min"),
    (300, 900, "to 15 min"),
    (900, 1800, "to 30 min"),
    (1800, 3600, "to 60 min"),
    (3600, usize::MAX, "later"),
];

fn main() -> std::io::Result<()> {
    let cases = [
        simulate(CLIENTS, Arrivals::Together, false),
        simulate(CLIENTS, Arrivals::Together, true),
        simulate(CLIENTS, Arrivals::Scattered, false),
        simulate(CLIENTS, Arrivals::Scattered, true),
    ];
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "| after the recovery | together, no jitter | together, jitter | scattered, no jitter | scattered, jitter |"
    )?;
    writeln!(out, "|---|---|---|---|---|")?;
    let mut row = |name: &str, cell: &dyn Fn(&Seen) -> String| {
        let cells: Vec<_> = cases.iter().map(cell).collect();
        writeln!(out, "| {name} | {} |", cells.join(" | "))
    };
    for (from, to, name) in ROWS {
        row(name, &|seen| {
            let to = to.min(seen.per_second.len());
            let seconds = seen.per_second.get(from..to).unwrap_or_default();
            let mean = seconds.iter().sum::<u64>() as f64 / seconds.len().max(1) as f64;
            format!("{mean:.0} (at most {})", seconds.iter().max().unwrap_or(&0))
        })?;
    }
    row("busiest second", &|seen| seen.peak().to_string())?;
    row("half of all after", &|seen| format!("{} s", seen.seconds_until(0.5)))?;
    row("all after", &|seen| format!("{} s", seen.seconds_until(1.0)))?;
    row("requests in vain per client", &|seen| {
        format!("{:.1}", seen.failed as f64 / CLIENTS as f64)
    })
}
