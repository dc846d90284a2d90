//! Names to addresses: resolved once, refused if any answer is closed, and pinned.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::client::legacy::connect::dns::Name;
use tokio::sync::Semaphore;
use tower_service::Service;

use super::AddressPolicy;
use super::target::{BLOCKED, Target, TargetError, TargetHost};

/// Most look-ups at once. Each may hold one of the runtime's blocking threads for as long as a name
/// server keeps silent; the rest of the process needs some too.
const LOOK_UPS: usize = 128;

/// How long a create or update waits for the name; beyond it the name counts as unknown and is
/// checked when something is sent.
const CHECK_DEADLINE: Duration = Duration::from_secs(2);

/// A destination the policy forbids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the destination address is not allowed")]
pub(crate) struct Blocked;

/// A name without an address.
#[derive(Debug, thiserror::Error)]
#[error("the host name did not resolve")]
pub(crate) struct Unresolved(#[source] io::Error);

/// The resolver of the connector. What it returns is what is connected to, so nothing can change
/// between the judgement and the connection.
#[derive(Debug, Clone)]
pub(crate) struct GuardedResolver {
    policy: AddressPolicy,
    look_ups: Arc<Semaphore>,
}

impl GuardedResolver {
    pub(crate) fn new(policy: AddressPolicy) -> Self {
        Self { policy, look_ups: Arc::new(Semaphore::new(LOOK_UPS)) }
    }
}

/// A boxed error, as the connector wants it; its type tells the sender what happened.
type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl Service<Name> for GuardedResolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let Self { policy, look_ups } = self.clone();
        Box::pin(async move {
            let _turn = look_ups.acquire_owned().await;
            // The connector puts the URL's port in place of this one.
            let addresses = tokio::net::lookup_host((name.as_str(), 0)).await.map_err(Unresolved)?;
            Ok(judge(&policy, addresses.collect())?.into_iter())
        })
    }
}

/// All addresses, or a refusal when a single one is closed: a name that answers with both is either
/// broken or an attempt to get in.
fn judge(policy: &AddressPolicy, addresses: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, BoxError> {
    if addresses.is_empty() {
        return Err(Box::new(Unresolved(io::Error::other("no addresses"))));
    }
    if addresses.iter().all(|address| policy.allows(address.ip())) { Ok(addresses) } else { Err(Box::new(Blocked)) }
}

/// Resolves the target's name, for a create or update. A name that does not resolve in time passes:
/// it is judged again with every connection.
pub(crate) async fn check_host(target: &Target, policy: &AddressPolicy) -> Result<(), TargetError> {
    let TargetHost::Name(name, port) = &target.host else { return Ok(()) };
    let look_up = tokio::time::timeout(CHECK_DEADLINE, tokio::net::lookup_host((name.as_str(), *port)));
    let Ok(Ok(mut addresses)) = look_up.await else { return Ok(()) };
    if addresses.all(|address| policy.allows(address.ip())) { Ok(()) } else { Err(TargetError::Blocked(BLOCKED)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| SocketAddr::new(text.parse().expect(text), 0)).collect()
    }

    #[test]
    fn one_closed_answer_spoils_all() {
        let policy = AddressPolicy::strict();
        assert!(judge(&policy, addresses(&["8.8.8.8", "2606:4700::1111"])).is_ok());
        for mixed in [&["8.8.8.8", "10.0.0.1"], &["::1", "8.8.8.8"], &["8.8.8.8", "::ffff:192.168.0.1"]] {
            assert!(judge(&policy, addresses(mixed)).expect_err("closed").is::<Blocked>(), "{mixed:?}");
        }
        assert!(judge(&policy, Vec::new()).expect_err("nothing").is::<Unresolved>());
    }

    #[tokio::test]
    async fn localhost_is_blocked_by_what_it_resolves_to() {
        let mut resolver = GuardedResolver::new(AddressPolicy::strict());
        let error = resolver.call("localhost".parse().expect("a name")).await.expect_err("loopback");
        assert!(error.is::<Blocked>(), "{error}");
        let target = Target::parse("https://localhost/").expect("legal");
        assert!(matches!(check_host(&target, &AddressPolicy::strict()).await, Err(TargetError::Blocked(_))));
        let open = AddressPolicy::strict().allow_cidrs("127.0.0.0/8,::1").expect("legal");
        assert_eq!(check_host(&target, &open).await, Ok(()));
        let unknown = Target::parse("https://no-such-host.invalid/").expect("legal");
        assert_eq!(check_host(&unknown, &AddressPolicy::strict()).await, Ok(()));
    }
}
