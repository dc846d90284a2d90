//! One thing with [`hub`](super): what there is now, for metrics.

use std::sync::Arc;

use hookswitch_runtime::metrics::{Registry, register_gauge};

use super::Hub;

/// Registers the gauges of a hub.
pub(super) fn register(of: &Hub, registry: &mut Registry) {
    let hub = of.clone();
    register_gauge(registry, "connections", "WebSockets open now", move || hub.n_connections() as u64);
    let (hub, help) = (of.clone(), "WebSockets that the drain has still to close");
    register_gauge(registry, "connections_to_drain", help, move || hub.n_to_drain() as u64);
    let notices = Arc::clone(&of.0.presence_notices);
    let help = "Changes of presence that wait to be told";
    register_gauge(registry, "presence_untold", help, move || notices.n_untold() as u64);
    let sessions = Arc::clone(&of.0.sessions);
    register_gauge(registry, "chat_sessions", "Chat sessions known now", move || sessions.n_known() as u64);
    let delivery = Arc::clone(&of.0.offline_delivery);
    let help = "Bytes for which kept messages on their way hold room";
    register_gauge(registry, "offline_page_bytes", help, move || delivery.page_permits.used());
    let shared = Arc::clone(&of.0.fanout.shared);
    let help = "Bytes of recent events kept for clients that missed them";
    register_gauge(registry, "history_bytes", help, move || shared.history.n_bytes() as u64);
    let shared = Arc::clone(&of.0.fanout.shared);
    let help = "Recent events kept for clients that missed them";
    register_gauge(registry, "history_events", help, move || shared.history.n_events() as u64);
    let shared = Arc::clone(&of.0.fanout.shared);
    let help = "Bytes of live state, over all tenants";
    register_gauge(registry, "state_bytes", help, move || shared.history.n_state_bytes() as u64);
    let shared = Arc::clone(&of.0.fanout.shared);
    let help = "Tenants whose live state is held";
    register_gauge(registry, "state_tenants", help, move || shared.history.n_folds() as u64);
}
