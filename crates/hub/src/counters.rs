//! Figures of the hub, for metrics.

use std::sync::atomic::{AtomicU64, Ordering};

use hookswitch_protocol::CloseCode;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Counts since the hub started.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct HubCounters {
            $($(#[$doc])* pub $name: u64,)*
            /// Connections closed by the server, in the order of [`CloseCode::ALL`].
            pub closed: [u64; CloseCode::ALL.len()],
        }

        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $(pub(crate) $name: AtomicU64,)*
            closed: [AtomicU64; CloseCode::ALL.len()],
        }

        impl Counters {
            pub(crate) fn snapshot(&self) -> HubCounters {
                HubCounters {
                    $($name: self.$name.load(Ordering::Relaxed),)*
                    closed: std::array::from_fn(|i| self.closed[i].load(Ordering::Relaxed)),
                }
            }
        }
    };
}

counters! {
    /// Events handed to the shards.
    events,
    /// Messages queued for connections.
    messages_queued,
    /// Messages dropped because a connection did not read fast enough.
    messages_dropped,
    /// Connections that were told of a drop.
    drop_notices,
    /// Events from other nodes, or relays, dropped because a mailbox was full.
    events_overflowed,
    /// Publishing calls refused as overloaded.
    publish_refused,
    /// Events the broker did not take for other nodes.
    broker_failures,
    /// Gaps the broker reported.
    broker_gaps,
    /// Connections attached.
    attached,
    /// Connections gone, for any reason.
    detached,
    /// Offline messages confirmed by their client.
    offline_delivered,
    /// Offline messages given back because the connection ended first.
    offline_given_back,
    /// Backlog notices and missed events of other nodes that were not looked after for want of room.
    errands_dropped,
    /// Messages of accepted events that the store did not take for a minute: lost to their users.
    messages_lost,
    /// Connections told that events of other nodes may be missing.
    gap_notices,
    /// Failed calls to a seam's keeper in the background.
    keeper_failures,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Ordering::Relaxed);
    }

    pub(crate) fn closed(&self, code: CloseCode) {
        if let Some(at) = CloseCode::ALL.iter().position(|c| *c == code) {
            self.closed[at].fetch_add(1, Ordering::Relaxed);
        }
    }
}
