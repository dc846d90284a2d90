//! The form that scripted connections read: a kind, a length in three bytes, the content.

use bytes::{BufMut as _, Bytes, BytesMut};
use hookswitch_hub::{Message, WireForm};
use hookswitch_protocol::{CloseCode, Position, Timestamp};

pub(crate) const MESSAGE: u8 = b'm';
pub(crate) const PING: u8 = b'p';
pub(crate) const CLOSE: u8 = b'c';

const HEADER_BYTES: usize = 4;

/// A form whose clients answer pings.
#[derive(Debug)]
pub(crate) struct ScriptedForm;

impl WireForm for ScriptedForm {
    fn name(&self) -> &'static str {
        "scripted"
    }

    fn message(&self, message: Message<'_>, out: &mut BytesMut) {
        put(MESSAGE, &message.parts().concat(), out);
    }

    fn close(&self, code: CloseCode, _now: Timestamp) -> Bytes {
        one(CLOSE, &code.number().to_be_bytes())
    }

    fn ping(&self, _served: Option<Position>) -> Bytes {
        one(PING, b"")
    }

    fn receipt_request(&self, number: u64) -> Option<Bytes> {
        Some(one(PING, &number.to_be_bytes()))
    }
}

/// The number that a ping asks a receipt for, if it asks for one.
pub(crate) fn receipt(ping: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(ping.try_into().ok()?))
}

/// The first frame of these bytes: its kind, its content, its length; `None` when it is not whole.
pub(crate) fn next(bytes: &[u8]) -> Option<(u8, &[u8], usize)> {
    let [kind, a, b, c] = *bytes.first_chunk::<HEADER_BYTES>()?;
    let n_frame = HEADER_BYTES + u32::from_be_bytes([0, a, b, c]) as usize;
    Some((kind, bytes.get(HEADER_BYTES..n_frame)?, n_frame))
}

fn one(kind: u8, content: &[u8]) -> Bytes {
    let mut out = BytesMut::new();
    put(kind, content, &mut out);
    out.freeze()
}

fn put(kind: u8, content: &[u8], out: &mut BytesMut) {
    out.put_u32(u32::from(kind) << 24 | content.len() as u32);
    out.put_slice(content);
}
