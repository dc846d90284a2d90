//! Who is asked for the addresses of a host name.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use crate::seam::BoxFuture;

/// Turns host names into addresses. Without one the operating system is asked; another is for
/// embedders with a service registry or a resolver of their own, and for tests.
///
/// Every answer is judged before anything is connected to, so a resolver cannot open what the policy
/// closes. It is asked once for every new connection, and once when a URL is saved, where its answer
/// is waited for 2 seconds; it should cache. A dropped future must leave nothing behind.
pub trait NameResolver: Send + Sync {
    /// All addresses of the name. An error, and no addresses at all, fail the attempt with `dns_error`.
    fn resolve<'a>(&'a self, name: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>>;
}

/// The resolver of a policy. Two are equal when they are the same one.
#[derive(Clone, Default)]
pub(super) struct Names(Option<Arc<dyn NameResolver>>);

impl Names {
    pub(super) fn by(resolver: Arc<dyn NameResolver>) -> Self {
        Self(Some(resolver))
    }

    /// All addresses of the name, unjudged.
    pub(super) async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        match &self.0 {
            Some(resolver) => resolver.resolve(name).await,
            None => Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect()),
        }
    }
}

impl PartialEq for Names {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(one), Some(another)) => Arc::ptr_eq(one, another),
            (None, None) => true,
            _ => false,
        }
    }
}

impl Eq for Names {}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "a resolver of the embedder" } else { "the operating system" })
    }
}
