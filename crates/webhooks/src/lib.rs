//! Leaving the building: matching, signing, guarded sending, schedule and delivery.
//!
//! Knows nothing of connections, SQL, tokens or routes. Owns three seams: who wants what
//! ([`WebhookDirectory`]), which deliveries wait ([`DeliveryLedger`]), what was tried ([`AttemptLog`]);
//! [`Webhooks`] is the face of it all.
//!
//! ```
//! use hookswitch_protocol::{EventType, NodeId, Payload, Secret, TenantId, Timestamp};
//! use hookswitch_runtime::{Clock, Scope};
//! use hookswitch_webhooks::{AddressPolicy, DeliveryTarget, WebhookConfig, WebhookInput, WebhookSeams, Webhooks};
//!
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let clock = Clock::system();
//! let seams = WebhookSeams::memory(&clock);
//! let policy = AddressPolicy::strict();
//! let scope = Scope::root("example");
//! let node = NodeId::generate(clock.now());
//! let webhooks = Webhooks::start(WebhookConfig::default(), policy, seams, node, clock.clone(), scope.clone()).await?;
//! let tenant = TenantId::parse("tenant-123")?;
//! let crm = WebhookInput {
//!     name: Some("CRM".into()),
//!     url: Some("https://1.1.1.1/hook".into()),
//!     events: Some(vec!["call.*".into()]),
//!     secret: Some(Secret::new("shared")),
//!     ..WebhookInput::default()
//! };
//! let crm = webhooks.create(&tenant, crm).await?;
//! let payload = Payload::parse(r#"{"unique_id":"1.2"}"#)?;
//! let targets = webhooks.targets(&tenant, &EventType::CALL_INCOMING, &payload, clock.now());
//! assert_eq!(targets, [DeliveryTarget::new(crm.id)]);
//! # scope.shut_down(std::time::Duration::from_secs(1)).await;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```

mod body;
mod config;
mod counters;
mod directory;
mod dispatcher;
mod error;
mod health;
mod history;
mod ledger;
mod log;
mod memory;
mod options;
mod registrations;
mod resend;
mod retry_policy;
mod rules;
mod seam;
mod sender;
mod sign;
mod table;
mod test_delivery;
mod verify;
mod webhooks;

pub use body::{delivery_body, fingerprint};
pub use config::WebhookConfig;
pub use counters::DeliveryCounters;
pub use directory::{
    DirectoryError, DirectoryVersion, Listed, NewWebhook, Page, PreviousSecret, Webhook, WebhookChange,
    WebhookDirectory,
};
pub use dispatcher::{BreakerRule, BreakerState};
pub use error::{StartError, WebhookError};
pub use health::{DisableReason, DisableRule, Disabled, WebhookHealth};
pub use hookswitch_egress::{
    AddressPolicy, ErrorClass, InvalidCertificates, InvalidCidr, InvalidProxy, NameResolver, Timings,
};
pub use ledger::{
    Attempted, Backlog, DeliveryLedger, DeliveryTarget, DisabledWebhook, Disposition, DueWebhook, Fingerprint,
    Finished, Lease, LeaseRequest, LeaseWish, LeasedDelivery, LedgerError, NewDeliveries, Requeue, Requeued, Retention,
    Seen, Settled, Sweep, Swept,
};
pub use log::{
    AttemptLog, AttemptRow, DeliveryStats, LogEntry, LogFilter, LogOutcome, LoggedAttempt, LoggedSkip, SkipReason,
    SkipRow,
};
pub use memory::MemoryWebhooks;
pub use options::{CustomHeader, HeaderChange, OptionsChange, OrderedBy, RetryProfile, WebhookOptions};
pub use registrations::Enabled;
pub use resend::Resent;
pub use retry_policy::retry_delay;
pub use rules::{HEADER_MASK, InvalidWebhook, OptionsInput, Rotation, WebhookInput};
pub use seam::BoxFuture;
pub use sign::{signature, standard_signature};
pub use test_delivery::TestReport;
pub use verify::{BadSignature, StandardHeaders, TIMESTAMP_TOLERANCE, verify_signature, verify_standard_webhook};
pub use webhooks::{WebhookSeams, Webhooks};
