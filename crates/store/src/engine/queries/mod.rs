//! The queries, one file per table group. Plain functions on a connection; transactions are the callers'.

pub(crate) mod chat;
mod chunks;
pub(crate) mod deliveries;
pub(crate) mod enqueue;
pub(crate) mod entries;
pub(crate) mod event_deliveries;
pub(crate) mod event_ids;
pub(crate) mod finish;
mod health;
pub(crate) mod history;
pub(crate) mod lease;
mod log_order;
mod log_rows;
pub(crate) mod logs;
pub(crate) mod offline;
pub(crate) mod proof;
pub(crate) mod purge;
pub(crate) mod requeue;
pub(crate) mod skips;
pub(crate) mod webhook_lists;
mod webhook_row;
pub(crate) mod webhooks;
mod windows;

use super::{dialect, offline_claim};
