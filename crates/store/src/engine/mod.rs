//! What both databases have in common: the queries, the group-committing writer, the readers and the
//! keepers of the seams.
//!
//! These files are compiled twice, once inside `sqlite` and once inside `mysql`. Each of the two puts
//! beside them a `dialect` (the connection, and what its SQL says differently), a `connect` (where
//! connections come from), an `interrupt` (how a query is ended), an `offline_claim` and an `open` (how a store opens). Generic functions instead would need every
//! query's traits spelt out again in its signature; macros would hide the code from tools. See
//! `docs/decisions/0011-one-engine-two-databases.md`.

mod chat;
mod chores;
mod directory;
mod endings;
mod history;
mod inner;
mod known_version;
mod ledger;
mod log;
mod offline;
mod owed;
mod owed_rows;
mod pending_users;
mod queries;
pub(super) mod reader;
mod reader_classes;
mod settle;
mod store;
pub(super) mod writer;

use super::connect::{self, Connector};
use super::dialect::{self, Conn};
use super::interrupt::Interrupt;
use super::offline_claim;

pub(super) use chores::share;
pub(super) use inner::{Chores, Inner};
pub(super) use pending_users::PendingUsers;
pub(super) use queries::webhook_lists::n_unreadable;
pub(super) use reader::Readers;
pub(super) use reader_classes::{ReadLimits, ReaderClasses};
pub use store::Store;
pub(super) use writer::{Writer, WriterContext, kept_open};
