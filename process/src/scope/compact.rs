//! Changes of the scope, without those that later ones make pointless.

use std::collections::BTreeSet;

use guardhouse_protocol::limits::SCOPE_ATTACHMENTS;
use guardhouse_protocol::scope::{Attachment, Field, ScopeUpdate};

/// Leaves out what has no effect any more because of what is behind it: former values of a field, what
/// was cleared, more breadcrumbs than that and more attachments than there may be. The rest stays in
/// order. Whoever hears it ends up with the same scope.
///
/// ```
/// use guardhouse_process::scope::compact;
/// use guardhouse_protocol::scope::{Field, ScopeUpdate};
///
/// let set = |value: u64| ScopeUpdate::set(Field::tag("n").unwrap(), value.to_string().as_str());
/// let mut changes = vec![set(1)?, ScopeUpdate::ClearBreadcrumbs, set(2)?];
/// compact(&mut changes, |change| change, 100);
/// assert_eq!(changes, [ScopeUpdate::ClearBreadcrumbs, set(2)?]);
/// # Ok::<(), guardhouse_protocol::scope::Refusal>(())
/// ```
pub fn compact<T>(
    changes: &mut Vec<T>,
    update: impl Fn(&T) -> &ScopeUpdate,
    max_breadcrumbs: usize,
) {
    let mut seen = Seen { breadcrumbs: max_breadcrumbs, ..Seen::default() };
    let mut has_effect: Vec<bool> =
        changes.iter().rev().map(|change| seen.is_news(update(change))).collect();
    changes.retain(|_| has_effect.pop().unwrap_or(true));
}

/// What stands behind a change.
#[derive(Default)]
struct Seen<'a> {
    fields: BTreeSet<&'a Field>,
    attachments: Vec<&'a Attachment>,
    /// For how many breadcrumbs there is room.
    breadcrumbs: usize,
    clears_breadcrumbs: bool,
    clears_attachments: bool,
    clears: bool,
}

impl<'a> Seen<'a> {
    fn is_news(&mut self, update: &'a ScopeUpdate) -> bool {
        if self.clears {
            return false;
        }
        match update {
            ScopeUpdate::Set { field, .. } | ScopeUpdate::Unset(field) => self.fields.insert(field),
            ScopeUpdate::AddBreadcrumb(_) => {
                let has_room = self.breadcrumbs > 0;
                self.breadcrumbs = self.breadcrumbs.saturating_sub(1);
                has_room && !self.clears_breadcrumbs
            }
            ScopeUpdate::ClearBreadcrumbs => !std::mem::replace(&mut self.clears_breadcrumbs, true),
            ScopeUpdate::AddAttachment(attachment) => {
                let is_news = !self.clears_attachments
                    && self.attachments.len() < SCOPE_ATTACHMENTS
                    && !self.attachments.contains(&attachment);
                if is_news {
                    self.attachments.push(attachment);
                }
                is_news
            }
            ScopeUpdate::ClearAttachments => !std::mem::replace(&mut self.clears_attachments, true),
            ScopeUpdate::Clear => {
                self.clears = true;
                true
            }
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use guardhouse_protocol::Timestamp;
    use guardhouse_protocol::json::Json;
    use guardhouse_protocol::scope::Contribution;

    use super::*;
    use crate::Random;

    #[test]
    fn whoever_hears_less_ends_up_with_the_same_scope() {
        for seed in 0..200 {
            let mut random = Random::new(seed);
            let mut below = |bound: usize| (random.fraction() * bound as f64) as usize;
            let mut all = Vec::new();
            for number in 0..200_usize {
                let tag = Field::tag(&below(5).to_string()).unwrap();
                all.push(match below(40) {
                    0..15 => ScopeUpdate::set(tag, number.to_string().as_str()).unwrap(),
                    15..20 => ScopeUpdate::Unset(tag),
                    20..30 => {
                        let crumb = format!("{{\"message\":\"{number}\",\"timestamp\":1}}");
                        let crumb = Json::parse(crumb.as_bytes()).unwrap();
                        ScopeUpdate::add_breadcrumb(crumb.as_value()).unwrap()
                    }
                    30..37 => {
                        let name = below(50).to_string();
                        ScopeUpdate::AddAttachment(Attachment::new(&name, &b"x"[..]).unwrap())
                    }
                    37 => ScopeUpdate::ClearBreadcrumbs,
                    38 => ScopeUpdate::ClearAttachments,
                    _ if below(4) == 0 => ScopeUpdate::Clear,
                    _ => ScopeUpdate::Unset(tag),
                });
            }
            let end = |changes: &[ScopeUpdate]| {
                let mut contribution = Contribution::new(7);
                for change in changes {
                    contribution.apply(change.clone(), Timestamp::from_unix(1, 0)).unwrap();
                }
                contribution.to_updates()
            };
            let mut less = all.clone();
            compact(&mut less, |change| change, 7);
            assert_eq!(end(&less), end(&all), "seed {seed}");
            assert!(less.len() <= 5 + 7 + 30 + 3, "{}", less.len());
        }
    }
}
