//! What tracing writes to.

use std::io;
use std::sync::Arc;

use tracing_subscriber::fmt::MakeWriter;

use super::buffer::LineBuffer;

/// Puts each line into the buffer; never waits.
#[derive(Debug, Clone)]
pub(super) struct BufferedWriter(pub(super) Arc<LineBuffer>);

impl<'a> MakeWriter<'a> for BufferedWriter {
    type Writer = BufferedLine<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        BufferedLine(&self.0)
    }
}

/// One line on its way; tracing writes it whole.
pub(super) struct BufferedLine<'a>(&'a LineBuffer);

impl io::Write for BufferedLine<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.push(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
