//! What the fuzz target calls.

use crate::{
    identity::Identity,
    model::{ListItems, Model},
    reader::Reader,
};

/// Whatever a PBX sends, in pieces of any size: an error or messages, within the bounds, and what is told of them
/// has ids that fit.
///
/// # Panics
/// Where a promise is broken.
pub fn stream(bytes: &[u8]) {
    let (mut reader, mut model) = (Reader::default(), Model::new("fuzz", Identity::default()));
    let mut lists = ListItems::default();
    let size = bytes.first().map_or(1, |first| usize::from(*first) + 1);
    reader.push(b"Asterisk Call Manager/11.0.0\r\n");
    for (at, piece) in bytes.chunks(size).enumerate() {
        reader.push(piece);
        let now = at as i64 * 7;
        loop {
            match reader.next() {
                Ok(Some(message)) if message.bytes("ActionID").is_some() => lists.add(&message),
                Ok(Some(message)) => model.apply(&message, now),
                Ok(None) => break,
                Err(_) => return,
            }
        }
        if at % 64 == 63 {
            model.begin_sync(now);
            model.finish_sync(&lists, now);
            lists = ListItems::default();
        }
        model.tick(now);
    }
    assert!(model.take().iter().all(|told| told.id.len() <= 64), "ids fit");
}
