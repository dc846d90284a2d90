//! Leases of users, in the slot of their tenant's online set: the scripts there, and what they answer.

use fred::types::Value;
use hookswitch_hub::UserKey;
use hookswitch_protocol::{NodeId, TenantId, UserId};

use crate::link::{Link, LinkError};
use crate::script::Script;

/// The scripts about leases of users.
#[derive(Debug)]
pub(super) struct UserLeases {
    assert: Script,
    hold: Script,
    leave: Script,
    state: Script,
    unleased: Script,
    expire: Script,
}

/// What became of a node's call about its own leases, by the fence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LeaseOutcome {
    Done,
    /// Done, but nothing of this node was there before.
    Fresh,
    /// Refused: this node has written something newer, since its link opened anew.
    Stale,
    /// Refused: other nodes took this one for lost.
    Swept,
}

/// Tells what a node writes now from what was stuck since before its link opened anew.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fence {
    /// How often the link has opened.
    pub(super) number: u64,
    /// The node knows that others took it for lost, and that they told that its users left.
    pub(super) knows_it_was_swept: bool,
}

/// Whose leases are ended.
#[derive(Debug, Clone, Copy)]
pub(super) enum Release<'a> {
    /// This node's own.
    Own(Fence),
    /// Of these only such as are held for users that this node sent elsewhere.
    Held(Fence),
    /// Those of a node that was lost.
    Lost(&'a NodeId),
}

/// A user, and what to publish about him; empty for nothing.
pub(super) type UserAnnouncement = (String, Vec<u8>);

/// What became of [`UserLeases::leave`].
#[derive(Debug)]
pub(super) struct Released {
    pub(super) outcome: LeaseOutcome,
    /// Users that the node still holds in this tenant.
    pub(super) n_remaining: u64,
    /// Who is offline now.
    pub(super) gone: Vec<String>,
}

/// What the slot knows of one user.
#[derive(Debug)]
pub(super) struct UserState {
    pub(super) is_online: bool,
    /// The nodes that have connections of the user, each with their number; not those that only hold him.
    pub(super) holders: Vec<(NodeId, u32)>,
}

impl UserLeases {
    pub(super) fn new() -> Self {
        Self {
            assert: Script::new(concat!(
                include_str!("../scripts/fence.lua"),
                include_str!("../scripts/held.lua"),
                include_str!("../scripts/presence_assert.lua")
            )),
            hold: Script::new(concat!(
                include_str!("../scripts/fence.lua"),
                include_str!("../scripts/presence_hold.lua")
            )),
            leave: Script::new(concat!(
                include_str!("../scripts/fence.lua"),
                include_str!("../scripts/leased.lua"),
                include_str!("../scripts/presence_leave.lua")
            )),
            state: Script::new(include_str!("../scripts/presence_state.lua")),
            unleased: Script::new(concat!(
                include_str!("../scripts/leased.lua"),
                include_str!("../scripts/presence_unleased.lua")
            )),
            expire: Script::new(concat!(
                include_str!("../scripts/leased.lua"),
                include_str!("../scripts/presence_expire.lua")
            )),
        }
    }

    /// Makes or renews this node's leases: each a user, the number of connections, and what to
    /// publish when the user was not online.
    pub(super) async fn assert(
        &self,
        link: &Link,
        tenant: &TenantId,
        fence: Fence,
        leases: Vec<(u32, UserAnnouncement)>,
    ) -> Result<LeaseOutcome, LinkError> {
        let keys = [link.keys().leases(tenant, link.node()), link.keys().holders(tenant), link.keys().online(tenant)];
        let mut args = vec![text(link.node()), prefix(link, tenant), number(fence.number), fence.acknowledged()];
        args.push(channel(link, tenant));
        for (n_connections, (user, announcement)) in leases {
            args.extend([user.into(), number(n_connections.into()), bytes(announcement)]);
        }
        let (outcome, _n_came): (String, String) = self.assert.run(link, "say who is connected", &keys, args).await?;
        Ok(LeaseOutcome::read(&outcome))
    }

    /// Has this node's leases held for users that it sent elsewhere, each with the number of connections.
    pub(super) async fn hold(
        &self,
        link: &Link,
        tenant: &TenantId,
        fence: Fence,
        users: &[(UserId, u32)],
    ) -> Result<LeaseOutcome, LinkError> {
        let mut args = vec![number(fence.number), fence.acknowledged()];
        for (user, n_sent_away) in users {
            args.extend([text(user), number(u64::from(*n_sent_away))]);
        }
        let keys = [link.keys().leases(tenant, link.node())];
        let outcome: String = self.hold.run(link, "hold users who were sent elsewhere", &keys, args).await?;
        Ok(LeaseOutcome::read(&outcome))
    }

    /// Ends leases, and publishes for each user who is offline by that.
    pub(super) async fn leave(
        &self,
        link: &Link,
        tenant: &TenantId,
        release: Release<'_>,
        users: Vec<UserAnnouncement>,
    ) -> Result<Released, LinkError> {
        let (node, fence, acknowledged) = match release {
            Release::Own(fence) | Release::Held(fence) => (link.node(), number(fence.number), fence.acknowledged()),
            Release::Lost(node) => (node, "swept".into(), "0".into()),
        };
        let only_held = if matches!(release, Release::Held(_)) { "1" } else { "0" };
        let keys = [link.keys().leases(tenant, node), link.keys().holders(tenant), link.keys().online(tenant)];
        let mut args = vec![text(node), prefix(link, tenant), fence, acknowledged, channel(link, tenant)];
        args.push(only_held.into());
        args.extend(pairs(users));
        let mut answer: Vec<String> = self.leave.run(link, "say who left", &keys, args).await?;
        let gone = answer.split_off(answer.len().min(2));
        let n_remaining = answer.pop().and_then(|n| n.parse().ok()).unwrap_or_default();
        Ok(Released { outcome: LeaseOutcome::read(&answer.pop().unwrap_or_default()), n_remaining, gone })
    }

    /// Whether the user is online, and through whom.
    pub(super) async fn state(&self, link: &Link, user: &UserKey) -> Result<UserState, LinkError> {
        let keys = [link.keys().online(&user.tenant), link.keys().holders(&user.tenant)];
        let args = vec![prefix(link, &user.tenant), text(&user.user)];
        let answer: Vec<String> = self.state.run(link, "read presence", &keys, args).await?;
        let (is_online, holders) = answer.split_first().map_or((false, &[][..]), |(first, rest)| (first == "1", rest));
        // A lease that is held has a negative number.
        let node = |pair: &[String]| Some((NodeId::parse(pair.first()?).ok()?, pair.get(1)?.parse().ok()?));
        Ok(UserState { is_online, holders: holders.chunks(2).filter_map(node).collect() })
    }

    /// Those for whom no node vouches.
    pub(super) async fn unleased(
        &self,
        link: &Link,
        tenant: &TenantId,
        users: &[UserId],
    ) -> Result<Vec<String>, LinkError> {
        let args = std::iter::once(prefix(link, tenant)).chain(users.iter().map(text)).collect();
        self.unleased.run(link, "look for users without a lease", &[link.keys().holders(tenant)], args).await
    }

    /// Makes those of them offline for whom still no node vouches; gives these.
    pub(super) async fn expire(
        &self,
        link: &Link,
        tenant: &TenantId,
        users: Vec<UserAnnouncement>,
    ) -> Result<Vec<String>, LinkError> {
        let keys = [link.keys().online(tenant), link.keys().holders(tenant)];
        let args = [prefix(link, tenant), channel(link, tenant)].into_iter().chain(pairs(users)).collect();
        self.expire.run(link, "end the presence of users without a lease", &keys, args).await
    }
}

impl Fence {
    fn acknowledged(self) -> Value {
        if self.knows_it_was_swept { "1".into() } else { "0".into() }
    }
}

impl LeaseOutcome {
    fn read(word: &str) -> Self {
        match word {
            "fresh" => Self::Fresh,
            "stale" => Self::Stale,
            "swept" => Self::Swept,
            _ => Self::Done,
        }
    }
}

/// What the names of all nodes' leases in a tenant begin with.
fn prefix(link: &Link, tenant: &TenantId) -> Value {
    format!("{}:", link.keys().beside("leases", &link.keys().online(tenant))).into()
}

fn channel(link: &Link, tenant: &TenantId) -> Value {
    link.keys().tenant_channel(tenant).into()
}

fn pairs(users: Vec<UserAnnouncement>) -> impl Iterator<Item = Value> {
    users.into_iter().flat_map(|(user, announcement)| [user.into(), bytes(announcement)])
}

fn text(value: &impl ToString) -> Value {
    value.to_string().into()
}

fn number(value: u64) -> Value {
    value.to_string().into()
}

fn bytes(value: Vec<u8>) -> Value {
    Value::Bytes(value.into())
}
