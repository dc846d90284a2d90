//! For the fuzz targets alone: what reads strangers' bytes, without any promise to stay.

use std::sync::Arc;

use hookswitch_hub::Publication;
use hookswitch_protocol::{NodeId, TenantId, Timestamp};

use crate::broker::wire::{self, Context};

/// Reads a message as if it stood on each kind of channel. No event leaves its channel's tenant, the quick look at whose
/// event it is agrees with the thorough one, and what was read is written and read again as the same.
///
/// # Panics
/// When one of this is not so.
pub fn message(bytes: &[u8]) {
    let node = NodeId::parse("here").expect("legal");
    let tenant = TenantId::parse("t").expect("legal");
    let now = Timestamp::from_millis(1_761_393_600_123);
    let context = Context { node: &node, tenant: Some(&tenant), topic: None, now, largest: 1024 * 1024 };
    _ = wire::decode_control(bytes, &tenant, &node);
    if let Ok(incoming) = wire::decode_wrapped(bytes, Context { tenant: None, ..context }) {
        assert!(incoming.publisher.is_none(), "a wrapper is a foreign program's");
    }
    let Ok(incoming) = wire::decode(bytes, context) else { return };
    let event = incoming.received.event;
    assert_eq!(event.tenant, tenant);
    if wire::plain_number(wire::split_position(bytes).0, &node).is_some() {
        assert!(incoming.publisher.is_some_and(|(publisher, _)| publisher == node), "plainly ours, and yet another's");
    }
    let written = wire::encode(&Publication::new(Arc::clone(event.event())), &node, 1, true);
    let again = wire::decode(&written, context).expect("what we write, we read");
    assert_eq!(again.received.event, event);
}
