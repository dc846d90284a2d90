//! Resolver to addresses: resolved once, refused if any answer is closed, and pinned.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::failure::{ErrorClass, Failure};
use crate::known_names::LookUpError;
use crate::look_ups::{LookUps, Purpose};
use crate::policy::AddressPolicy;
use crate::target::{BLOCKED, Target, TargetError, TargetHost};

/// How long a check waits for the name; beyond it the name counts as unknown and is
/// checked when something is sent.
const CHECK_DEADLINE: Duration = Duration::from_secs(2);

/// Why a name leads nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unusable {
    /// To an address that the policy forbids.
    Blocked,
    /// It has no address that anybody knows.
    Unresolved(LookUpError),
}

/// The policy with the means to resolve names under it. Clones share the bound on look-ups.
///
/// What it resolves is what is connected to, so nothing can change between the
/// judgement and the connection.
#[derive(Debug, Clone)]
pub struct AddressGuard {
    policy: AddressPolicy,
    look_ups: LookUps,
    requester: Arc<str>,
}

impl AddressGuard {
    /// Guards by this policy.
    pub fn new(policy: AddressPolicy) -> Self {
        let look_ups = LookUps::new(policy.names().clone());
        Self { policy, look_ups, requester: Arc::from("") }
    }

    /// The same guard, for checks on behalf of one of many, such as a tenant: look-ups of names are shared fairly
    /// between them.
    #[must_use]
    pub fn on_behalf_of(&self, requester: &str) -> Self {
        Self { requester: Arc::from(requester), ..self.clone() }
    }

    /// Judges a URL before it is saved: what it shows, and what its name resolves to now. A name
    /// that does not resolve within 2 seconds passes: it is judged again with every connection.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    /// [`TargetError`].
    pub async fn check(&self, url: &str) -> Result<(), TargetError> {
        let target = Target::parse(url)?;
        self.check_literal(&target)?;
        let TargetHost::Name(name) = &target.host else { return Ok(()) };
        let resolved = self.resolve(&self.requester, Purpose::Check, name);
        match tokio::time::timeout(CHECK_DEADLINE, resolved).await {
            Ok(Err(Unusable::Blocked)) => Err(TargetError::Blocked(BLOCKED)),
            _ => Ok(()),
        }
    }

    /// Look-ups of names that run now.
    pub fn n_look_ups(&self) -> u64 {
        self.look_ups.n_running()
    }

    /// Look-ups of names that wait for their turn.
    pub fn n_look_ups_waiting(&self) -> usize {
        self.look_ups.n_waiting()
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
    pub(crate) async fn resolve(
        &self,
        requester: &Arc<str>,
        purpose: Purpose,
        name: &str,
    ) -> Result<Vec<IpAddr>, Unusable> {
        let addresses = self.resolve_unjudged(requester, purpose, name).await?;
        judge(&self.policy, name, addresses.to_vec())
    }

    /// The addresses of a name that the operator chose, such as the proxy's.
    pub(crate) async fn resolve_unjudged(
        &self,
        requester: &Arc<str>,
        purpose: Purpose,
        name: &str,
    ) -> Result<Arc<[IpAddr]>, Unusable> {
        self.look_ups.resolve(requester, purpose, name).await.map_err(Unusable::Unresolved)
    }

    /// What a request has failed for that cannot wait any longer for the addresses of this name.
    pub(crate) fn if_late(&self, name: &str) -> Failure {
        match self.look_ups.if_late(name) {
            LookUpError::Failed { is_ours: false } => {
                Failure::because(ErrorClass::Timeout, "the host name did not resolve within the time limit")
            }
            _ => Failure::ours(ErrorClass::Timeout, "the name servers did not answer within the time limit"),
        }
    }
}

impl Unusable {
    /// What a request to such a name has failed for.
    pub(crate) fn failure(self) -> Failure {
        use ErrorClass::{AddressBlocked, DnsError};
        match self {
            // Names change, and one wrong answer of a name server must not end what a broken wire would not.
            Self::Blocked => {
                Failure::because(AddressBlocked, "the host name leads to an address that is not allowed").passing()
            }
            Self::Unresolved(LookUpError::NoAddress) => Failure::new(DnsError),
            Self::Unresolved(LookUpError::Failed { is_ours: false }) => {
                Failure::because(DnsError, "no name server answers for this host name, though they do for others")
            }
            Self::Unresolved(LookUpError::Failed { is_ours: true }) => {
                Failure::ours(DnsError, "the name servers did not answer")
            }
            Self::Unresolved(LookUpError::Crowded) => Failure::ours(DnsError, "too many look-ups are waiting already"),
        }
    }
}

/// All addresses, or a refusal when a single one is closed: a name that answers with both is either
/// broken or an attempt to get in. `localhost` is neither, it is this machine by standard (RFC 6761):
/// where only one of its two addresses is allowed, that one is used.
fn judge(policy: &AddressPolicy, name: &str, mut addresses: Vec<IpAddr>) -> Result<Vec<IpAddr>, Unusable> {
    if addresses.is_empty() {
        return Err(Unusable::Unresolved(LookUpError::NoAddress));
    }
    if name.trim_end_matches('.').eq_ignore_ascii_case("localhost") {
        addresses.retain(|address| policy.allows(*address));
    }
    let is_open = !addresses.is_empty() && addresses.iter().all(|address| policy.allows(*address));
    if is_open { Ok(addresses) } else { Err(Unusable::Blocked) }
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
            assert_eq!(judge(&policy, "a.example", addresses(mixed)), Err(Unusable::Blocked), "{mixed:?}");
        }
        let nothing = Err(Unusable::Unresolved(LookUpError::NoAddress));
        assert_eq!(judge(&policy, "a.example", Vec::new()), nothing);
    }

    #[test]
    fn localhost_needs_one_of_its_addresses_only() {
        let policy = AddressPolicy::strict().allow_cidrs("127.0.0.0/8").expect("legal");
        let both = || addresses(&["::1", "127.0.0.1"]);
        assert_eq!(judge(&policy, "localhost", both()).expect("allowed"), addresses(&["127.0.0.1"]));
        assert!(judge(&policy, "localhost.example", both()).is_err(), "any other name needs all");
        assert_eq!(judge(&AddressPolicy::strict(), "localhost", both()), Err(Unusable::Blocked));
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
