//! The floor everything stands on: named task scopes with two-stage shutdown, the clock, metrics, and permits that
//! are shared fairly.
//!
//! Knows nothing of events, sockets, SQL or HTTP.
//!
//! ```
//! use std::time::Duration;
//! use hookswitch_runtime::Scope;
//!
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let scope = Scope::root("example");
//! let stop = scope.soft().clone();
//! scope.spawn("worker", async move { stop.cancelled().await });
//! assert!(scope.shut_down(Duration::from_secs(1)).await, "the worker heard the soft token");
//! # });
//! ```

mod clock;
mod fair_semaphore;
mod future;
pub mod metrics;
mod scope;

pub use clock::Clock;
pub use fair_semaphore::{FairPermit, FairSemaphore, QueueFull, Sharing};
pub use future::BoxFuture;
pub use scope::{Crash, CrashGuard, Scope};
