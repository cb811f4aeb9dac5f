//! The declaration that pages are typed against, in TypeScript.

use guardhouse_protocol::Namespace;
use guardhouse_protocol::channel::{BRIDGE_GLOBAL, INIT_GUARD_GLOBAL, RENDERER_ID_GLOBAL};
use guardhouse_protocol::contract::{
    BRIDGE_TYPES, CONTRACT, Declaration, Direction, Origin, Payload,
};

use super::NOTICE;
use super::text::{bytes, wrap};

/// The whole file.
pub(super) fn render() -> String {
    let mut out = format!("// {NOTICE}\n\n");
    bridge(&mut out);
    for declared in BRIDGE_TYPES {
        out.push('\n');
        comment(&mut out, "", &[declared.doc]);
        out.push_str(&format!("export interface {} {}\n", declared.name, declared.body));
    }
    out.push('\n');
    window(&mut out);
    out
}

fn bridge(out: &mut String) {
    comment(
        out,
        "",
        &[
            "What a page may say to main, and hear from it: one named method for each channel of \
             the contract, and nothing that takes the name of a channel.",
            "The optional methods are Guardhouse's own. A page that may also run under the main of \
             `@sentry/electron` asks whether they are there: `bridge.flush?.()`.",
        ],
    );
    out.push_str("export interface Bridge {\n");
    for (index, row) in CONTRACT.iter().enumerate() {
        if index > 0 {
            out.push('\n');
        }
        let bound = bound(row);
        let mut paragraphs = vec![row.method.doc];
        paragraphs.extend(bound.as_deref());
        comment(out, "  ", &paragraphs);
        // Required are the methods that the SDK in the page calls without asking.
        let optional = match row.origin {
            Origin::Electron => "",
            Origin::Guardhouse => "?",
        };
        let (name, signature) = (row.method.name, row.method.signature);
        out.push_str(&format!("  {name}{optional}{signature};\n"));
    }
    out.push_str("}\n");
}

/// What a page should know about sizes before it speaks.
fn bound(row: &Declaration) -> Option<String> {
    let size = bytes(row.max_total_bytes);
    match row.direction {
        Direction::Push | Direction::Relay => None,
        _ if row.payload == Payload::Empty => None,
        Direction::Stream => Some(format!("Main takes at most {size}.")),
        Direction::OneWay | Direction::Request => {
            Some(format!("Main takes at most {size} in one message."))
        }
    }
}

fn window(out: &mut String) {
    let namespace = Namespace::DEFAULT;
    out.push_str(&wrap(
        "Not an augmentation of the global `Window`: `@sentry/electron` declares the same members \
         there, with types of its own, and a program that holds both would not compile.",
        "// ",
    ));
    out.push('\n');
    comment(
        out,
        "",
        &[
            "What the window of a page holds. To get at a bridge, name its namespace:",
            &format!("`(window as GuardhouseWindow).{BRIDGE_GLOBAL}?.['{namespace}']`"),
        ],
    );
    out.push_str("export interface GuardhouseWindow {\n");
    let members = [
        (
            "readonly ",
            BRIDGE_GLOBAL,
            "Readonly<Record<string, Bridge>>",
            "The bridges, by namespace. Absent if the page has to talk the protocol instead.",
        ),
        ("", INIT_GUARD_GLOBAL, "boolean", "Whether an SDK runs in the page already."),
        (
            "",
            RENDERER_ID_GLOBAL,
            "string",
            "How a page that talks the protocol names itself to main.",
        ),
    ];
    for (index, (readonly, name, kind, doc)) in members.into_iter().enumerate() {
        if index > 0 {
            out.push('\n');
        }
        comment(out, "  ", &[doc]);
        out.push_str(&format!("  {readonly}{name}?: {kind};\n"));
    }
    out.push_str("}\n");
}

/// A documentation comment of some paragraphs.
fn comment(out: &mut String, indent: &str, paragraphs: &[&str]) {
    out.push_str(&format!("{indent}/**\n"));
    for (index, paragraph) in paragraphs.iter().enumerate() {
        if index > 0 {
            out.push_str(&format!("{indent} *\n"));
        }
        out.push_str(&wrap(paragraph, &format!("{indent} * ")));
    }
    out.push_str(&format!("{indent} */\n"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_gets_every_method_by_name_and_nothing_loose() {
        let file = render();
        for row in &CONTRACT {
            assert!(file.contains(&format!("  {}", row.method.name)));
        }
        for word in ["any", "send", "invoke", "postMessage", "channel"] {
            let loose = file.lines().any(|line| {
                let line = line.trim_start();
                !line.starts_with(['*', '/'])
                    && line.split(|c: char| !c.is_alphanumeric()).any(|found| found == word)
            });
            assert!(!loose, "{word}");
        }
        assert!(!file.contains("declare global"));
    }

    #[test]
    fn only_the_methods_that_electron_has_are_required() {
        let file = render();
        for row in &CONTRACT {
            let optional = file.contains(&format!("  {}?(", row.method.name));
            assert_eq!(optional, row.origin == Origin::Guardhouse, "{}", row.name);
        }
    }

    #[test]
    fn no_line_of_prose_is_too_long() {
        let file = render();
        let is_prose = |line: &&str| line.trim_start().starts_with(['*', '/']);
        for line in file.lines().filter(is_prose) {
            assert!(line.chars().count() <= 100, "{line}");
        }
    }
}
