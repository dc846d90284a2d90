//! Captures with random damage: nothing crashes, nothing grows beyond its bounds.

use std::io::Read as _;

use flate2::read::GzDecoder;
use hookswitch_asterisk::{Identity, ListItems, Model, ReadLimits, Reader};

const ARCHIVE: &[u8] = include_bytes!("../captures.gz");
const ROUNDS: u64 = 300;
const PIECE: usize = 48 * 1024;

/// A plain generator: the same damage in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }
}

#[test]
fn damage_is_an_error_or_noise_and_never_a_crash() {
    let mut all = Vec::new();
    GzDecoder::new(ARCHIVE).read_to_end(&mut all).expect("the archive is whole");
    let mut dice = Dice(7);
    for round in 0..ROUNDS {
        let from = dice.below(all.len() - PIECE);
        let mut bytes = all[from..from + PIECE].to_vec();
        for _ in 0..dice.below(200) {
            let place = dice.below(bytes.len());
            match dice.below(4) {
                0 => bytes[place] = dice.below(256) as u8,
                1 => bytes[place] = b'\n',
                2 => drop(bytes.drain(place..(place + 40).min(bytes.len()))),
                _ => {
                    let other = dice.below(all.len() - 500);
                    bytes.splice(place..place, all[other..other + 500].iter().copied());
                }
            }
        }
        play(&bytes, round as i64);
    }
}

fn play(bytes: &[u8], seed: i64) {
    let (mut reader, mut model) = (Reader::default(), Model::new("odd", Identity::default()));
    let mut lists = ListItems::default();
    reader.push(b"Asterisk Call Manager/11.0.0\r\n");
    for (at, piece) in bytes.chunks(977).enumerate() {
        let now = at as i64 * 50 + seed;
        reader.push(piece);
        loop {
            match reader.next() {
                Ok(Some(message)) => {
                    lists.add(&message);
                    model.apply(&message, now);
                }
                Ok(None) => break,
                Err(_) => return,
            }
        }
        assert!(reader.pending() <= ReadLimits::default().message + 977, "within the bounds");
        if at % 16 == 15 {
            model.begin_sync(now);
            model.finish_sync(&lists, now);
            lists = ListItems::default();
        }
        model.tick(now);
    }
    assert!(model.take().iter().all(|told| told.id.len() <= 64));
}
