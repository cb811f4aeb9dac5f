//! Which items of an envelope are a renderer's to send, and fit to be sent.

use guardhouse_protocol::limits::ATTACHMENTS;
use guardhouse_protocol::{Concern, Envelope, Item, ItemType, Verdict};

use super::refusal::{Detail, Refusal};
use crate::losses::{Losses, Reason};

/// Whether a renderer may send such an item: what tells of the renderer itself, and whatever this
/// version does not know.
///
/// Of what is known and not in the list, some is main's to say, because Sentry takes it for the whole
/// application: how sessions end, native crashes, what was dropped, that scheduled jobs ran. The rest is
/// nothing that the SDK in a page sends: formats that were retired (`user_report`, `statsd`), and
/// reports of browsers and engines, of some of which Sentry makes an event. New types go through, since
/// what a newer SDK sends is not for an older main to drop.
///
/// ```
/// use guardhouse_main::intake::may_be_sent;
/// use guardhouse_protocol::Item;
///
/// assert!(may_be_sent(&Item::new("event", "{}")?));
/// assert!(may_be_sent(&Item::new("new_in_2030", "?")?));
/// assert!(!may_be_sent(&Item::new("session", "{}")?));
///
/// let mut dump = Item::new("attachment", "MDMP")?;
/// assert!(may_be_sent(&dump));
/// dump.set_header("attachment_type", "event.minidump")?;
/// assert!(!may_be_sent(&dump));
/// # Ok::<(), guardhouse_protocol::EditError>(())
/// ```
pub fn may_be_sent(item: &Item) -> bool {
    match item.item_type() {
        ItemType::Event
        | ItemType::Transaction
        | ItemType::Feedback
        | ItemType::Profile
        | ItemType::ProfileChunk
        | ItemType::ReplayEvent
        | ItemType::ReplayRecording
        | ItemType::Span
        | ItemType::Log
        | ItemType::TraceMetric
        | ItemType::Other => true,
        // Sentry makes an event of some, and a page could forge a crash with them.
        ItemType::Attachment => !item.creates_event(),
        _ => false,
    }
}

/// Whether there is user feedback in it.
pub(super) fn has_feedback(envelope: &Envelope) -> bool {
    envelope.items().iter().any(|item| item.item_type() == ItemType::Feedback)
}

/// Takes out of an envelope what may not be sent and what Sentry would refuse.
pub(super) fn sift(envelope: &mut Envelope, is_feedback: bool) -> Vec<(Item, Refusal, Detail)> {
    let mut out = Vec::new();
    let of = |item: &Item, concern| Detail::Item(item.item_type(), concern);
    for item in envelope.retain(|item| may_be_sent(item) && (!is_feedback || is_of_feedback(item)))
    {
        let detail = of(&item, None);
        out.push((item, Refusal::ForbiddenItem, detail));
    }

    // Only now, so that what was taken out does not take the place of what may be sent.
    let verdicts = envelope.assess();
    let mut attachments = 0;
    let judge = |(item, verdict): (&Item, Verdict)| {
        attachments += usize::from(item.item_type() == ItemType::Attachment);
        match verdict {
            Verdict::Unfit(Concern::TooLarge { max_bytes }) => {
                Some((Refusal::LargeItem, Some(Concern::TooLarge { max_bytes })))
            }
            Verdict::Unfit(concern) => Some((Refusal::UnfitItem, Some(concern))),
            _ if item.item_type() == ItemType::Attachment && attachments > ATTACHMENTS => {
                Some((Refusal::TooManyAttachments, None))
            }
            _ => None,
        }
    };
    let faults: Vec<_> = envelope.items().iter().zip(verdicts).map(judge).collect();
    if faults.iter().any(Option::is_some) {
        let mut at = faults.iter();
        let unfit = envelope.retain(|_| at.next().is_none_or(Option::is_none));
        for (item, (refusal, concern)) in unfit.into_iter().zip(faults.into_iter().flatten()) {
            let detail = of(&item, concern);
            out.push((item, refusal, detail));
        }
    }
    out
}

/// What belongs to feedback: itself, screenshots, and what is not known yet.
fn is_of_feedback(item: &Item) -> bool {
    matches!(item.item_type(), ItemType::Feedback | ItemType::Attachment | ItemType::Other)
}

/// Counts what an item stands for.
///
/// A client report is left out. A page may say anything in it, so it could make main tell Sentry of
/// losses that never were; and as the SDK in a page writes it for what it dropped on purpose or was told
/// to drop, it is of little use: main tells what was dropped on the way.
pub(super) fn count(losses: &mut Losses, item: &Item, reason: Reason) {
    if item.item_type() != ItemType::ClientReport {
        losses.count_item(item, reason);
    }
}
