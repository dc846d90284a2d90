//! The hub's settings.

use std::time::Duration;

use crate::connection_caps::ConnectionCaps;
use crate::history::classes::EventClasses;
use crate::history::limits::HistoryLimits;
use crate::live_state::limits::StateLimits;

/// Settings of a hub, each with its default.
#[derive(Debug, Clone)]
pub struct HubConfig {
    /// Threads that own connections; by default one for every two processors, since whatever publishes
    /// and the system's network stack need some too. At least 1, at most 255.
    pub shards: usize,
    /// A tenant's first connections (128) are kept together on one shard, so that an event of a small
    /// tenant wakes one thread and not all of them; further ones go to the shards in turn.
    pub home_connections: usize,
    /// The most connections of one tenant, user and chat session; beyond them new ones are refused.
    pub connection_caps: ConnectionCaps,
    /// Events that may wait in one shard's mailbox (8,192); beyond it publishing waits. At least the
    /// largest batch, 1,000. One tenant may fill a quarter, or one largest batch.
    pub mailbox_events: usize,
    /// How long publishing waits for room before it is refused as overloaded (1 s).
    pub publish_deadline: Duration,
    /// Messages queued per connection (256); beyond it new ones are dropped for that connection,
    /// counted, and told to the client.
    pub outbox_messages: usize,
    /// Bytes queued per connection (4 MiB), with the same consequence.
    pub outbox_bytes: usize,
    /// How much of what happened is kept for connections that missed it.
    pub history: HistoryLimits,
    /// How much live state is held of those tenants whose state is read.
    pub state: StateLimits,
    /// What a client that does not read in time is given first.
    pub event_classes: EventClasses,
    /// How often the server pings (54 s).
    pub ping_interval: Duration,
    /// A connection not heard from for this long is closed with 4408 (60 s).
    pub pong_timeout: Duration,
    /// How long a closing connection may take to drain (5 s), and an accepted upgrade to arrive.
    pub close_timeout: Duration,
    /// Over how long [`Hub::drain`](crate::Hub::drain) spreads the closes (0, which is all at once).
    pub drain_window: Duration,
    /// The same as `close_timeout` once the hub drains (1.5 s): a client that does not read must not take the
    /// time that the node has for its end.
    pub drain_close_timeout: Duration,
    /// How many connections a second this node sends to others at most while it has far more than its share, a
    /// quarter and twenty more (0, which is none).
    pub balance_rate: u32,
    /// How often nodes tell each other how many connections they have (5 s).
    pub balance_interval: Duration,
    /// How long a tenant's events are still listened to after its last connection here has gone (10 s):
    /// longer than another node may take between asking where a user is and sending the event there.
    pub unwatch_after: Duration,
    /// How long a node that has drained still takes in events of other nodes, which may be for users who
    /// were here (0; with other nodes, 1 s).
    pub drain_linger: Duration,
    /// Chat sessions silent for this long are forgotten (24 h).
    pub session_silence: Duration,
    /// Most chat sessions known at once over all tenants (1,000,000); further starts are refused. One tenant
    /// may have as many as are left, so that something is always left for others.
    pub max_sessions: usize,
    /// Most chat sessions of one tenant known at once (250,000); further starts are refused.
    pub max_tenant_sessions: usize,
}

impl HubConfig {
    /// How long a closing connection may take while the hub drains.
    pub(crate) fn last_close_timeout(&self) -> Duration {
        self.close_timeout.min(self.drain_close_timeout)
    }

    /// How long the last closes wait for events that were handed over before.
    pub(crate) fn drain_patience(&self) -> Duration {
        self.last_close_timeout() * 2 / 3
    }
}

impl Default for HubConfig {
    fn default() -> Self {
        Self {
            shards: std::thread::available_parallelism().map_or(1, |n| n.get().div_ceil(2)).min(255),
            home_connections: 128,
            connection_caps: ConnectionCaps::default(),
            mailbox_events: 8_192,
            publish_deadline: Duration::from_secs(1),
            outbox_messages: 256,
            outbox_bytes: 4 * 1024 * 1024,
            history: HistoryLimits::default(),
            state: StateLimits::default(),
            event_classes: EventClasses::default(),
            ping_interval: Duration::from_secs(54),
            pong_timeout: Duration::from_mins(1),
            close_timeout: Duration::from_secs(5),
            drain_window: Duration::ZERO,
            drain_close_timeout: Duration::from_millis(1_500),
            balance_rate: 0,
            balance_interval: Duration::from_secs(5),
            unwatch_after: Duration::from_secs(10),
            drain_linger: Duration::ZERO,
            session_silence: Duration::from_hours(24),
            max_sessions: 1_000_000,
            max_tenant_sessions: 250_000,
        }
    }
}
