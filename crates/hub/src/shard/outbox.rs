//! A connection's outgoing buffer: runs of shared bytes, written in order.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::Bytes;

/// Frames waiting for one connection.
///
/// Frames that lie back to back in shared memory are one *run*, so that what a burst adds to each
/// of a thousand connections is one reference, and one slice of the write. Control frames that must
/// not wait go in behind the run in progress, never inside it.
#[derive(Debug, Default)]
pub struct Outbox {
    runs: VecDeque<Run>,
    /// Bytes of the first run that are already written.
    n_head_written: u32,
    n_frames: u32,
    n_bytes: usize,
}

/// Consecutive frames within one piece of shared memory.
#[derive(Debug)]
struct Run {
    memory: Bytes,
    start: u32,
    end: u32,
    n_frames: u32,
}

impl Run {
    fn bytes(&self) -> &[u8] {
        &self.memory[self.start as usize..self.end as usize]
    }
}

/// A queue that grew past this many runs gives its memory back once it is empty.
const KEPT_RUNS: usize = 4;

impl Outbox {
    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Frames waiting, the one in progress included.
    pub fn n_frames(&self) -> usize {
        self.n_frames as usize
    }

    /// Bytes waiting.
    pub fn n_bytes(&self) -> usize {
        self.n_bytes
    }

    /// The waiting bytes when they lie in one piece, as they do for a client that keeps up.
    pub fn one_slice(&self) -> Option<&[u8]> {
        if self.runs.len() != 1 {
            return None;
        }
        self.runs.front().map(|run| &run.bytes()[self.n_head_written as usize..])
    }

    /// The waiting bytes, in order, as far as `slices` reaches; how many slices were filled.
    pub fn fill<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut skip = self.n_head_written as usize;
        let mut n_filled = 0;
        for (slice, run) in slices.iter_mut().zip(&self.runs) {
            *slice = IoSlice::new(&run.bytes()[skip..]);
            skip = 0;
            n_filled += 1;
        }
        n_filled
    }

    /// Takes `n_written` bytes, as many as were written, off the front.
    ///
    /// # Panics
    /// When more is taken than waits.
    pub fn advance(&mut self, n_written: usize) {
        self.n_bytes -= n_written;
        let mut left = n_written;
        while let Some(head) = self.runs.front() {
            let n_head = (head.end - head.start - self.n_head_written) as usize;
            if left < n_head {
                self.n_head_written += left as u32;
                return;
            }
            left -= n_head;
            self.n_head_written = 0;
            self.n_frames -= head.n_frames;
            self.runs.pop_front();
        }
        if self.runs.capacity() > KEPT_RUNS {
            self.runs = VecDeque::new();
        }
    }

    /// Appends the frames at `start..end` of `memory`; joins them to the last run where they
    /// continue it.
    pub(crate) fn push_run(&mut self, memory: &Bytes, start: u32, end: u32, n_frames: u32) {
        self.n_frames += n_frames;
        self.n_bytes += (end - start) as usize;
        if let Some(last) = self.runs.back_mut()
            && last.end == start
            && last.memory.as_ptr() == memory.as_ptr()
        {
            last.end = end;
            last.n_frames += n_frames;
            return;
        }
        self.runs.push_back(Run { memory: memory.clone(), start, end, n_frames });
    }

    /// Appends one frame.
    pub(crate) fn push(&mut self, frame: &Bytes) {
        self.push_run(frame, 0, frame.len() as u32, 1);
    }

    /// Inserts one frame behind the run in progress, or in front when none is.
    pub(crate) fn push_urgent(&mut self, frame: Bytes) {
        let at = usize::from(self.n_head_written > 0);
        let end = frame.len() as u32;
        self.n_frames += 1;
        self.n_bytes += frame.len();
        self.runs.insert(at, Run { memory: frame, start: 0, end, n_frames: 1 });
    }

    /// Copies small rests of large shared pieces, so that a connection that does not read pins only
    /// what it waits for.
    pub(crate) fn unpin(&mut self) {
        for run in &mut self.runs {
            let n_bytes = (run.end - run.start) as usize;
            if n_bytes * 2 < run.memory.len() {
                run.memory = Bytes::copy_from_slice(run.bytes());
                run.start = 0;
                run.end = n_bytes as u32;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn drain(outbox: &mut Outbox, step: usize) -> Vec<u8> {
        let mut out = Vec::new();
        while !outbox.is_empty() {
            let mut slices = [IoSlice::new(&[]); 3];
            let n = outbox.fill(&mut slices);
            let bytes: Vec<u8> = slices[..n].iter().flat_map(|s| s.iter().copied()).take(step).collect();
            outbox.advance(bytes.len());
            out.extend(bytes);
        }
        out
    }

    #[test]
    fn neighbours_in_memory_become_one_run() {
        let memory = Bytes::from_static(b"aabbcc");
        let mut outbox = Outbox::default();
        outbox.push_run(&memory, 0, 2, 1);
        outbox.push_run(&memory, 2, 6, 2);
        assert_eq!((outbox.runs.len(), outbox.n_frames()), (1, 3));
        outbox.push_run(&memory, 0, 2, 1);
        assert_eq!((outbox.runs.len(), outbox.n_bytes()), (2, 8));
    }

    #[test]
    fn an_urgent_frame_never_splits_the_run_in_progress() {
        let mut outbox = Outbox::default();
        outbox.push(&Bytes::from_static(b"first"));
        outbox.push(&Bytes::from_static(b"second"));
        outbox.advance(2);
        outbox.push_urgent(Bytes::from_static(b"PONG"));
        assert_eq!(drain(&mut outbox, 100), b"rstPONGsecond");
    }

    proptest! {
        #[test]
        fn every_byte_comes_out_once_and_in_order(
            frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..20),
            step in 1usize..50,
            unpin in any::<bool>(),
        ) {
            let memory = Bytes::from(frames.concat());
            let mut outbox = Outbox::default();
            let mut at = 0;
            for (i, frame) in frames.iter().enumerate() {
                let end = at + frame.len() as u32;
                if i % 3 == 0 { outbox.push(&Bytes::copy_from_slice(frame)); }
                else { outbox.push_run(&memory, at, end, 1); }
                at = end;
            }
            if unpin { outbox.unpin(); }
            prop_assert_eq!(outbox.n_bytes(), memory.len());
            prop_assert_eq!(drain(&mut outbox, step), memory);
            prop_assert_eq!((outbox.n_frames(), outbox.n_bytes()), (0, 0));
        }
    }
}
