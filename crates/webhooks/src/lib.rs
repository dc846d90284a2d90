//! Leaving the building: matching, signing, guarded sending, schedule and delivery.

mod directory;
mod ledger;
mod log;
mod seam;

pub use directory::{
    DirectoryError, DirectoryVersion, Listed, NewWebhook, Page, Webhook, WebhookChange, WebhookDirectory,
};
pub use ledger::{
    Attempted, Backlog, DeliveryLedger, DueWebhook, Fingerprint, Finished, Lease, LeaseRequest, LeaseWish,
    LeasedDelivery, LedgerError, NewDuty, Retention, Seen, Verdict,
};
pub use log::{AttemptLog, AttemptRow, DeliveryStats, LoggedAttempt};
pub use seam::BoxFuture;
