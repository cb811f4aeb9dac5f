//! What must be true of everything that arrived, given what the processes have said.
//!
//! # Two generals
//!
//! When Sentry has answered and the process is killed before it has deleted the file, the next start
//! cannot know that the answer was given, and sends that envelope again; Sentry knows it by its event
//! id. Nobody can do better: whoever deletes first loses it when the request did not arrive. It is the
//! same for one that closes without having sent everything, and leaves what is on its way.
//!
//! So of each such process, the one envelope that Sentry took last may arrive again, unless the process
//! has said that it deleted it. For the same reason the client report in it may be told again, and that
//! also when the process had deleted the envelope and was killed before it had changed its ledger.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use guardhouse_tests::sentry::{Item, Request, Sentry, message_of};

use crate::life::{ASIDE, Life};

/// What identifies the items that must not arrive twice: an event's message, a session's update.
pub(crate) fn marks(request: &Request) -> Vec<String> {
    let items = request.envelope.as_ref().map_or(&[][..], |envelope| &envelope.items);
    items.iter().filter_map(mark).collect()
}

fn mark(item: &Item) -> Option<String> {
    let json = item.json();
    match item.kind() {
        "event" => message_of(&json).map(str::to_owned),
        "session" => Some(format!("session {} {} {}", json["sid"], json["seq"], json["status"])),
        _ => None,
    }
}

/// How many events this request says were lost.
fn reported(request: &Request) -> u64 {
    let items = request.envelope.as_ref().map_or(&[][..], |envelope| &envelope.items);
    let mut lost = 0;
    for report in items.iter().filter(|item| item.kind() == "client_report") {
        let report = report.json();
        for entry in report["discarded_events"].as_array().into_iter().flatten() {
            if entry["category"] == "error" {
                lost += entry["quantity"].as_u64().unwrap_or(0);
            }
        }
    }
    lost
}

/// Whether a report in it counts as told: also if what it went with was refused, which is what Sentry
/// does when it answers 500.
fn is_answered(request: &Request) -> bool {
    request.was_taken() || request.status == Some(500)
}

/// Looks whether every request was as Sentry wants them.
#[track_caller]
pub(crate) fn check_form(requests: &[Arc<Request>], context: &str) {
    let faults: Vec<_> = requests.iter().flat_map(|request| &request.faults).collect();
    assert!(faults.is_empty(), "{context}: {faults:?}");
}

/// Looks whether what lives one after another have acknowledged has arrived or is counted as lost, and
/// whether nothing was sent again that should not be.
#[track_caller]
pub(crate) fn check(sentry: &Sentry, lives: &[Life], context: &str) {
    let requests = sentry.requests();
    check_form(&requests, context);

    // Where in the sequence of requests each item was taken, and whether the process has seen that.
    let mut done: BTreeMap<String, usize> = BTreeMap::new();
    let mut unsure_events = BTreeSet::new();
    let mut unsure_reports = 0;
    for (number, life) in lives.iter().enumerate() {
        let taken = life.requests.clone().filter(|at| requests[*at].was_taken());
        let taken: Vec<usize> = taken.collect();
        // A report that goes alone is no file that is deleted.
        let of_files: Vec<usize> =
            taken.iter().copied().filter(|at| !marks(&requests[*at]).is_empty()).collect();
        let unseen = of_files.len().checked_sub(life.seen);
        let unseen = unseen.unwrap_or_else(|| panic!("{context}: life {number} saw too much"));
        assert!(
            unseen <= usize::from(!life.has_sent_all),
            "{context}: life {number} did not see {unseen} of {} answers",
            of_files.len(),
        );
        for at in &of_files[..life.seen] {
            done.extend(marks(&requests[*at]).into_iter().map(|mark| (mark, *at)));
        }
        unsure_events.extend(of_files[life.seen..].iter().flat_map(|at| marks(&requests[*at])));
        if !life.has_sent_all {
            let mut answered = life.requests.clone().filter(|at| is_answered(&requests[*at]));
            unsure_reports += answered.next_back().map_or(0, |at| reported(&requests[at]));
        }
    }
    for (at, request) in requests.iter().enumerate() {
        for mark in marks(request) {
            // Of what was put aside, the one that was merged when a process was killed is merged again.
            if mark.starts_with(ASIDE) {
                continue;
            }
            if let Some(earlier) = done.get(&mark) {
                assert!(at <= *earlier, "{context}: {mark} is sent again after its end was seen");
            }
        }
    }

    let Accounted { told, not_arrived, lost } = check_acknowledged(sentry, lives, context);
    let unsure = unsure_events.iter().filter(|mark| told.contains(mark)).count() as u64;
    assert!(
        lost <= not_arrived + unsure + unsure_reports,
        "{context}: {lost} events were reported as lost, but {not_arrived} did not arrive (and \
         {unsure} events and {unsure_reports} in reports may be counted twice)",
    );
}

/// What became of what lives were told to report.
pub(crate) struct Accounted<'l> {
    told: BTreeSet<&'l String>,
    not_arrived: u64,
    lost: u64,
}

/// Looks whether what lives have acknowledged has arrived or is counted as lost, whatever happened.
#[track_caller]
pub(crate) fn check_acknowledged<'l>(
    sentry: &Sentry,
    lives: &'l [Life],
    context: &str,
) -> Accounted<'l> {
    let requests = sentry.requests();
    let told: BTreeSet<&String> = lives.iter().flat_map(|life| &life.told).collect();
    let acknowledged: BTreeSet<&String> =
        lives.iter().flat_map(|life| &life.acknowledged).collect();
    let taken = requests.iter().filter(|request| request.was_taken());
    let arrived: BTreeSet<String> = taken.flat_map(|request| marks(request)).collect();
    let missing = acknowledged.iter().filter(|id| !arrived.contains(**id));
    let missing: Vec<_> = missing.collect();
    let not_arrived = told.iter().filter(|id| !arrived.contains(**id)).count() as u64;
    // A report that is refused with its envelope is told again.
    let lost: u64 = requests.iter().filter(|it| it.was_taken()).map(|it| reported(it)).sum();
    assert!(
        lost >= missing.len() as u64,
        "{context}: {} acknowledged events did not arrive, and {lost} were reported as lost: \
         {missing:?}",
        missing.len(),
    );
    Accounted { told, not_arrived, lost }
}
