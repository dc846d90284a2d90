//! The seams: what this crate needs kept, by memory or by a database. Each trait's documentation is the
//! contract, and the same suite of tests is run against every keeper.

pub(crate) mod attempt_log;
pub(crate) mod directory;
pub(crate) mod event_delivery;
pub(crate) mod ledger;
mod ledger_error;
pub(crate) mod paging;

use std::fmt;
use std::sync::Arc;

use attempt_log::AttemptLog;
use directory::WebhookDirectory;
use ledger::DeliveryLedger;

/// The three keepers, which usually are one thing.
#[derive(Clone)]
pub struct WebhookSeams {
    /// Keeps the registrations.
    pub directory: Arc<dyn WebhookDirectory>,
    /// Keeps the deliveries.
    pub ledger: Arc<dyn DeliveryLedger>,
    /// Keeps the attempt log.
    pub log: Arc<dyn AttemptLog>,
}

impl fmt::Debug for WebhookSeams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookSeams").finish_non_exhaustive()
    }
}
