//! Who is asked for the addresses of a host name.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use crate::known_names::{Answer, LookUpError, MOST_ADDRESSES};
use crate::system_resolver::SystemResolver;

/// A look-up under way.
pub type Resolving<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>>;

/// Turns host names into addresses. Without one `/etc/hosts` and the machine's name servers are asked; another is for
/// embedders with a service registry or a resolver of their own, and for tests.
///
/// Every answer is judged before anything is connected to, so a resolver cannot open what the policy
/// closes. It is asked for a new connection, and when a URL is saved, for one name once at a time; it should cache.
/// It has 10 seconds, and as a saved URL is concerned 2. A dropped future must leave nothing behind.
pub trait NameResolver: Send + Sync {
    /// All addresses of the name. An error, and no addresses at all, fail the request with `dns_error`. It is the
    /// name's own fault unless the error's kind says that the resolver itself could not answer: `TimedOut`,
    /// `ConnectionRefused`, `ConnectionReset`, `NotConnected`, `NetworkUnreachable`, `HostUnreachable`.
    fn resolve<'a>(&'a self, name: &'a str) -> Resolving<'a>;
}

/// The resolver of a policy. Two are equal when they ask the same.
#[derive(Clone)]
pub(crate) enum Resolver {
    System(Arc<SystemResolver>),
    Embedder(Arc<dyn NameResolver>),
}

impl Resolver {
    /// An embedder's.
    pub(crate) fn by(resolver: Arc<dyn NameResolver>) -> Self {
        Self::Embedder(resolver)
    }

    /// The machine's, with these name servers instead of its own.
    pub(crate) fn asking(servers: Vec<SocketAddr>) -> Self {
        Self::System(Arc::new(SystemResolver::asking(servers)))
    }

    /// Whether answers from before are of no worth any more, which is told once.
    pub(crate) fn is_renewed(&self) -> bool {
        match self {
            Self::System(resolver) => resolver.is_renewed(),
            Self::Embedder(_) => false,
        }
    }

    /// All addresses of the name, unjudged, within the time. An embedder's are not remembered.
    pub(crate) async fn resolve(&self, name: &str, within: Duration) -> Result<Answer, LookUpError> {
        let resolved = timeout(within, async {
            match self {
                Self::System(resolver) => resolver.resolve(name).await,
                Self::Embedder(resolver) => answer_of(resolver.resolve(name).await),
            }
        });
        resolved.await.unwrap_or(Err(LookUpError::Failed { is_ours: true }))
    }
}

fn answer_of(resolved: io::Result<Vec<IpAddr>>) -> Result<Answer, LookUpError> {
    use io::ErrorKind::{
        ConnectionRefused, ConnectionReset, HostUnreachable, NetworkUnreachable, NotConnected, TimedOut,
    };
    match resolved {
        Ok(addresses) if addresses.is_empty() => Err(LookUpError::NoAddress),
        Ok(addresses) => {
            let addresses = addresses.into_iter().take(MOST_ADDRESSES).collect();
            Ok(Answer { addresses, until: Instant::now() })
        }
        Err(error) => match error.kind() {
            ConnectionRefused | ConnectionReset | HostUnreachable | NetworkUnreachable | NotConnected | TimedOut => {
                Err(LookUpError::Failed { is_ours: true })
            }
            _ => Err(LookUpError::NoAddress),
        },
    }
}

impl Default for Resolver {
    fn default() -> Self {
        Self::asking(Vec::new())
    }
}

impl PartialEq for Resolver {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::System(one), Self::System(another)) => one == another,
            (Self::Embedder(one), Self::Embedder(another)) => Arc::ptr_eq(one, another),
            _ => false,
        }
    }
}

impl Eq for Resolver {}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System(resolver) => resolver.fmt(f),
            Self::Embedder(_) => f.write_str("a resolver of the embedder"),
        }
    }
}
