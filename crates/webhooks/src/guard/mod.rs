//! The address guard: no webhook reaches into networks that are not publicly routable.
//!
//! Three gates, each for what the others cannot see: the URL when a webhook is made ([`target`]),
//! literals when a connection is made ([`connector`]; no resolver sees those), and every answer of
//! the resolver ([`resolver`]). What was judged is what is connected to, directly or through the
//! operator's proxy, so a second look-up cannot say something else.

mod connector;
mod names;
mod policy;
mod proxy;
mod resolver;
mod special;
mod stream;
mod target;
mod tls;
mod tunnel;

pub(crate) use connector::{ConnectFailure, GuardedConnector, guarded_connector};
pub use names::NameResolver;
pub use policy::{AddressPolicy, InvalidCidr};
pub use proxy::InvalidProxy;
pub(crate) use resolver::Guard;
pub(crate) use stream::{Marks, Overrun};
#[cfg(feature = "fuzzing")]
pub(crate) use target::TargetHost;
pub(crate) use target::{Target, TargetError};
pub use tls::InvalidCertificates;
