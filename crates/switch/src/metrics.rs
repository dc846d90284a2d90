//! What the switchboard counts, under its outward names.

hookswitch_runtime::counters! {
    /// What a switchboard counts from its start on.
    pub struct SwitchMetrics {
        accepted as "events_accepted": "Events accepted, repetitions not counted",
        repeated as "events_repeated": "Events whose id was accepted before",
        live_only as "events_live_only": "Accepted events that touched no store",
        deliveries as "deliveries_stored": "Deliveries to webhooks stored",
        kept_offline: "Messages kept for absent users",
    }
    by {
        refused as "events_refused" "code" ([]): "Publishing calls refused, by code",
    }
}
