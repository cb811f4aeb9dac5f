//! The contract as a page for people, in Markdown.

use guardhouse_protocol::channel::RENDERER_ID_GLOBAL;
use guardhouse_protocol::contract::{Budget, CONTRACT, Declaration, Direction, Origin, Reply};
use guardhouse_protocol::http::{
    AFTER_HEADER, Answer, CHUNK_HEADER, CURSOR_HEADER, GOODBYE_PATH, HELLO_PATH, MESSAGE_ID_HEADER,
    RENDERER_ID_HEADER, SECRET_HEADER,
};
use guardhouse_protocol::limits::{MESSAGE_WINDOW, STREAM_WINDOW_BYTES, STREAMS};
use guardhouse_protocol::{Channel, Namespace, UrlForm};

use super::NOTICE;
use super::text::{bytes, number, wrap};

/// The whole file.
pub(super) fn render() -> String {
    let mut out = format!("<!-- {NOTICE} -->\n\n# The contract between renderers and main\n\n");
    introduction(&mut out);
    table(&mut out);
    answer(&mut out);
    over_budget(&mut out);
    beginning_and_end(&mut out);
    protocol(&mut out);
    out.push_str("## Each channel\n");
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
         everything that they and main may say to each other. There is nothing else but [how a \
         native renderer comes and goes](#beginning-and-end): what stands in no row here is refused. It is what main and renderers are bound to; which of them exist \
         already, the README says.",
    );
    paragraph(
        out,
        "A channel goes two ways. On the classic way, which is the webview library's own messages \
         or a local socket, it is named by a key. On the protocol, which is a custom URL scheme or \
         HTTP on the loopback interface, it is named by a URL or a path, the message is the body \
         of a POST, and the reply is the body of the answer; [below](#over-the-protocol) is how.",
    );
    paragraph(
        out,
        &format!(
            "Keys and URLs begin with the application's namespace; here it is the default, \
             `{namespace}`."
        ),
    );
}

fn table(out: &mut String) {
    out.push_str(
        "| Channel | Direction | Payload | Reply | Acknowledged means | Largest message \
         | Budget of a renderer | More than that | Made up by |\n\
         |---|---|---|---|---|---|---|---|---|\n",
    );
    for row in &CONTRACT {
        let cells = [
            format!("[`{0}`](#{0})", row.name),
            row.direction.describe().to_owned(),
            row.payload.describe().to_owned(),
            row.reply.describe().to_owned(),
            row.acknowledgement.describe().to_owned(),
            size(row),
            row.budget.map_or_else(|| "–".to_owned(), budget),
            row.budget.map_or("–", |budget| budget.over.describe()).to_owned(),
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
         message counts against the renderer's budget for the channel. [More than \
         that](#more-than-the-budget) waits or is refused; what is larger than the channel allows \
         is refused. Whatever is refused is counted, and changes nothing for other renderers.",
    );
    for row in CONTRACT.iter().filter(|row| row.direction.is_to_main()) {
        item(out, &format!("**`{}`**: {}", row.name, row.effect));
    }
    out.push('\n');
    paragraph(out, "What it cannot do:");
    item(
        out,
        "**Speak on other channels.** A key, URL or path that this page does not name is refused, as \
         is a message of a renderer on a channel where main speaks.",
    );
    item(
        out,
        &format!(
            "**Be somebody else.** Main knows who speaks from the webview, on the classic way, and \
             from what a native process proved when it connected, and goes by that whatever the \
             message says. Over the protocol a request names its renderer, but the name alone \
             proves nothing: a native process shows the secret that belongs to it, and for a page \
             the host finds the one page that holds the name in `window.{RENDERER_ID_GLOBAL}` and \
             compares the request's `Origin` with it. Pages of the same origin that deceive each \
             other about their names are one party to a browser, and to main."
        ),
    );
    item(
        out,
        "**Forge a crash.** Sessions, minidumps and whatever else Sentry makes a crash of are \
         taken from no renderer: not in an envelope, not in the scope, not as a stream.",
    );
    item(
        out,
        &format!(
            "**Speak to another renderer.** No message names one. What main passes on from one to \
             others is on {}, and it is main that decides to whom.",
            list_of(&relays())
        ),
    );
    item(
        out,
        "**Read what others reported.** Apart from what main pushes, all that it hears is whether it \
         is welcome, and acknowledgements, refusals and the replies below, which speak of what it \
         sent itself.",
    );
    item(
        out,
        &format!(
            "**Fill main's memory or the disk.** Sizes are checked before memory is set aside; what is \
             larger than a message is streamed to disk, {STREAMS} streams at once, with a bounded part \
             of each under way. All that waits on disk for Sentry has a bound that the application \
             sets; beyond it the oldest makes room and is counted."
        ),
    );
    item(
        out,
        "**Hold main up.** Main owes it no answer but acknowledgements and those replies, and \
         none of them is waited for by another renderer.",
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
    paragraph(out, "And what can main do to a renderer? It pushes the following:");
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
        ("What an acknowledgement or reply means", row.acknowledgement.describe().to_owned()),
        ("Largest message", size(row)),
        ("Largest reply", bytes(row.reply.max_bytes() as u64)),
        (
            "Budget of a renderer",
            row.budget.map_or_else(|| "none, since main speaks".to_owned(), budget),
        ),
        ("More than that", row.budget.map_or("–", |budget| budget.over.describe()).to_owned()),
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

fn over_budget(out: &mut String) {
    out.push_str("\n## More than the budget\n\n");
    paragraph(
        out,
        "Budgets share main among renderers that all want something of it. A native renderer that \
         says more waits, over either way: main does not read on from it, sockets fill, answers \
         come late, and nothing is lost. While no renderer within its budget wants anything, main reads on before there \
         is budget again, so that one busy renderer is as fast as main can write, and the budget \
         is nothing that it would notice. While it is main that does not read, main takes no \
         silence for a hang.",
    );
    paragraph(
        out,
        "The SDK in a page cannot be made to wait, on either way: it says what it says one-way, and \
         forgets it. What goes beyond its budget is refused and counted, over the protocol with \
         status 429. The budgets are far above what a page says that is not out of order: a burst of \
         ten thousand messages is most of a second of all that a webview can send. The bridge's own \
         methods, which answer, wait.",
    );
    paragraph(
        out,
        "Feedback is refused on every way, since somebody waits for what becomes of it and hears \
         so at once. Of heartbeats and starts only the last has an effect, which is what the others \
         would have had.",
    );
}

/// What no channel carries.
fn beginning_and_end(out: &mut String) {
    out.push_str("## Beginning and end\n\n");
    paragraph(
        out,
        "A page begins with its host, which knows it. A native renderer introduces itself with a \
         hello: its namespace, the versions that it speaks, whether it is a renderer or a utility, \
         its name, its process id, and the proof that main gave to whoever started it; and if it was \
         there before, the id and secret of its former welcome. Main answers with a welcome, which \
         has the version to speak in, an id and a secret of the renderer's own, or with a rejection \
         and the reason: another namespace, a wrong proof, no common version, too many renderers, or \
         no hello at all. On a socket main acknowledges each message, or declines it with a reason. \
         A renderer that goes says goodbye; an end without it is a death, and counts as one.",
    );
}

fn protocol(out: &mut String) {
    out.push_str("## Over the protocol\n\n");
    paragraph(
        out,
        &format!(
            "On the custom scheme there are pages. The unmodified SDK in a page sends the header \
             `{RENDERER_ID_HEADER}` and none of the following; the host binds the id to a page as \
             said above. So a page has the seven channels of `@sentry/electron` on the protocol; the \
             others it has on the classic way. On the loopback interface there are native renderers. Each posts the body \
             of a hello to `{HELLO_PATH}`, as it would be in a native frame, and is answered with \
             a welcome or a rejection; a connection's welcome serves for both ways. From then on \
             every request has these headers:"
        ),
    );
    item(out, &format!("`{RENDERER_ID_HEADER}: …`: the id of the welcome."));
    item(
        out,
        &format!(
            "`{SECRET_HEADER}: Bearer …`: the secret of the welcome, in hexadecimal. It belongs to \
             this renderer alone, so knowing another's id is no use."
        ),
    );
    item(
        out,
        &format!(
            "`{MESSAGE_ID_HEADER}: …`: the id of the message, in decimal, as it would be in a \
             frame: each higher than the one before. What is sent again keeps its id, on whatever \
             way, and is taken once; main remembers that for the highest {MESSAGE_WINDOW} ids, so no \
             renderer has more without an answer, and as long as it lives."
        ),
    );
    out.push('\n');
    paragraph(
        out,
        &format!(
            "`Host` has to be the address and port on which main listens, and `Origin` absent: no \
             web page gets in. A request is answered when what an acknowledgement means is true. \
             Requests on several connections overtake each other: who wants an order waits for the \
             answer, and flushes after the answers to what is to be flushed. The last request is \
             a `POST` to `{GOODBYE_PATH}`."
        ),
    );
    let attachment = Channel::Attachment.name();
    paragraph(
        out,
        &format!(
            "**Streams.** All requests of a stream on `{attachment}` have the stream's id as their \
             message id. The first has the opening for its body. The others have bytes, and \
             `{CHUNK_HEADER}: 262144`, the place of the first of them in the stream, or \
             `{CHUNK_HEADER}: 262144; last` if the stream ends with them. Each answer says how much \
             is on disk. Opening a stream again asks from where to go on. A stream that is declined \
             is answered with 403. Of more than {STREAMS} at once main gives up the one that rests the \
             longest, whose next chunk is answered with 410; on a socket, main hangs up then."
        ),
    );
    let pushed: Vec<String> = CONTRACT
        .iter()
        .filter(|row| !row.direction.is_to_main())
        .map(|row| code(&row.channel.path()))
        .collect();
    paragraph(
        out,
        &format!(
            "**Pushes.** A `GET` of {} waits until there is something new, however long that \
             takes; one for each channel. The answer has `{CURSOR_HEADER}: 12`, and the next `GET` \
             says `{AFTER_HEADER}: 12`: so nothing comes twice, and no change is missed, even one \
             while nobody asked. Without the header main answers what holds now. Each push is all \
             there is to say, so nothing is queued. After another welcome a renderer begins \
             without a number.",
            list_of(&pushed).replace(" and ", " or ")
        ),
    );
    out.push_str("| Status | What it means | What was sent |\n|---|---|---|\n");
    for answer in Answer::ALL {
        let next = match answer {
            Answer::NothingNew => "nothing",
            _ if answer.is_final() => "can be forgotten",
            _ => "is sent again, under its id",
        };
        out.push_str(&format!("| {} | {} | {next} |\n", answer.status(), answer.describe()));
    }
    out.push('\n');
    paragraph(
        out,
        "The body of an answer other than 200 is a sentence for a person, but for a rejected hello \
         (the rejection), for a chunk out of place (how much is on disk) and for feedback over the \
         budget (the channel's reply). Any other status comes from a newer main or from somebody \
         else, and is taken like 503.",
    );
}

fn relays() -> Vec<String> {
    CONTRACT
        .iter()
        .filter(|row| row.direction == Direction::Relay)
        .map(|row| code(row.name))
        .collect()
}

fn size(row: &Declaration) -> String {
    match row.direction {
        Direction::Stream => format!(
            "{} for the opening, {} a chunk, {} in all, {} under way",
            bytes(row.max_opening_bytes() as u64),
            bytes(row.max_bytes as u64),
            bytes(row.max_total_bytes),
            bytes(STREAM_WINDOW_BYTES as u64)
        ),
        _ => bytes(row.max_bytes as u64),
    }
}

fn budget(budget: Budget) -> String {
    format!(
        "{} messages at once, then {} a second; {} at once, then {} a second",
        number(budget.burst.into()),
        number(budget.per_second.into()),
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
    use guardhouse_protocol::contract::OverBudget;

    use super::*;

    #[test]
    fn every_channel_has_a_row_an_answer_and_a_section() {
        let page = render();
        for row in &CONTRACT {
            let name = row.name;
            assert!(page.contains(&format!("| [`{name}`](#{name}) |")), "{name}");
            assert!(page.contains(&format!("- **`{name}`**: ")), "{name}");
            assert!(page.contains(&format!("\n### {name}\n")), "{name}");
            assert!(page.contains(&row.channel.key(&Namespace::DEFAULT)), "{name}");
        }
    }

    #[test]
    fn a_table_row_has_as_many_cells_as_the_head() {
        let cells = |line: &str| line.replace("\\|", "").matches('|').count();
        let page = render();
        let counts: Vec<usize> =
            page.lines().filter(|line| line.starts_with('|')).map(cells).collect();
        let (contract, statuses) = counts.split_at(CONTRACT.len() + 2);
        assert_eq!(statuses.len(), Answer::ALL.len() + 2);
        for table in [contract, statuses] {
            assert!(table.iter().all(|count| *count == table[0]));
        }
    }

    #[test]
    fn budgets_are_sentences() {
        let given = budget(Budget {
            burst: 10_000,
            per_second: 2_000,
            burst_bytes: 32 << 20,
            bytes_per_second: 256 << 10,
            over: OverBudget::Wait,
        });
        assert_eq!(
            given,
            "10,000 messages at once, then 2,000 a second; 32 MiB at once, then 256 KiB a second"
        );
    }
}
