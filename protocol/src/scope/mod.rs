//! What a process says about the scope of events: its contribution.
//!
//! Each process owns what it contributes. Main keeps the [`Contribution`]s apart and lays them over
//! each other when an event needs them, so that a process can clear what it set and nobody else's.
//! A contribution changes by [`ScopeUpdate`]s. Rust processes send these as they happen; Sentry's
//! JavaScript SDK sends the whole scope each time, a [`Snapshot`], from which the updates are found
//! by comparison. Either way a [`ScopeMessage`] is what crosses between the processes.
//!
//! Everything here is bounded by [`limits`](crate::limits), however much is said. Text that is too
//! long is cut and marked as Sentry marks it, with a remark that belongs in the event's `_meta`;
//! what cannot be cut is refused and counted in [`Refusals`]. Values stay the JSON that they were.
//!
//! Which contribution wins is main's business; so is the clock: times are arguments.

mod attachment;
mod breadcrumb;
mod contribution;
mod field;
mod message;
mod refusal;
mod trim;
mod update;

pub use attachment::Attachment;
pub use breadcrumb::Breadcrumb;
pub use contribution::{Contribution, Entry};
pub use field::{Field, Key};
pub use message::{ScopeMessage, Snapshot};
pub use refusal::{Refusal, Refusals};
pub use trim::Trimmed;
pub use update::ScopeUpdate;
