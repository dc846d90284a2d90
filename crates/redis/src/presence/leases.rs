//! Leases in the slot of a tenant's online set: what the scripts there do and say.

use fred::types::Value;
use hookswitch_hub::UserKey;
use hookswitch_protocol::{NodeId, TenantId, UserId};

use crate::link::{Link, LinkError};
use crate::script::Script;

/// What every lease of one tenant shares the way to.
#[derive(Debug)]
pub(super) struct Leases {
    assert: Script,
    leave: Script,
    state: Script,
    unleased: Script,
    expire: Script,
}

/// What became of a node's call about its own leases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Done,
    /// Done, but nothing of this node was there before.
    Fresh,
    /// Refused: this node has said something newer, on a newer way to Redis.
    Stale,
    /// Refused: other nodes took this one for lost.
    Swept,
}

/// Which of its ways to Redis a node speaks on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Era {
    pub(super) number: u64,
    /// It knows that others took it for lost, and that they told that its users left.
    pub(super) knows_it_was_swept: bool,
}

/// For whom and how leases are ended.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ending<'a> {
    /// This node's own.
    Own(Era),
    /// Those of a node that was lost.
    Lost(&'a NodeId),
}

/// A user, and what to publish about him; empty for nothing.
pub(super) type Told = (String, Vec<u8>);

/// What became of [`Leases::leave`].
#[derive(Debug)]
pub(super) struct Left {
    pub(super) verdict: Verdict,
    /// Users that the node still holds in this tenant.
    pub(super) n_remaining: u64,
    /// Who is offline now.
    pub(super) gone: Vec<String>,
}

/// What the slot knows of one user.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) is_online: bool,
    pub(super) by: Vec<(NodeId, u32)>,
}

impl Leases {
    pub(super) fn new() -> Self {
        Self {
            assert: Script::new(concat!(
                include_str!("../scripts/fence.lua"),
                include_str!("../scripts/presence_assert.lua")
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
        era: Era,
        leases: Vec<(u32, Told)>,
    ) -> Result<Verdict, LinkError> {
        let keys = [link.keys().leases(tenant, link.node()), link.keys().holders(tenant), link.keys().online(tenant)];
        let mut args = vec![text(link.node()), number(era.number), era.acknowledged(), channel(link, tenant)];
        for (n_connections, (user, announcement)) in leases {
            args.extend([user.into(), number(n_connections.into()), bytes(announcement)]);
        }
        let (verdict, _n_came): (String, String) = self.assert.run(link, "say who is connected", &keys, args).await?;
        Ok(Verdict::read(&verdict))
    }

    /// Ends leases, and publishes for each user who is offline by that.
    pub(super) async fn leave(
        &self,
        link: &Link,
        tenant: &TenantId,
        ending: Ending<'_>,
        users: Vec<Told>,
    ) -> Result<Left, LinkError> {
        let (node, era, acknowledged) = match ending {
            Ending::Own(era) => (link.node(), number(era.number), era.acknowledged()),
            Ending::Lost(node) => (node, "swept".into(), "0".into()),
        };
        let keys = [link.keys().leases(tenant, node), link.keys().holders(tenant), link.keys().online(tenant)];
        let mut args = vec![text(node), prefix(link, tenant), era, acknowledged, channel(link, tenant)];
        args.extend(pairs(users));
        let mut said: Vec<String> = self.leave.run(link, "say who left", &keys, args).await?;
        let gone = said.split_off(said.len().min(2));
        let n_remaining = said.pop().and_then(|n| n.parse().ok()).unwrap_or_default();
        Ok(Left { verdict: Verdict::read(&said.pop().unwrap_or_default()), n_remaining, gone })
    }

    /// Whether the user is online, and through whom.
    pub(super) async fn state(&self, link: &Link, user: &UserKey) -> Result<Held, LinkError> {
        let keys = [link.keys().online(&user.tenant), link.keys().holders(&user.tenant)];
        let args = vec![prefix(link, &user.tenant), text(&user.user)];
        let said: Vec<String> = self.state.run(link, "read presence", &keys, args).await?;
        let (is_online, by) = said.split_first().map_or((false, &[][..]), |(first, rest)| (first == "1", rest));
        let node = |pair: &[String]| Some((NodeId::parse(pair.first()?).ok()?, pair.get(1)?.parse().ok()?));
        Ok(Held { is_online, by: by.chunks(2).filter_map(node).collect() })
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
        users: Vec<Told>,
    ) -> Result<Vec<String>, LinkError> {
        let keys = [link.keys().online(tenant), link.keys().holders(tenant)];
        let args = [prefix(link, tenant), channel(link, tenant)].into_iter().chain(pairs(users)).collect();
        self.expire.run(link, "end the presence of users without a lease", &keys, args).await
    }
}

impl Era {
    fn acknowledged(self) -> Value {
        if self.knows_it_was_swept { "1".into() } else { "0".into() }
    }
}

impl Verdict {
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

fn pairs(users: Vec<Told>) -> impl Iterator<Item = Value> {
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
