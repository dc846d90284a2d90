//! What the hub counts, under its outward names.

use hookswitch_protocol::CloseCode;

hookswitch_runtime::counters! {
    /// What a hub counts from its start on.
    pub struct HubMetrics {
        events: "Events handed to the shards",
        messages_queued: "Messages queued for connections",
        messages_dropped: "Messages dropped, the client not reading",
        messages_replayed: "Messages given from recent history, the client having been behind",
        messages_superseded: "Messages left out for a client that was behind, a newer one saying the same",
        drop_notices: "Connections told of a drop",
        events_overflowed: "Passing events dropped, a mailbox being full",
        publish_refused: "Publishing calls refused as overloaded",
        broker_failures: "Events the broker did not take",
        broker_gaps: "Gaps the broker reported",
        attached: "WebSockets attached",
        detached: "WebSockets gone",
        evened_out as "connections_evened_out": "WebSockets sent to other nodes that have fewer",
        offline_delivered: "Offline messages confirmed",
        offline_given_back: "Offline messages given back",
        offline_set_aside: "Kept messages set aside, their user's client not having survived them",
        messages_lost: "Messages for absent users that no store took in time",
        gap_notices: "Connections told that events of other nodes may be missing",
        jobs_dropped as "errands_dropped": "Notices of other nodes not looked after for want of room",
        presence_left_out: "Changes of presence left out because the user had come and gone before they could be told",
        chat_sessions_refused: "Chat sessions not started, too many being live",
        states_evicted: "Tenants' live states let go of to make room for others'",
        keeper_failures: "Failed calls to a keeper in the background",
    }
    by {
        resumed "outcome" (["recovered", "expired", "epoch", "degraded"].into_iter()):
            "Clients that said where they had been, by what they could be given",
        closed "reason" (CloseCode::ALL.iter().map(|code| code.reason())):
            "WebSockets closed by the server, by reason",
    }
}
