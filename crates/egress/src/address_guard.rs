//! Resolver to addresses: resolved once, refused if any answer is closed, and pinned.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::policy::AddressPolicy;
use crate::target::{BLOCKED, Target, TargetError, TargetHost};

/// Most look-ups at once. Each may hold one of the runtime's blocking threads for as long as a name
/// server keeps silent; the rest of the process needs some too.
const LOOK_UPS: usize = 128;

/// How long a check waits for the name; beyond it the name counts as unknown and is
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

/// The policy with the means to resolve names under it. Clones share the bound on look-ups.
///
/// What it resolves is what is connected to, so nothing can change between the
/// judgement and the connection.
#[derive(Debug, Clone)]
pub struct AddressGuard {
    policy: AddressPolicy,
    look_ups: Arc<Semaphore>,
}

/// A boxed error; its type tells what happened.
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl AddressGuard {
    /// Guards by this policy.
    pub fn new(policy: AddressPolicy) -> Self {
        Self { policy, look_ups: Arc::new(Semaphore::new(LOOK_UPS)) }
    }

    /// Judges a URL before it is saved: what it shows, and what its name resolves to now. A name
    /// that does not resolve in time passes: it is judged again with every connection.
    ///
    /// # Errors
    /// [`TargetError`].
    pub async fn check(&self, url: &str) -> Result<(), TargetError> {
        let target = Target::parse(url)?;
        self.check_literal(&target)?;
        let TargetHost::Name(name) = &target.host else { return Ok(()) };
        match tokio::time::timeout(CHECK_DEADLINE, self.resolve(name)).await {
            Ok(Err(error)) if error.is::<Blocked>() => Err(TargetError::Blocked(BLOCKED)),
            _ => Ok(()),
        }
    }

    /// Judges what a URL itself shows: its scheme, and its host where that is an address.
    pub(crate) fn check_literal(&self, target: &Target) -> Result<(), TargetError> {
        target.check(&self.policy)
    }

    /// What is allowed.
    pub(crate) fn policy(&self) -> &AddressPolicy {
        &self.policy
    }

    /// The addresses of a name, all of them allowed.
    pub(crate) async fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, BoxError> {
        let _turn = self.look_ups.acquire().await;
        let addresses = self.policy.names().resolve(name).await.map_err(Unresolved)?;
        judge(&self.policy, name, addresses)
    }
}

/// All addresses, or a refusal when a single one is closed: a name that answers with both is either
/// broken or an attempt to get in. `localhost` is neither, it is this machine by standard (RFC 6761):
/// where only one of its two addresses is allowed, that one is used.
fn judge(policy: &AddressPolicy, name: &str, mut addresses: Vec<IpAddr>) -> Result<Vec<IpAddr>, BoxError> {
    if addresses.is_empty() {
        return Err(Box::new(Unresolved(io::Error::other("no addresses"))));
    }
    if name.trim_end_matches('.').eq_ignore_ascii_case("localhost") {
        addresses.retain(|address| policy.allows(*address));
    }
    let is_open = !addresses.is_empty() && addresses.iter().all(|address| policy.allows(*address));
    if is_open { Ok(addresses) } else { Err(Box::new(Blocked)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().expect(text)).collect()
    }

    #[test]
    fn one_closed_answer_spoils_all() {
        let policy = AddressPolicy::strict();
        assert!(judge(&policy, "a.example", addresses(&["8.8.8.8", "2606:4700::1111"])).is_ok());
        for mixed in [&["8.8.8.8", "10.0.0.1"], &["::1", "8.8.8.8"], &["8.8.8.8", "::ffff:192.168.0.1"]] {
            let refused = judge(&policy, "a.example", addresses(mixed)).expect_err("closed");
            assert!(refused.is::<Blocked>(), "{mixed:?}");
        }
        assert!(judge(&policy, "a.example", Vec::new()).expect_err("nothing").is::<Unresolved>());
    }

    #[test]
    fn localhost_needs_one_of_its_addresses_only() {
        let policy = AddressPolicy::strict().allow_cidrs("127.0.0.0/8").expect("legal");
        let both = || addresses(&["::1", "127.0.0.1"]);
        assert_eq!(judge(&policy, "localhost", both()).expect("allowed"), addresses(&["127.0.0.1"]));
        assert!(judge(&policy, "localhost.example", both()).is_err(), "any other name needs all");
        assert!(judge(&AddressPolicy::strict(), "localhost", both()).expect_err("closed").is::<Blocked>());
    }

    #[tokio::test]
    async fn names_are_judged_by_what_they_resolve_to() {
        let strict = AddressGuard::new(AddressPolicy::strict());
        assert_eq!(strict.check("https://localhost/").await, Err(TargetError::Blocked(BLOCKED)));
        assert_eq!(strict.check("https://no-such-host.invalid/").await, Ok(()), "checked when something is sent");
        let open = AddressGuard::new(AddressPolicy::strict().allow_cidrs("127.0.0.0/8").expect("legal"));
        assert_eq!(open.check("https://localhost/").await, Ok(()));
    }
}
