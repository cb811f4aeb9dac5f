//! What must be true of any bytes that are read as a scope message.

use guardhouse_protocol::Timestamp;
use guardhouse_protocol::json::Json;
use guardhouse_protocol::limits::{
    BREADCRUMBS_BYTES, CONTRIBUTION_BYTES, SCOPE_ATTACHMENTS, SCOPE_ATTACHMENTS_BYTES, SCOPE_KEYS,
};
use guardhouse_protocol::scope::{Contribution, Field, Key, ScopeMessage, ScopeUpdate};

const MAX_BREADCRUMBS: usize = 20;

/// Reads each line of `data` as a scope message that one process sends after the other.
pub fn scope(data: &[u8]) {
    let mut contribution = Contribution::new(MAX_BREADCRUMBS);
    for (second, line) in data.split(|byte| *byte == b'\n').enumerate() {
        let at = Timestamp::from_unix(second as i64, 0);
        let Ok(message) = ScopeMessage::parse(line) else {
            continue;
        };
        let is_whole = matches!(message, ScopeMessage::Whole(_));
        let refusals = contribution.hear(message.clone(), at);
        is_bounded(&contribution);
        can_be_told_on(&contribution);

        // A scope that has not changed sets nothing anew. What did not fit is tried again.
        if is_whole && refusals.is_empty() {
            let before = fields(&contribution);
            contribution.hear(message, Timestamp::from_unix(1_795_193_675, 0));
            assert_eq!(fields(&contribution), before);
        }
    }
}

fn fields(contribution: &Contribution) -> Vec<(Field, Json, Timestamp)> {
    let fields = contribution.fields();
    fields
        .map(|(field, entry)| (field.clone(), entry.value().clone(), entry.at()))
        .collect()
}

fn is_bounded(contribution: &Contribution) {
    assert!(contribution.breadcrumbs().len() <= MAX_BREADCRUMBS);
    assert!(contribution.attachments().len() <= SCOPE_ATTACHMENTS);
    let bound = CONTRIBUTION_BYTES + BREADCRUMBS_BYTES + SCOPE_ATTACHMENTS_BYTES;
    assert!(contribution.size() <= bound);
    for kind in ["tag", "extra", "context", "attribute"] {
        let keys = contribution
            .fields()
            .filter(|(field, _)| field.name() == kind)
            .count();
        assert!(keys <= SCOPE_KEYS);
    }
    for (field, entry) in contribution.fields() {
        assert!(Json::parse(entry.value().text().as_bytes()).is_ok());
        assert!(
            entry
                .meta()
                .is_none_or(|meta| Json::parse(meta.text().as_bytes()).is_ok())
        );
        let _ = (field.key().map(Key::to_str), format!("{field:?}"));
    }
    for breadcrumb in contribution.breadcrumbs() {
        let json = breadcrumb.json();
        assert!(Json::parse(json.text().as_bytes()).is_ok_and(|json| json.as_object().is_some()));
        assert!(breadcrumb.timestamp().is_some());
    }
}

/// What is written for another process is read there as the same.
fn can_be_told_on(contribution: &Contribution) {
    let updates = contribution.to_updates();
    for update in &updates {
        let json = update.to_json();
        assert!(Json::parse(json.text().as_bytes()).is_ok());
        assert_eq!(ScopeUpdate::parse(json.as_value()).as_ref(), Ok(update));
    }
    let message = ScopeMessage::parse(&ScopeMessage::write(&updates)).unwrap();
    let mut copy = Contribution::new(MAX_BREADCRUMBS);
    let refusals = copy.hear(message, Timestamp::from_unix(2_000_000_000, 0));
    assert!(refusals.is_empty());
    assert_eq!(fields(&copy), fields(contribution));
    assert_eq!(copy.attachments(), contribution.attachments());
    let breadcrumbs = |contribution: &Contribution| -> Vec<Json> {
        contribution
            .breadcrumbs()
            .map(|breadcrumb| breadcrumb.json().clone())
            .collect()
    };
    assert_eq!(breadcrumbs(&copy), breadcrumbs(contribution));
}
