//! How measures are shown to people and kept for programs.

use std::path::{Path, PathBuf};
use std::{env, fs};

use serde_json::{Value, json};

use crate::measure::{Better, Measure};

/// Writes the measures of a row to `target/bench/{row}.json` and says where that is.
pub(crate) fn write(row: &str, measures: &[Measure]) -> Result<PathBuf, String> {
    let folder = root().join("target/bench");
    let path = folder.join(format!("{row}.json"));
    fs::create_dir_all(&folder)
        .and_then(|()| fs::write(&path, format!("{:#}\n", json(measures))))
        .map_err(|error| format!("{} could not be written: {error}", path.display()))?;
    Ok(path)
}

/// The root of the workspace. Results go there and not to wherever Cargo was told to build, so that
/// who reads them need not know.
fn root() -> PathBuf {
    let here = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    here.parent().map_or(here.clone(), Path::to_owned)
}

fn json(measures: &[Measure]) -> Value {
    measures
        .iter()
        .map(|measure| {
            json!({
                "name": measure.subject.name,
                "unit": measure.unit,
                "ours": measure.ours,
                "peer": measure.peer,
                "peer_name": measure.subject.peer,
                "ratio": measure.ratio(),
                "better": match measure.better {
                    Better::Higher => "higher",
                    Better::Lower => "lower",
                },
                "goal": measure.subject.goal,
                "met": measure.is_met(),
            })
        })
        .collect()
}

/// The measures as a table.
pub(crate) fn table(measures: &[Measure]) -> String {
    let head = ["measure", "unit", "ours", "peer", "ratio", "goal", "met", "peer is"];
    let mut lines = vec![head.map(String::from)];
    lines.extend(measures.iter().map(|measure| {
        let bound = match measure.better {
            Better::Higher => "≥",
            Better::Lower => "≤",
        };
        [
            measure.subject.name.to_owned(),
            measure.unit.to_owned(),
            short(measure.ours),
            short(measure.peer),
            short(measure.ratio()),
            format!("{bound} {}", measure.subject.goal),
            if measure.is_met() { "yes" } else { "no" }.to_owned(),
            measure.subject.peer.to_owned(),
        ]
    }));
    let widths: [usize; 8] = std::array::from_fn(|column| {
        let lengths = lines.iter().map(|line| line[column].chars().count());
        lengths.max().unwrap_or(0)
    });
    let mut out = String::new();
    for line in &lines {
        let mut set = String::new();
        for (column, (cell, width)) in line.iter().zip(widths).enumerate() {
            // Numbers are compared from the right.
            match column {
                2..=4 => set.push_str(&format!("{cell:>width$}  ")),
                _ => set.push_str(&format!("{cell:<width$}  ")),
            }
        }
        out.push_str(set.trim_end());
        out.push('\n');
    }
    out
}

/// A number with three digits that say something.
fn short(number: f64) -> String {
    match number.abs() {
        size if size >= 100.0 => format!("{number:.0}"),
        size if size >= 10.0 => format!("{number:.1}"),
        size if size >= 1.0 => format!("{number:.2}"),
        _ => format!("{number:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Subject;

    fn measure() -> Measure {
        let subject = Subject { name: "parse", peer: "somebody 1.0", goal: 1.5 };
        Measure::of_samples(subject, "ns", Better::Lower, vec![30.0], vec![40.0])
    }

    #[test]
    fn programs_get_every_member_with_its_type() {
        let expected = json!([{
            "name": "parse",
            "unit": "ns",
            "ours": 30.0,
            "peer": 40.0,
            "peer_name": "somebody 1.0",
            "ratio": 0.75,
            "better": "lower",
            "goal": 1.5,
            "met": true,
        }]);
        assert_eq!(json(&[measure()]), expected);
        assert_eq!(json(&[]), json!([]));
    }

    #[test]
    fn people_get_columns() {
        let table = table(&[measure()]);
        assert_eq!(
            table,
            "measure  unit  ours  peer  ratio  goal   met  peer is\n\
             parse    ns    30.0  40.0  0.750  ≤ 1.5  yes  somebody 1.0\n"
        );
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!([1234.5, 12.34, 1.234, 0.123].map(short), ["1234", "12.3", "1.23", "0.123"]);
    }
}
