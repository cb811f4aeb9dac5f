//! What a process says about the scope of events: its contribution.
//!
//! Each process owns what it contributes. Main keeps the [`Contribution`]s apart and lays them over
//! each other when an event needs them, so that a process can clear what it set and nobody else's.
//! A contribution changes by [`ScopeUpdate`]s. Rust processes send these as they happen; Sentry's
//! JavaScript SDK sends the whole scope each time, a [`Snapshot`], from which the updates are found
//! by comparison. Either way a [`ScopeMessage`] is what crosses between the processes.
//!
//! Everything here is bounded by [`limits`](crate::limits), however much is said, and what it costs to
//! read a message grows with its length only. Text that is too long is cut and marked as Sentry marks
//! it, with a remark that belongs in the event's `_meta`; what cannot be cut is refused and counted in
//! [`Refusals`], and a field whose new value was refused has none: its former value is not what the
//! process says any more. Values stay the JSON that they were. Of breadcrumbs and attachments the
//! oldest make room for new ones; that is no refusal and is not counted.
//!
//! Which contribution wins is main's business; so is the clock: times are arguments, and come from a
//! clock of main's that does not go back.

mod attachment;
mod attachments;
mod breadcrumb;
mod budget;
mod contribution;
mod field;
mod former;
mod kind;
mod message;
mod meta;
mod parts;
mod refusal;
mod snapshot;
mod trim;
mod update;

pub use attachment::{Attachment, AttachmentIdentity};
pub use breadcrumb::Breadcrumb;
pub use contribution::{Contribution, Entry};
pub use field::{Field, Key};
pub use message::ScopeMessage;
pub use refusal::{Refusal, Refusals};
pub use snapshot::Snapshot;
pub use trim::Trimmed;
pub use update::ScopeUpdate;
