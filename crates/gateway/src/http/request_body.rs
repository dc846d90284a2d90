//! A request's body as its handler and its answer share it.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use super::BoxError;
use super::read::next_data;

/// Bytes of an unread body that are read and thrown away, so that a caller who sends first and reads
/// later sees the answer instead of a reset connection.
pub(crate) const READ_AWAY_BYTES: u64 = 8 * 1024 * 1024;
/// A body of which nothing more comes for so long is not waited for.
const READ_AWAY_SILENCE: Duration = Duration::from_secs(3);

/// Remembers how far a body was read, by whomever.
#[derive(Debug)]
pub(crate) struct RequestBody<'a, B> {
    body: Pin<&'a mut B>,
    /// The client waits for a `100 Continue`, which the first look at the body sends.
    is_awaiting_go: bool,
    progress: Progress,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Untouched,
    UnderWay,
    Whole,
    Broken,
}

impl<'a, B> RequestBody<'a, B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    /// A body that nobody has looked at; `expects_go` when its request says `Expect: 100-continue`.
    pub(crate) fn new(body: Pin<&'a mut B>, expects_go: bool) -> Self {
        Self { body, is_awaiting_go: expects_go, progress: Progress::Untouched }
    }

    /// Reads what is left and throws it away; whether nothing is left then, so that the connection can be used
    /// again. Ends at a bound of bytes, of silence and of time, and at once where a client that waits for
    /// leave to send can be spared the sending.
    pub(crate) async fn read_away(&mut self, deadline: Instant) -> bool {
        if self.is_end_stream() {
            return true;
        }
        let is_spared = self.is_awaiting_go && self.progress == Progress::Untouched;
        if is_spared || self.progress == Progress::Broken || self.size_hint().lower() > READ_AWAY_BYTES {
            return false;
        }
        let mut n_left = READ_AWAY_BYTES;
        loop {
            let until = deadline.min(Instant::now() + READ_AWAY_SILENCE);
            match tokio::time::timeout_at(until, next_data(Pin::new(&mut *self))).await {
                Ok(Ok(Some(data))) if data.len() as u64 <= n_left => n_left -= data.len() as u64,
                Ok(Ok(None)) => return true,
                _ => return false,
            }
        }
    }
}

impl<B> Body for RequestBody<'_, B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        if matches!(this.progress, Progress::Whole | Progress::Broken) {
            return Poll::Ready(None);
        }
        this.progress = Progress::UnderWay;
        let frame = std::task::ready!(this.body.as_mut().poll_frame(cx));
        this.progress = match &frame {
            None => Progress::Whole,
            Some(Ok(_)) => Progress::UnderWay,
            Some(Err(_)) => Progress::Broken,
        };
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        match self.progress {
            Progress::Whole => true,
            Progress::Broken => false,
            Progress::Untouched | Progress::UnderWay => self.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::pin::pin;

    use futures_util::stream::{self, StreamExt as _};
    use http_body_util::StreamBody;

    use super::*;

    fn pieces(n: usize) -> impl Body<Data = Bytes, Error = Infallible> {
        let piece = || Ok::<_, Infallible>(Frame::data(Bytes::from_static(&[b'x'; 1024])));
        StreamBody::new(stream::iter(std::iter::repeat_with(piece).take(n)))
    }

    async fn is_read_away<B>(body: B, expects_go: bool) -> bool
    where
        B: Body<Data = Bytes, Error = Infallible>,
    {
        let deadline = Instant::now() + Duration::from_secs(30);
        RequestBody::new(pin!(body), expects_go).read_away(deadline).await
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_read_is_read_away_within_bounds() {
        assert!(is_read_away(pieces(0), false).await);
        assert!(is_read_away(pieces(8 * 1024), false).await);
        assert!(!is_read_away(pieces(8 * 1024 + 1), false).await, "too long");
        assert!(!is_read_away(pieces(1), true).await, "the client is spared the sending");
        let begun = stream::iter([Ok(Frame::data(Bytes::from_static(b"x")))]).chain(stream::pending());
        let start = Instant::now();
        assert!(!is_read_away(StreamBody::new(begun), false).await, "the rest never comes");
        assert_eq!(start.elapsed(), READ_AWAY_SILENCE);
    }
}
