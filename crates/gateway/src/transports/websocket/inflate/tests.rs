//! What compressed messages of clients become, and what is left to the reader to refuse.

use flate2::{Compress, Compression, FlushCompress};
use hookswitch_testkit::{Frame, FrameHead, Opcode};
use proptest::prelude::*;

use super::*;

const RSV1: u8 = 0x40;

fn deflate(bytes: &[u8], flush: FlushCompress) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + 1_024);
    let mut compress = Compress::new(Compression::best(), false);
    compress.compress_vec(bytes, &mut out, flush).expect("it compresses");
    if flush == FlushCompress::Sync {
        assert!(out.ends_with(&TAIL));
        out.truncate(out.len() - TAIL.len());
    }
    out
}

/// A message as a client sends it that compresses, in frames of so many bytes.
fn frames(opcode: Opcode, compressed: &[u8], n_bytes: usize) -> Vec<Vec<u8>> {
    let n_pieces = compressed.len().div_ceil(n_bytes).max(1);
    let piece = |at: usize| {
        let payload = compressed[at * n_bytes..].iter().take(n_bytes).copied().collect::<Vec<u8>>();
        let frame = Frame::new(if at == 0 { opcode } else { Opcode::Continuation }, payload);
        let mut bytes = if at + 1 == n_pieces { frame.masked() } else { frame.unfinished().masked() };
        if at == 0 {
            bytes[0] |= RSV1;
        }
        bytes
    };
    (0..n_pieces).map(piece).collect()
}

/// All that comes out, fed and taken in steps.
fn inflated(inflater: &mut Inflater, bytes: &[u8], step: usize) -> Result<Vec<u8>, Malformed> {
    let (mut out, mut buffer) = (Vec::new(), vec![0; step]);
    for piece in bytes.chunks(step) {
        inflater.feed(piece);
        loop {
            assert!(inflater.output.len() <= PIECE_BYTES + 64, "no more at once than a piece");
            match inflater.give(&mut buffer)? {
                0 => break,
                n => out.extend_from_slice(&buffer[..n]),
            }
        }
        assert!(inflater.is_empty());
    }
    Ok(out)
}

/// The messages and control frames that these frames make.
fn messages(mut bytes: &[u8]) -> Vec<(Opcode, Vec<u8>)> {
    let mut open: Option<(Opcode, Vec<u8>)> = None;
    let mut whole = Vec::new();
    while let Some(head) = FrameHead::parse(bytes) {
        assert_eq!(bytes[0] & 0x70, 0, "nothing marked as compressed");
        let mask = head.mask.expect("as a client's");
        let payload = &bytes[head.head_bytes..head.frame_bytes()];
        let payload: Vec<u8> = payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
        match head.opcode {
            Opcode::Ping | Opcode::Pong | Opcode::Close => whole.push((head.opcode, payload)),
            Opcode::Continuation => open.as_mut().expect("a message to go on with").1.extend(payload),
            opcode => assert_eq!(open.replace((opcode, payload)), None, "one message at a time"),
        }
        if head.is_final && matches!(head.opcode, Opcode::Continuation | Opcode::Text | Opcode::Binary) {
            whole.push(open.take().expect("a message"));
        }
        bytes = &bytes[head.frame_bytes()..];
    }
    assert!(bytes.is_empty() && open.is_none(), "all of it is whole");
    whole
}

fn read(bytes: &[u8]) -> Result<Vec<(Opcode, Vec<u8>)>, Malformed> {
    inflated(&mut Inflater::default(), bytes, 1_024).map(|out| messages(&out))
}

#[test]
fn the_standards_own_examples_are_read() {
    // RFC 7692, section 7.2.3: "Hello" in one frame, in two, uncompressed, and in a last block.
    let hello = [0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00];
    let stored = [0x00, 0x05, 0x00, 0xFA, 0xFF, 0x48, 0x65, 0x6C, 0x6C, 0x6F, 0x00];
    let last = [0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x00];
    let two_blocks = [0xF2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xCA, 0xC9, 0xC9, 0x07, 0x00];
    for (compressed, n_bytes) in
        [(&hello[..], 99), (&hello[..], 3), (&stored[..], 99), (&last[..], 99), (&last[..], 1), (&two_blocks[..], 4)]
    {
        let bytes = frames(Opcode::Text, compressed, n_bytes).concat();
        assert_eq!(read(&bytes), Ok(vec![(Opcode::Text, b"Hello".to_vec())]), "{compressed:?}");
    }
}

#[test]
fn what_is_not_compressed_passes_as_it_is() {
    let mut bytes = Frame::new(Opcode::Text, "plain").masked();
    bytes.extend(Frame::new(Opcode::Text, "a").unfinished().masked());
    bytes.extend(Frame::new(Opcode::Ping, "p").masked());
    bytes.extend(Frame::new(Opcode::Continuation, vec![b'x'; 70_000]).masked());
    bytes.extend(Frame::new(Opcode::Close, "").masked());
    for step in [1, 7, 100_000] {
        assert_eq!(inflated(&mut Inflater::default(), &bytes, step).as_deref(), Ok(&bytes[..]), "{step}");
    }
}

#[test]
fn what_breaks_the_rules_is_left_for_the_reader_to_refuse() {
    let compressed = deflate(b"a message in two pieces", FlushCompress::Sync);
    let pieces = frames(Opcode::Text, &compressed, compressed.len() - 3);
    let marked = |frame: Frame| {
        let mut bytes = frame.masked();
        bytes[0] |= RSV1;
        bytes
    };
    for wrong in [
        marked(Frame::new(Opcode::Continuation, "x")),
        marked(Frame::new(Opcode::Ping, "x")),
        marked(Frame::new(Opcode::Text, "x")),
        Frame::new(Opcode::Text, "x").masked(),
        Frame::new(Opcode::Continuation, "x").unmasked(),
    ] {
        let out = inflated(&mut Inflater::default(), &[&pieces[0][..], &wrong].concat(), 64).expect("it passes");
        assert!(out.ends_with(&wrong), "{wrong:?}");
        assert_eq!(out[0], 1, "after the begin of a message that is not whole");
    }
}

#[test]
fn what_inflates_to_nothing_sensible_is_malformed() {
    for garbage in [&[0xFF; 40][..], &[0x07, 0x07], &[0x01, 0x05, 0x00, 0x00, 0x00]] {
        let bytes = frames(Opcode::Text, garbage, 99).concat();
        assert_eq!(read(&bytes), Err(Malformed), "{garbage:?}");
    }
}

#[test]
fn a_bomb_goes_off_in_small_pieces() {
    let bomb = deflate(&vec![b'x'; 4 * 1024 * 1024], FlushCompress::Sync);
    assert!(bomb.len() < 16 * 1024);
    let bytes = frames(Opcode::Text, &bomb, bomb.len()).concat();
    let mut inflater = Inflater::default();
    inflater.feed(&bytes);
    let (mut n_given, mut buffer) = (0, [0; 1_024]);
    // The reader gives up at its bound.
    while n_given < 600 * 1024 {
        n_given += inflater.give(&mut buffer).expect("it goes on");
        assert!(inflater.output.capacity() <= 4 * PIECE_BYTES, "{}", inflater.output.capacity());
    }
    let unread = inflater.message.map_or(0, |message| message.compressed.len());
    assert!(unread <= PIECE_BYTES, "{unread}");
}

fn any_message() -> impl Strategy<Value = Vec<u8>> {
    let repeated = (prop::collection::vec(any::<u8>(), 1..9), 0usize..5_000).prop_map(|(part, n)| part.repeat(n));
    prop_oneof![repeated, prop::collection::vec(any::<u8>(), 0..2_000)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_message_comes_out_as_it_went_in(
        sent in prop::collection::vec((any_message(), any::<bool>(), any::<bool>(), 1usize..3_000), 1..4),
        step in 1usize..5_000,
    ) {
        let (mut bytes, mut wanted) = (Vec::new(), Vec::new());
        for (message, is_compressed, has_last_block, n_bytes) in sent {
            if is_compressed {
                let flush = if has_last_block { FlushCompress::Finish } else { FlushCompress::Sync };
                let mut compressed = deflate(&message, flush);
                if has_last_block {
                    compressed.push(0);
                }
                let pieces = frames(Opcode::Binary, &compressed, n_bytes);
                let n_pieces = pieces.len();
                for (at, piece) in pieces.into_iter().enumerate() {
                    bytes.extend(piece);
                    if at + 1 < n_pieces && at % 7 == 0 {
                        bytes.extend(Frame::new(Opcode::Ping, "between").masked());
                        wanted.push((Opcode::Ping, b"between".to_vec()));
                    }
                }
            } else {
                bytes.extend(Frame::new(Opcode::Binary, message.clone()).masked());
            }
            wanted.push((Opcode::Binary, message));
        }
        let out = inflated(&mut Inflater::default(), &bytes, step);
        prop_assert_eq!(out.map(|out| messages(&out)), Ok(wanted));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), step in 1usize..100) {
        let mut marked = bytes.clone();
        if let [first, second, ..] = &mut marked[..] {
            *first = 0x41;
            *second |= 0x80;
        }
        for bytes in [bytes, marked] {
            let _either = inflated(&mut Inflater::default(), &bytes, step);
        }
    }
}
