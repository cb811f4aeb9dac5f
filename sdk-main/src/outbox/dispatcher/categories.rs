//! Sets of categories, and which of them an item is held back by.

use std::fmt;

use guardhouse_protocol::{Item, ItemType};

use crate::losses::{Category, category_of};

/// A set of [categories](Category).
///
/// ```
/// use guardhouse_main::losses::Category;
/// use guardhouse_main::outbox::dispatcher::Categories;
///
/// let limited: Categories = [Category::Attachment, Category::Profile].into_iter().collect();
/// assert!(limited.contains(Category::Attachment));
/// assert!(!limited.contains(Category::Error));
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Categories(u32);

impl Categories {
    /// No category.
    pub const NONE: Self = Self(0);

    /// Every category.
    pub const ALL: Self = Self((1 << Category::ALL.len()) - 1);

    /// What is dropped while Sentry limits it: there is much of it, and each piece of it counts for
    /// little. Everything else waits for the end of the limit, for a day if it has to be.
    pub const BULK: Self = Self(
        Self::bit(Category::Transaction)
            | Self::bit(Category::Span)
            | Self::bit(Category::LogItem)
            | Self::bit(Category::LogByte)
            | Self::bit(Category::TraceMetric)
            | Self::bit(Category::TraceMetricByte)
            | Self::bit(Category::Profile)
            | Self::bit(Category::ProfileChunk)
            | Self::bit(Category::Replay)
            | Self::bit(Category::Attachment),
    );

    /// What holds an item back: it may not go while one of these is limited. Logs and metrics are
    /// limited by their number and by their size.
    ///
    /// An attachment of which Sentry makes an event is held back as an error only: without it there
    /// would be no event, and Sentry takes it as long as it takes errors.
    pub fn of(item: &Item) -> Self {
        Self::of_category(match item.item_type() {
            ItemType::Attachment if item.creates_event() => Category::Error,
            item_type => category_of(item_type),
        })
    }

    /// What holds back an item that counts as this.
    pub fn of_category(category: Category) -> Self {
        let size = match category {
            Category::LogItem => Some(Category::LogByte),
            Category::TraceMetric => Some(Category::TraceMetricByte),
            _ => None,
        };
        [category].into_iter().chain(size).collect()
    }

    /// These, and if logs or metrics are among them by number then also by size, and the other way
    /// round: an item is held back by either.
    pub(super) const fn with_both_sizes(self) -> Self {
        let logs = Self(Self::bit(Category::LogItem) | Self::bit(Category::LogByte));
        let metrics = Self(Self::bit(Category::TraceMetric) | Self::bit(Category::TraceMetricByte));
        let mut all = self;
        if self.intersects(logs) {
            all = all.union(logs);
        }
        if self.intersects(metrics) {
            all = all.union(metrics);
        }
        all
    }

    /// Whether it is one of them.
    pub const fn contains(self, category: Category) -> bool {
        self.0 & Self::bit(category) != 0
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those that are in either set.
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those that are in both sets.
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Those that are not in the other set.
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether some are in both sets.
    pub const fn intersects(self, other: Self) -> bool {
        !self.intersection(other).is_empty()
    }

    /// All of them.
    pub fn iter(self) -> impl Iterator<Item = Category> {
        Category::ALL.iter().copied().filter(move |category| self.contains(*category))
    }

    const fn bit(category: Category) -> u32 {
        1 << category as u32
    }
}

impl From<Category> for Categories {
    fn from(category: Category) -> Self {
        Self(Self::bit(category))
    }
}

impl FromIterator<Category> for Categories {
    fn from_iter<I: IntoIterator<Item = Category>>(categories: I) -> Self {
        categories.into_iter().fold(Self::NONE, |all, category| all.union(category.into()))
    }
}

impl fmt::Debug for Categories {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_every_category_apart() {
        for &category in Category::ALL {
            let alone = Categories::from(category);
            assert_eq!(alone.iter().collect::<Vec<_>>(), [category]);
        }
        let all: Categories = Category::ALL.iter().copied().collect();
        assert_eq!(all, Categories::ALL);
        assert_eq!(all.without(all), Categories::NONE);
    }

    #[test]
    fn items_are_held_back_as_sentry_limits_them() {
        let of = |item_type| Categories::of(&Item::new(item_type, "{}").unwrap());
        assert_eq!(of("event"), Category::Error.into());
        assert_eq!(of("log"), [Category::LogItem, Category::LogByte].into_iter().collect());
        assert_eq!(
            of("trace_metric"),
            [Category::TraceMetric, Category::TraceMetricByte].into_iter().collect()
        );
        assert_eq!(of("something_new"), Category::Default.into());
        assert_eq!(of("attachment"), Category::Attachment.into());

        let mut dump = Item::new("attachment", "MDMP").unwrap();
        dump.set_header("attachment_type", "event.minidump").unwrap();
        assert_eq!(Categories::of(&dump), Category::Error.into());
    }
}
