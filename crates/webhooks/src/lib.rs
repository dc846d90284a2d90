//! Leaving the building: matching, signing, guarded sending, schedule and delivery.
//!
//! Knows nothing of connections, SQL, tokens or routes. Owns three seams: who wants what
//! ([`WebhookDirectory`]), which duties wait ([`DeliveryLedger`]), what was tried ([`AttemptLog`]);
//! [`Webhooks`] is the face of it all.
//!
//! ```
//! use hookswitch_protocol::{EventType, NodeId, Payload, Secret, TenantId, Timestamp};
//! use hookswitch_runtime::{Clock, Scope};
//! use hookswitch_webhooks::{AddressPolicy, DutyTarget, WebhookConfig, WebhookInput, WebhookSeams, Webhooks};
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
//! assert_eq!(targets, [DutyTarget::new(crm.id)]);
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
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod guard;
mod health;
mod history;
mod ledger;
mod log;
mod memory;
mod options;
mod outcome;
mod registrations;
mod resend;
mod rules;
mod schedule;
mod seam;
mod sender;
mod sign;
mod table;
mod timings;
mod trial;
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
pub use guard::{AddressPolicy, InvalidCertificates, InvalidCidr, InvalidProxy, NameResolver};
pub use health::{DisableReason, DisableRule, Disabled, WebhookHealth};
pub use ledger::{
    Attempted, Backlog, DeliveryLedger, DisabledWebhook, DueWebhook, DutyTarget, Fingerprint, Finished, Lease,
    LeaseRequest, LeaseWish, LeasedDelivery, LedgerError, NewDuty, Requeue, Requeued, Retention, Seen, Settled, Sweep,
    Swept, Verdict,
};
pub use log::{
    AttemptLog, AttemptRow, DeliveryStats, LogEntry, LogFilter, LogOutcome, LoggedAttempt, LoggedSkip, SkipReason,
    SkipRow,
};
pub use memory::MemoryWebhooks;
pub use options::{CustomHeader, HeaderChange, OptionsChange, OrderedBy, RetryProfile, WebhookOptions};
pub use outcome::ErrorClass;
pub use registrations::Enabled;
pub use resend::Resent;
pub use rules::{HEADER_MASK, InvalidWebhook, OptionsInput, Rotation, WebhookInput};
pub use schedule::retry_delay;
pub use seam::BoxFuture;
pub use sign::{signature, standard_signature};
pub use timings::Timings;
pub use trial::TestReport;
pub use verify::{BadSignature, StandardHeaders, TIMESTAMP_TOLERANCE, verify_signature, verify_standard_webhook};
pub use webhooks::{WebhookSeams, Webhooks};
