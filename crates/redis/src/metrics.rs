//! What the keepers count, under its outward names.

use hookswitch_runtime::counters;

/// Every label that a failed command can have.
const CLASSES: [&str; 11] = [
    "wrong_type",
    "out_of_memory",
    "no_permission",
    "read_only",
    "too_few_replicas",
    "persistence",
    "cluster_down",
    "authentication",
    "timeout",
    "connection",
    "other",
];

counters! {
    /// What the way to Redis counts, for all keepers.
    pub struct LinkMetrics {
        reconnections as "redis_reconnections": "Connections to Redis given up because nothing came back over them",
    }
    by {
        failed_commands as "redis_failed_commands" "class" (CLASSES): "Commands Redis refused or did not answer, by class",
    }
}

counters! {
    /// What the broker counts.
    pub struct BrokerMetrics {
        sent as "redis_sent": "Messages Redis took for the other nodes",
        dropped as "redis_dropped": "Messages dropped, Redis being away for too long",
        received as "redis_received": "Events of other nodes and programs taken in",
        refused as "redis_refused": "Messages from Redis that were no events",
        too_large as "redis_too_large": "Messages from Redis beyond the size of an event",
        missed as "redis_missed": "Events of other nodes that never came",
        fetched as "redis_fetched": "Events fetched from recent history, having been missed",
        degraded as "redis_degraded": "Events given here without a position, Redis not taking them",
        forgotten as "redis_forgotten": "Messages from Redis forgotten, more coming than this node can handle",
        unsent as "redis_unsent": "Messages for other nodes that still waited when this node ended",
        resubscribed as "redis_resubscribed": "Shard channels of tenants listened to anew, the server having dropped them",
    }
}

counters! {
    /// What the keeper of presence counts.
    pub struct PresenceMetrics {
        restorations as "presence_restorations": "Times all leases were said again",
        reassertions as "presence_reassertions": "Leases said again",
        nodes_swept as "presence_nodes_swept": "Lost nodes whose users were taken offline",
        users_swept as "presence_users_swept": "Users taken offline with a lost node",
        held as "presence_held": "Users held online whom this node sent elsewhere",
        holds_ended as "presence_holds_ended": "Held users taken offline, not having come back in time",
        users_expired as "presence_users_expired": "Users online that no node answered for",
        strays as "presence_strays": "Leases in Redis that differed from this node's",
        departures_dropped as "presence_departures_dropped": "Departures dropped, too many waiting for Redis",
        failures as "presence_failures": "Calls about presence that had to wait",
        audits as "presence_audits": "Tenants whose online users this node compared with all leases",
    }
}

counters! {
    /// What the keeper of messages for absent users counts, of what this node did.
    pub struct OfflineMetrics {
        kept as "offline_kept": "Messages put into Redis for absent users",
        dropped as "offline_dropped": "Messages dropped, too many or too old",
        refused as "offline_refused": "Foreign messages for absent users that were none",
        taken_over as "offline_taken_over": "Claims of lost nodes whose messages wait again",
    }
}

counters! {
    /// What the keeper of chat sessions counts.
    pub struct ChatMetrics {
        restored as "chat_sessions_restored": "Chat sessions put back into a Redis that had lost them",
    }
}

counters! {
    /// What is counted of questions between nodes.
    pub(crate) struct PeerMetrics {
        questions_refused as "redis_questions_refused": "Questions of other nodes not answered, too many asking at once",
    }
}
