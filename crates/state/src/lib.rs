//! Live state: what a tenant's events add up to, folded in the order of their positions.
//!
//! Pure and deterministic: equal records in equal order give equal state on every node. Knows nothing of clocks (the
//! time is an argument), async, sockets, Redis, SQL or HTTP.
//!
//! ```
//! use hookswitch_protocol::{Position, Timestamp};
//! use hookswitch_state::{Changes, Record, State, StateSettings, StateSubscription};
//!
//! let start = Position { epoch: 1, offset: 0 };
//! let now = Timestamp::from_millis(1_000);
//! let mut state = State::new(StateSettings::default(), Some(start), now, true);
//! let reader = state.reader();
//! state.apply(&Record {
//!     position: Some(Position { epoch: 1, offset: 1 }),
//!     event_type: "agent.login",
//!     timestamp: now,
//!     payload: r#"{"user_id":101,"username":"Ada"}"#,
//!     session: None,
//!     source: None,
//!     is_for_all: true,
//! });
//! let wanted = StateSubscription::parse(["agents"], None)?;
//! let Changes::Changed(payload) = state.changes_since(&wanted, reader) else { panic!() };
//! assert!(payload.starts_with(r#"{"position":"1:1","set":{"agents":{"101":{"user_id":101,"#));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod completeness;
mod completeness_marks;
mod counts;
mod effects;
mod entries;
mod fields;
mod model;
mod reading;
mod record;
mod saved;
mod section;
mod settings;
mod shown;
mod sources;
mod state;
mod sync;
mod times;
mod view;

#[cfg(test)]
mod tests;

pub use completeness::Incomplete;
pub use counts::{Ignored, IgnoredCounts};
pub use reading::{Changes, InvalidSubscription, MAX_QUEUES, PAGE_BYTES, Reader, StateSubscription};
pub use record::{Record, SOURCE_BACK, SOURCE_LOST, SYNC_RECORD};
pub use saved::Unreadable;
pub use section::{Section, Sections, UnknownSection};
pub use settings::StateSettings;
pub use sources::is_source_name;
pub use state::State;
pub use sync::{InvalidSync, MAX_SYNC_BYTES, Plan, Sync};
pub use times::Due;
