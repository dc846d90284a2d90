//! Leaving for other people's machines: the HTTP client that refuses internal addresses.
//!
//! Knows nothing of webhooks, tenants or SQL. A request goes out under one deadline over connecting, TLS,
//! head and body; no redirect is followed, no proxy used but the configured one, no compression asked for,
//! and little is read of an answer.
//!
//! Three gates keep it out of networks that are not publicly routable, each for what the others cannot
//! see: the URL when somebody saves one ([`AddressGuard::check`]), literals when a connection is made
//! (no resolver sees those), and every answer of the resolver. What was judged is what is connected to,
//! directly or through the operator's proxy, so a second look-up cannot say something else.
//!
//! ```
//! use std::time::Duration;
//!
//! use bytes::Bytes;
//! use hookswitch_egress::{AddressGuard, AddressPolicy, Client, ClientConfig, ErrorClass, Target};
//! use http::Request;
//!
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let client = Client::new(&AddressGuard::new(AddressPolicy::strict()), ClientConfig::default());
//! let target = Target::parse("https://127.0.0.1/keys")?;
//! let request = Request::get(target.uri()).body(Bytes::new())?;
//! let exchange = client.send(request, Duration::from_secs(5)).await;
//! assert_eq!(exchange.failure.map(|failure| failure.class()), Some(ErrorClass::AddressBlocked));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```

mod address_guard;
mod answer_head;
mod classify;
mod client;
mod connect_progress;
mod connector;
mod exchange;
mod failure;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod known_names;
mod look_ups;
mod name_resolver;
mod open_connections;
mod policy;
mod pool;
mod proxy;
mod request_watch;
mod special_purpose;
mod stream;
mod system_resolver;
mod target;
mod tcp;
mod timings;
mod tls;
mod tunnel;

pub use address_guard::AddressGuard;
pub use client::{Client, ClientConfig};
pub use exchange::Exchange;
pub use failure::{ErrorClass, Failure};
pub use name_resolver::{NameResolver, Resolving};
pub use policy::{AddressPolicy, InvalidCidr, InvalidNameServer};
pub use proxy::InvalidProxy;
pub use target::{Target, TargetError};
pub use timings::Timings;
pub use tls::InvalidCertificates;
