//! Leaving the building: matching, signing, guarded sending, schedule and delivery.
//!
//! Knows nothing of connections, SQL, tokens or routes. Owns three seams: who wants what
//! ([`WebhookDirectory`]), which deliveries wait ([`DeliveryLedger`]), what was tried ([`AttemptLog`]);
//! [`Webhooks`] is the handle to all of it.
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

mod admin;
mod config;
mod context;
mod delivery_body;
mod dispatcher;
mod error;
mod health;
mod labels;
mod match_index;
mod match_table;
mod memory;
mod metrics;
mod options;
mod receiver_version;
mod retry_policy;
mod rules;
mod seams;
mod sender;
mod sign;
mod verify;
mod webhooks;

pub use admin::DeliveryHistory;
pub use admin::{Enabled, Resent, TestReport};
pub use config::{BreakerRule, WebhookConfig};
pub use delivery_body::{delivery_body, fingerprint};
pub use dispatcher::BreakerState;
pub use error::{StartError, WebhookError};
pub use health::{DisableReason, DisableRule, Disabled, WebhookHealth};
pub use hookswitch_egress::{
    AddressPolicy, ErrorClass, InvalidCertificates, InvalidCidr, InvalidNameServer, InvalidProxy, NameResolver, Timings,
};
pub use hookswitch_runtime::BoxFuture;
pub use memory::MemoryWebhooks;
pub use metrics::WebhookMetrics;
pub use options::{CustomHeader, HeaderChange, OptionsChange, OrderedBy, RetryProfile, WebhookOptions};
pub use retry_policy::{RETRYABLE_STATUSES, retry_delay};
pub use rules::{HEADER_MASK, InvalidWebhook, OptionsInput, Rotation, WebhookInput};
pub use seams::WebhookSeams;
pub use seams::attempt_log::{
    AttemptLog, AttemptRow, DeliveryStats, LogEntry, LogFilter, LogOutcome, LoggedAttempt, LoggedSkip, SkipReason,
    SkipRow,
};
pub use seams::directory::{
    Cursor, DEEPEST_OFFSET, DirectoryError, DirectoryVersion, Listed, NewWebhook, PAGE_BYTES, Page, PreviousSecret,
    Webhook, WebhookChange, WebhookDirectory,
};
pub use seams::event_delivery::{DeliveryState, EventDelivery};
pub use seams::ledger::{
    Attempted, Backlog, DeliveryLedger, DeliveryTarget, DisabledWebhook, Disposition, DueWebhook, ENQUEUE_BYTES,
    ENQUEUE_DELIVERIES, ENQUEUE_STEP, Fingerprint, Finished, LEASE_BYTES, Lease, LeaseRequest, LeaseWish,
    LeasedDelivery, LedgerError, NewDeliveries, Requeue, Requeued, Retention, Seen, Settled, Sweep, Swept,
};
pub use sign::{signature, standard_signature};
pub use verify::{BadSignature, StandardHeaders, TIMESTAMP_TOLERANCE, verify_signature, verify_standard_webhook};
pub use webhooks::Webhooks;
