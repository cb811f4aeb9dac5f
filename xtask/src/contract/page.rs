//! The contract as a page for people, in Markdown.

use guardhouse_protocol::channel::RENDERER_ID_HEADER;
use guardhouse_protocol::contract::{Budget, CONTRACT, Declaration, Direction, Origin, Reply};
use guardhouse_protocol::limits::STREAM_WINDOW_BYTES;
use guardhouse_protocol::{Namespace, UrlForm};

use super::NOTICE;
use super::text::{bytes, number, wrap};

/// The whole file.
pub(super) fn render() -> String {
    let mut out = format!("<!-- {NOTICE} -->\n\n# The contract between renderers and main\n\n");
    introduction(&mut out);
    table(&mut out);
    answer(&mut out);
    out.push_str("\n## Each channel\n");
    for row in &CONTRACT {
        channel(&mut out, row);
    }
    out
}

fn introduction(out: &mut String) {
    let namespace = Namespace::DEFAULT;
    paragraph(
        out,
        "A Guardhouse application is one main process and its renderers: pages in webviews, and \
         child processes written in Rust. Renderers report to Sentry through main. This page lists \
         everything that they and main may say to each other. There is nothing else: what stands \
         in no row here is refused. It is what main and renderers are bound to; which of them exist \
         already, the README says.",
    );
    paragraph(
        out,
        "A channel goes two ways. On the classic way, which is the webview library's own messages \
         or a local socket, it is named by a key. On the protocol, which is a custom URL scheme or \
         HTTP on the loopback interface, it is named by a URL or a path, the message is the body \
         of a POST, and the reply is the body of the answer, whose status is 200. What main pushes, \
         it answers to a GET that the renderer keeps waiting.",
    );
    paragraph(
        out,
        &format!(
            "Keys and URLs begin with the application's namespace; here it is the default, \
             `{namespace}`. Over the protocol a page says which renderer it is with the header \
             `{RENDERER_ID_HEADER}`."
        ),
    );
}

fn table(out: &mut String) {
    out.push_str(
        "| Channel | Direction | Payload | Reply | Largest message | Budget of a renderer | Made up by |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for row in &CONTRACT {
        let cells = [
            format!("[`{0}`](#{0})", row.name),
            row.direction.describe().to_owned(),
            row.payload.describe().to_owned(),
            row.reply.describe().to_owned(),
            size(row),
            row.budget.map_or_else(|| "–".to_owned(), budget),
            origin(row.origin).to_owned(),
        ];
        // Inside a table a bar has to be escaped, in code as well.
        let cells = cells.map(|cell| cell.replace('|', "\\|"));
        out.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
}

fn answer(out: &mut String) {
    out.push_str("\n## What can a renderer do to main?\n\n");
    paragraph(
        out,
        "It can say the following, and main does what is written beside it and nothing more. Each \
         message counts against the renderer's budget for the channel; one that exceeds the budget \
         or the channel's size is refused and counted, and changes nothing for other renderers.",
    );
    for row in CONTRACT.iter().filter(|row| row.direction.is_to_main()) {
        item(out, &format!("**`{}`**: {}", row.name, row.effect));
    }
    out.push('\n');
    paragraph(out, "What it cannot do:");
    item(
        out,
        "**Speak on other channels.** A key, URL or path that names no channel of this page is \
         refused, as is a message of a renderer on a channel where main speaks.",
    );
    item(
        out,
        "**Be somebody else.** Main knows from the connection or the webview who speaks, and goes \
         by that whatever the message says.",
    );
    item(
        out,
        "**Read what others reported.** Apart from what main pushes, all that it hears are the \
         replies below, which speak of what it sent itself.",
    );
    item(
        out,
        "**Fill main's memory.** Sizes are checked before memory is set aside; what is larger than \
         a message is streamed to disk, with a bounded part of it under way.",
    );
    item(
        out,
        "**Hold main up.** Main owes it no answer but those replies, and none of them is waited \
         for by another renderer.",
    );
    item(
        out,
        "**Name a file to read, a program to run or a server to send to.** No message of the \
         contract has a place for one: the name of an attachment is only shown in Sentry, and \
         where envelopes go is main's own setting.",
    );
    out.push('\n');
    let replies: Vec<String> = CONTRACT
        .iter()
        .filter(|row| row.reply != Reply::Empty)
        .map(|row| format!("`{}` ({})", row.name, row.reply.describe()))
        .collect();
    paragraph(out, &format!("Main replies on {} only.", list_of(&replies)));
    paragraph(
        out,
        "And what can main do to a renderer? It pushes the following:",
    );
    for row in CONTRACT.iter().filter(|row| !row.direction.is_to_main()) {
        item(out, &format!("**`{}`**: {}", row.name, row.effect));
    }
}

fn channel(out: &mut String, row: &Declaration) {
    let namespace = Namespace::DEFAULT;
    let name = row.name;
    out.push_str(&format!("\n### {name}\n\n"));
    if row.direction.is_to_main() {
        paragraph(out, &format!("What main does: {}", row.effect));
    } else {
        paragraph(out, row.effect);
    }
    let method = match row.origin {
        Origin::Electron => row.method.name.to_owned(),
        Origin::Guardhouse => format!("{}?", row.method.name),
    };
    paragraph(out, &format!("In a page: {}", row.method.doc));
    out.push_str(&format!("```ts\n{method}{}\n```\n\n", row.method.signature));
    let channel = row.channel;
    let lines = [
        ("Direction", row.direction.describe().to_owned()),
        ("Payload", row.payload.describe().to_owned()),
        ("Reply", row.reply.describe().to_owned()),
        ("Largest message", size(row)),
        (
            "Budget of a renderer",
            row.budget
                .map_or_else(|| "none, since main speaks".to_owned(), budget),
        ),
        ("Key", code(&channel.key(&namespace))),
        (
            "URL",
            format!(
                "{} or, on Windows and Android, {}",
                code(&channel.url(&namespace, UrlForm::Scheme)),
                code(&channel.url(&namespace, UrlForm::Host))
            ),
        ),
        ("Path on the loopback interface", code(&channel.path())),
        ("Number in native frames", channel.code().to_string()),
        ("Made up by", origin(row.origin).to_owned()),
    ];
    for (what, value) in lines {
        item(out, &format!("{what}: {value}"));
    }
}

fn size(row: &Declaration) -> String {
    match row.direction {
        Direction::Stream => format!(
            "{} a chunk, {} in all, {} under way",
            bytes(row.max_bytes as u64),
            bytes(row.max_total_bytes),
            bytes(STREAM_WINDOW_BYTES as u64)
        ),
        _ if row.max_bytes == 0 => "no bytes".to_owned(),
        _ => bytes(row.max_bytes as u64),
    }
}

fn budget(budget: Budget) -> String {
    let messages = format!(
        "{} messages at once, then {} a second",
        number(budget.burst.into()),
        number(budget.per_second.into())
    );
    if budget.burst_bytes == 0 {
        return messages;
    }
    format!(
        "{messages}; {} at once, then {} a second",
        bytes(budget.burst_bytes),
        bytes(budget.bytes_per_second)
    )
}

fn origin(origin: Origin) -> &'static str {
    match origin {
        Origin::Electron => "`@sentry/electron`",
        Origin::Guardhouse => "Guardhouse",
    }
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

/// Things one after the other, with an "and" before the last.
fn list_of(things: &[String]) -> String {
    match things.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => things.concat(),
    }
}

fn paragraph(out: &mut String, text: &str) {
    out.push_str(&wrap(text, ""));
    out.push('\n');
}

fn item(out: &mut String, text: &str) {
    let wrapped = wrap(text, "  ");
    out.push_str(&format!("- {}", &wrapped[2..]));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_channel_has_a_row_an_answer_and_a_section() {
        let page = render();
        for row in &CONTRACT {
            let name = row.name;
            assert!(page.contains(&format!("| [`{name}`](#{name}) |")), "{name}");
            assert!(page.contains(&format!("- **`{name}`**: ")), "{name}");
            assert!(page.contains(&format!("\n### {name}\n")), "{name}");
            assert!(
                page.contains(&row.channel.key(&Namespace::DEFAULT)),
                "{name}"
            );
        }
    }

    #[test]
    fn a_table_row_has_as_many_cells_as_the_head() {
        let cells = |line: &str| line.replace("\\|", "").matches('|').count();
        let page = render();
        let counts: Vec<usize> = page
            .lines()
            .filter(|line| line.starts_with('|'))
            .map(cells)
            .collect();
        assert_eq!(counts.len(), CONTRACT.len() + 2);
        assert!(counts.iter().all(|count| *count == counts[0]));
    }

    #[test]
    fn budgets_are_sentences() {
        let of = |burst_bytes, bytes_per_second| {
            budget(Budget {
                burst: 10_000,
                per_second: 2_000,
                burst_bytes,
                bytes_per_second,
            })
        };
        assert_eq!(of(0, 0), "10,000 messages at once, then 2,000 a second");
        assert_eq!(
            of(32 << 20, 256 << 10),
            "10,000 messages at once, then 2,000 a second; 32 MiB at once, then 256 KiB a second"
        );
    }
}
