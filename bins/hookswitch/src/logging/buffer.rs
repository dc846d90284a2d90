//! Lines between those who log and the thread that writes.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hookswitch::runtime::metrics::Counter;

/// Bytes that may wait to be written. Further lines are dropped, and counted: whoever logs waits for nobody.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// Bounded by bytes alone, since lines lie back to back.
#[derive(Debug, Default)]
pub(super) struct LineBuffer {
    state: Mutex<State>,
    filled: Condvar,
    emptied: Condvar,
    dropped: Counter,
}

#[derive(Debug, Default)]
struct State {
    bytes: Vec<u8>,
    /// Dropped since the last batch was taken.
    n_dropped: u64,
    /// A batch was taken and is not written yet.
    is_writing: bool,
}

/// What is to be written next.
pub(super) struct LineBatch {
    pub(super) bytes: Vec<u8>,
    /// Lines that should have come behind these.
    pub(super) n_dropped: u64,
}

impl LineBuffer {
    /// Lines dropped since the start.
    pub(super) fn dropped(&self) -> Counter {
        self.dropped.clone()
    }

    /// Adds a line, or drops it where there is no room.
    pub(super) fn push(&self, line: &[u8]) {
        let mut state = self.state();
        if state.bytes.len() + line.len() > MAX_BYTES {
            state.n_dropped += 1;
            self.dropped.inc();
            return;
        }
        state.bytes.extend_from_slice(line);
        self.filled.notify_one();
    }

    /// Waits for lines and takes all there are; then call [`LineBuffer::written`].
    pub(super) fn take(&self) -> LineBatch {
        let waiting = self.filled.wait_while(self.state(), |state| state.bytes.is_empty());
        let mut state = waiting.unwrap_or_else(PoisonError::into_inner);
        state.is_writing = true;
        LineBatch { bytes: std::mem::take(&mut state.bytes), n_dropped: std::mem::take(&mut state.n_dropped) }
    }

    /// The batch that was taken is out.
    pub(super) fn written(&self) {
        self.state().is_writing = false;
        self.emptied.notify_all();
    }

    /// Waits until everything that was added is out, or `deadline` is over.
    pub(super) fn wait_written(&self, deadline: Duration) {
        let has_more = |state: &mut State| state.is_writing || !state.bytes.is_empty();
        drop(self.emptied.wait_timeout_while(self.state(), deadline, has_more));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_out_in_order_and_together() {
        let buffer = LineBuffer::default();
        buffer.push(b"one\n");
        buffer.push(b"two\n");
        let batch = buffer.take();
        assert_eq!((&*batch.bytes, batch.n_dropped), (&b"one\ntwo\n"[..], 0));
    }

    #[test]
    fn what_has_no_room_is_dropped_and_counted() {
        let buffer = LineBuffer::default();
        let line = vec![b'x'; MAX_BYTES / 2 + 1];
        (0..3).for_each(|_| buffer.push(&line));
        assert_eq!(buffer.dropped().get(), 2);
        let batch = buffer.take();
        assert_eq!((batch.bytes.len(), batch.n_dropped), (line.len(), 2));
        buffer.push(&line);
        assert_eq!(buffer.take().n_dropped, 0, "there is room again, and the drops were told");
    }

    #[test]
    fn waiting_ends_when_all_is_out_or_the_time_is_over() {
        let buffer = LineBuffer::default();
        buffer.push(b"one\n");
        buffer.wait_written(Duration::from_millis(1));
        drop(buffer.take());
        buffer.wait_written(Duration::from_millis(1));
        buffer.written();
        buffer.wait_written(Duration::MAX);
    }
}
