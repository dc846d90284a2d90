//! The settings of `[history]`: how much of what happened is kept for clients that missed it.

use super::{Kind, Setting, seconds};

pub(crate) const HISTORY_EVENTS: Setting = Setting {
    env: "HISTORY_EVENTS",
    key: "history.events",
    kind: Kind::Number { min: 1, max: 1_000_000 },
    default: "1000",
    doc: "How many of a tenant's last events this node keeps in memory for clients that come back or do not read in \
          time. Types that one must subscribe to by name, such as `presence.changed`, have a quarter of that for \
          themselves. Too few, and a client that was away for a moment in a busy tenant must fetch the present state.",
};

pub(crate) const HISTORY_BYTES: Setting = Setting {
    env: "HISTORY_BYTES",
    key: "history.bytes",
    kind: Kind::Number { min: 1_024, max: 1_073_741_824 },
    default: "1048576",
    doc: "How many bytes these may take, each half a KiB beside its payload; whichever bound is reached first counts.",
};

pub(crate) const HISTORY_AGE: Setting = Setting {
    env: "HISTORY_AGE",
    key: "history.age",
    kind: seconds(1, 86_400),
    default: "10m",
    doc: "How long an event is kept there.",
};

pub(crate) const HISTORY_TOTAL_BYTES: Setting = Setting {
    env: "HISTORY_TOTAL_BYTES",
    key: "history.total_bytes",
    kind: Kind::Number { min: 65_536, max: 1_099_511_627_776 },
    default: "268435456",
    doc: "How many bytes the history of all tenants may take on this node. Beyond it that of the tenant goes first that \
          was not used for longest; its clients that come back are told to fetch the present state.",
};

pub(crate) const HISTORY_URGENT: Setting = Setting {
    env: "HISTORY_URGENT",
    key: "history.urgent",
    kind: Kind::List,
    default: "call.*,notification,alert",
    doc: "Event types, or patterns such as `call.*`, that a client which does not read in time is given before older \
          events of other types.",
};

pub(crate) const HISTORY_LATEST: Setting = Setting {
    env: "HISTORY_LATEST",
    key: "history.latest",
    kind: Kind::List,
    default: "queue.stats,queue.stats.*",
    doc: "Event types of which such a client is given only the newest for each `queue_name`: those that say how something \
          stands, not what has changed.",
};
