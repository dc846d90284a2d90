//! Names of keys and channels: the contract's, and those of our own.
//!
//! In a cluster a script may touch one slot only. Keys of our own that belong with a key of the
//! contract carry that whole key in braces, and so land in its slot.

use hookswitch_hub::UserKey;
use hookswitch_protocol::{Category, Event, NodeId, SessionKey, TenantId, Topic};

/// Makes names that begin with the configured prefix.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    prefix: String,
}

/// The channels that belong to one tenant.
const TENANT_CHANNELS: [&str; 5] = ["agents", "calls", "queues", "tenant", "internal"];

impl Keys {
    pub(crate) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    fn name(&self, rest: impl std::fmt::Display) -> String {
        format!("{}:{rest}", self.prefix)
    }

    /// SET of the tenant's online users (contract).
    pub(crate) fn online(&self, tenant: &TenantId) -> String {
        self.name(format_args!("online:{tenant}"))
    }

    /// STRING with the last heartbeat of a user (contract).
    pub(crate) fn presence(&self, tenant: &TenantId, user: &str) -> String {
        self.name(format_args!("presence:{tenant}:{user}"))
    }

    /// LIST of a user's waiting messages, newest first (contract).
    pub(crate) fn offline(&self, user: &UserKey) -> String {
        self.name(format_args!("offline:{}:{}", user.tenant, user.user))
    }

    /// A key of our own in the slot of one of the contract's.
    pub(crate) fn beside(&self, what: &str, contract_key: &str) -> String {
        self.name(format_args!("{what}:{{{contract_key}}}"))
    }

    /// SET of the nodes that hold leases in a tenant.
    pub(crate) fn holders(&self, tenant: &TenantId) -> String {
        self.beside("holders", &self.online(tenant))
    }

    /// HASH of one node's leases in a tenant: user to number of connections.
    pub(crate) fn leases(&self, tenant: &TenantId, node: &NodeId) -> String {
        format!("{}:{node}", self.beside("leases", &self.online(tenant)))
    }

    /// HASH with the last position of a tenant's recent history, and what is held of it.
    pub(crate) fn history_head(&self, tenant: &TenantId) -> String {
        self.beside("history-head", &self.online(tenant))
    }

    /// STREAM of a tenant's last events.
    pub(crate) fn history(&self, tenant: &TenantId) -> String {
        self.beside("history", &self.online(tenant))
    }

    /// ZSET of living nodes by the time until which they count as alive, in milliseconds.
    pub(crate) fn nodes(&self) -> String {
        self.name("nodes")
    }

    /// HASH of the numbers of connections of the nodes, each with the time, in milliseconds.
    pub(crate) fn node_connections(&self) -> String {
        self.name("node-connections")
    }

    /// SET of the tenants in which a node may hold leases.
    pub(crate) fn node_tenants(&self, node: &NodeId) -> String {
        self.name(format_args!("node-tenants:{node}"))
    }

    /// HASH of one public chat session.
    pub(crate) fn chat(&self, key: &SessionKey) -> String {
        self.name(format_args!("chat:{key}"))
    }

    /// STRING with the key of the session that a tenant calls so.
    pub(crate) fn chat_alias(&self, tenant: &TenantId, alias: &SessionKey) -> String {
        self.name(format_args!("chat-alias:{tenant}:{alias}"))
    }

    /// A key, or some, as a log may have them: a visitor's session key is his only credential.
    pub(crate) fn masked(&self, keys: &str) -> String {
        let secret = [self.name("chat:"), self.name("chat-alias:")];
        let mask = |key: &str| {
            let prefix = secret.iter().find(|prefix| key.starts_with(prefix.as_str()));
            prefix.map_or_else(|| key.to_owned(), |prefix| format!("{prefix}***"))
        };
        keys.split(' ').map(mask).collect::<Vec<_>>().join(" ")
    }

    /// HASH that a node writes to see whether a shard takes writes by scripts; gone at once.
    pub(crate) fn check(&self, node: &NodeId, tag: u32) -> String {
        self.name(format_args!("check:{{{tag}}}:{node}"))
    }

    /// STRING with the node that compares a tenant's online users with all leases, for a while.
    pub(crate) fn audit(&self, tenant: &TenantId) -> String {
        self.beside("audit", &self.online(tenant))
    }

    /// STRING with the node that ends a lost node's leases, for a while.
    pub(crate) fn sweep(&self, node: &NodeId) -> String {
        self.name(format_args!("sweep:{node}"))
    }

    /// STRING that tells a store which came back empty from one that did not; in a cluster several, so that each
    /// master has some.
    pub(crate) fn epoch(&self, tag: Option<usize>) -> String {
        match tag {
            None => self.name("epoch"),
            Some(tag) => self.name(format_args!("epoch:{{{tag}}}")),
        }
    }

    /// The main channel, on which foreign programs publish for any tenant (contract).
    pub(crate) fn main_channel(&self) -> String {
        self.name("events")
    }

    /// What the names of custom topics' channels begin with (contract).
    pub(crate) fn topic_prefix(&self) -> String {
        self.name("custom:")
    }

    /// The channel of a custom topic (contract).
    pub(crate) fn topic_channel(&self, topic: &Topic) -> String {
        format!("{}{topic}", self.topic_prefix())
    }

    /// Where a node hears the others' questions, and their answers to its own.
    pub(crate) fn node_channel(&self, node: &NodeId) -> String {
        self.name(format_args!("node:{node}"))
    }

    /// Where a node hears itself.
    pub(crate) fn probe_channel(&self, node: &NodeId) -> String {
        self.name(format_args!("probe:{node}"))
    }

    /// The channel for everything of a tenant that has no other (contract).
    pub(crate) fn tenant_channel(&self, tenant: &TenantId) -> String {
        self.name(format_args!("tenant:{tenant}"))
    }

    /// The channel on which nodes tell each other what is no event.
    pub(crate) fn internal_channel(&self, tenant: &TenantId) -> String {
        self.name(format_args!("internal:{tenant}"))
    }

    /// Every channel that a node listens to while it serves a tenant.
    pub(crate) fn tenant_channels(&self, tenant: &TenantId) -> [String; 5] {
        TENANT_CHANNELS.map(|what| self.name(format_args!("{what}:{tenant}")))
    }

    /// The channel on which an event of ours goes out.
    pub(crate) fn channel_of(&self, event: &Event) -> String {
        if let Some(topic) = &event.topic {
            return self.topic_channel(topic);
        }
        let what = match event.event_type.category() {
            Category::Agent => "agents",
            Category::Call => "calls",
            Category::Queue => "queues",
            Category::Chat | Category::Other => "tenant",
        };
        self.name(format_args!("{what}:{}", event.tenant))
    }

    /// What a channel's name says: which kind it is, and whose.
    pub(crate) fn read_channel<'a>(&self, channel: &'a str) -> Option<Channel<'a>> {
        let rest = channel.strip_prefix(self.prefix.as_str())?.strip_prefix(':')?;
        match rest.split_once(':') {
            None if rest == "events" => Some(Channel::Main),
            Some(("custom", topic)) => Some(Channel::Topic(topic)),
            Some(("internal", tenant)) => Some(Channel::Internal(tenant)),
            Some(("probe", node)) => Some(Channel::Probe(node)),
            Some(("node", node)) => Some(Channel::Node(node)),
            Some(("agents" | "calls" | "queues" | "tenant", tenant)) => Some(Channel::Tenant(tenant)),
            _ => None,
        }
    }
}

/// A channel by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channel<'a> {
    Main,
    Tenant(&'a str),
    Topic(&'a str),
    Internal(&'a str),
    Probe(&'a str),
    Node(&'a str),
}

#[cfg(test)]
mod tests {
    use hookswitch_protocol::UserId;

    use super::*;

    fn tenant() -> TenantId {
        TenantId::parse("tenant-123").expect("legal")
    }

    #[test]
    fn names_are_the_contracts() {
        let keys = Keys::new("callcenter");
        let user = UserKey { tenant: tenant(), user: UserId::from(456) };
        assert_eq!(keys.online(&tenant()), "callcenter:online:tenant-123");
        assert_eq!(keys.presence(&tenant(), "456"), "callcenter:presence:tenant-123:456");
        assert_eq!(keys.offline(&user), "callcenter:offline:tenant-123:456");
        assert_eq!(keys.holders(&tenant()), "callcenter:holders:{callcenter:online:tenant-123}");
        assert_eq!(keys.tenant_channels(&tenant())[1], "callcenter:calls:tenant-123");
    }

    #[test]
    fn a_session_key_is_in_no_log() {
        let keys = Keys::new("callcenter");
        let session = SessionKey::parse("s3cret").expect("legal");
        for key in [keys.chat(&session), keys.chat_alias(&tenant(), &session)] {
            assert!(!keys.masked(&key).contains("s3cret"), "{key}");
        }
        let several = format!("{} {}", keys.nodes(), keys.chat(&session));
        assert_eq!(keys.masked(&several), "callcenter:nodes callcenter:chat:***");
    }

    #[test]
    fn a_channels_name_says_what_it_is() {
        let keys = Keys::new("hub");
        let check = |name: &str, channel: Option<Channel<'_>>| assert_eq!(keys.read_channel(name), channel, "{name}");
        check("hub:events", Some(Channel::Main));
        check("hub:calls:t", Some(Channel::Tenant("t")));
        check("hub:custom:wall:north", Some(Channel::Topic("wall:north")));
        check("hub:node:n1", Some(Channel::Node("n1")));
        check("hub:online:t", None);
        check("other:events", None);
        for channel in keys.tenant_channels(&tenant()) {
            assert!(keys.read_channel(&channel).is_some(), "{channel}");
        }
    }
}
