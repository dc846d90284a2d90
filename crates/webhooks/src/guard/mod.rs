//! The address guard: no webhook reaches into networks that are not publicly routable.
//!
//! Three gates, each for what the others cannot see: the URL when a webhook is made ([`target`]),
//! literals when a connection is made ([`connector`]; the resolver never sees those), and every
//! answer of the resolver ([`resolver`]), which pins what it judged, so that a second look-up cannot
//! say something else.

mod connector;
mod policy;
mod resolver;
mod special;
mod target;

pub(crate) use connector::{ConnectFailure, GuardedConnector, guarded_connector};
pub use policy::{AddressPolicy, InvalidCidr};
pub(crate) use resolver::Guard;
pub(crate) use target::{Target, TargetError};
