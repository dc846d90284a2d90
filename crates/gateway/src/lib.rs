//! HTTP and WebSocket: tokens, upgrade and frames, REST, health and metrics.
//!
//! Knows nothing of SQL, Redis or what an event means. [`Gateway`] answers requests, in a server of
//! the embedder's through [`Gateway::handle`] or in its own through [`Gateway::serve`]; who may do
//! what stands in one table of routes. [`Authenticator`] is its seam; [`JwtAuthenticator`] keeps it.
//!
//! ```
//! use hookswitch_gateway::{AllowedOrigins, GatewayConfig, JwtAuthenticator, JwtConfig};
//! use hookswitch_protocol::Secret;
//! use hookswitch_runtime::Clock;
//!
//! let secret = Some(Secret::new("a secret of at least thirty-two bytes"));
//! let jwt = JwtAuthenticator::new(&JwtConfig { secret, ..JwtConfig::default() }, Clock::system())?;
//! let origins = AllowedOrigins::parse("https://app.example.com")?;
//! let config = GatewayConfig { origins, ..GatewayConfig::default() };
//! # let _ = (jwt, config);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod auth;
#[cfg(test)]
mod catalogue;
mod config;
mod cors;
mod dispatch;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod gateway;
mod http;
mod log_budget;
mod metrics;
mod origin;
mod pages;
mod publish;
mod request_limit;
mod routes;
mod server;
mod transports;
mod webhooks_api;

pub use self::http::Body;
pub use auth::{
    AuthError, Authenticator, Credential, InvalidJwtConfig, JwtAlgorithm, JwtAuthenticator, JwtConfig, Principal, Role,
    TokenPlace,
};
pub use config::GatewayConfig;
pub use gateway::{Gateway, GatewayParts};
pub use hookswitch_runtime::BoxFuture;
pub use metrics::GatewayMetrics;
pub use origin::{AllowedOrigins, InvalidOrigin, OriginPattern};
pub use pages::{Health, NodeQueue, Probe, ProbeCheck, Severity};
pub use server::listen;
