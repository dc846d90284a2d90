//! For the fuzz targets alone: what reads strangers' bytes, without any promise to stay.

use crate::publish;
use crate::transports::websocket::FrameScan;

/// Follows a client's frames. However the bytes are cut, the scan says the same of them.
///
/// # Panics
/// When it does not.
pub fn frames(bytes: &[u8]) {
    let (mut whole, mut cut) = (FrameScan::default(), FrameScan::default());
    whole.feed(bytes);
    let mut has_closed = false;
    for byte in bytes {
        cut.feed(std::slice::from_ref(byte));
        assert!(cut.has_closed() || !has_closed, "what went by has gone by");
        has_closed = cut.has_closed();
    }
    assert_eq!((whole.is_at_rest(), whole.has_closed()), (cut.is_at_rest(), has_closed));
}

/// Reads a publishing request. A body that is read holds a single event unless it was a batch.
///
/// # Panics
/// When it does not.
pub fn publish_body(bytes: &[u8]) {
    if let Ok((events, is_batch)) = publish::parse(bytes) {
        assert!(is_batch || events.len() == 1);
    }
}
