//! Who is asked for the addresses of a host name.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

/// A look-up under way.
pub type Resolving<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>>;

/// Turns host names into addresses. Without one the operating system is asked; another is for
/// embedders with a service registry or a resolver of their own, and for tests.
///
/// Every answer is judged before anything is connected to, so a resolver cannot open what the policy
/// closes. It is asked once for every new connection, and once when a URL is saved, where its answer
/// is waited for 2 seconds; it should cache. A dropped future must leave nothing behind.
pub trait NameResolver: Send + Sync {
    /// All addresses of the name. An error, and no addresses at all, fail the request with `dns_error`.
    fn resolve<'a>(&'a self, name: &'a str) -> Resolving<'a>;
}

/// The resolver of a policy. Two are equal when they are the same one.
#[derive(Clone, Default)]
pub(crate) struct Resolver(Option<Arc<dyn NameResolver>>);

impl Resolver {
    pub(crate) fn by(resolver: Arc<dyn NameResolver>) -> Self {
        Self(Some(resolver))
    }

    /// All addresses of the name, unjudged.
    pub(crate) async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        match &self.0 {
            Some(resolver) => resolver.resolve(name).await,
            None => Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect()),
        }
    }
}

impl PartialEq for Resolver {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(one), Some(another)) => Arc::ptr_eq(one, another),
            (None, None) => true,
            _ => false,
        }
    }
}

impl Eq for Resolver {}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "a resolver of the embedder" } else { "the operating system" })
    }
}
