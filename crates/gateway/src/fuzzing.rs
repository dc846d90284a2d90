//! For the fuzz targets alone: what reads strangers' bytes, without any promise to stay.

use crate::publish;
use crate::transports::websocket::{FrameScan, Inflater};

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

/// Inflates a client's compressed messages. Whether they can be is the same however the bytes are cut.
///
/// # Panics
/// When it is not.
pub fn inflate(bytes: &[u8]) {
    let (whole, cut) = (inflated(bytes.chunks(usize::MAX)), inflated(bytes.chunks(7)));
    if let (Some(whole), Some(cut)) = (whole, cut) {
        assert_eq!(whole, cut);
    }
}

/// Whether the bytes can be inflated; `None` where so much comes out that a reader gives up.
fn inflated<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Option<bool> {
    let (mut inflater, mut buffer, mut n_given) = (Inflater::default(), [0; 512], 0);
    for piece in pieces {
        inflater.feed(piece);
        loop {
            match inflater.give(&mut buffer) {
                Ok(0) => break,
                Ok(n) => n_given += n,
                Err(_malformed) => return Some(false),
            }
            if n_given > 1 << 20 {
                return None;
            }
        }
    }
    Some(true)
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
