//! Reading a request body: bounded in size and in time.

use std::pin::Pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hookswitch_protocol::ErrorCode;
use hookswitch_runtime::Scope;
use http_body::Body;

use super::{BodyPermit, Problem};

/// The error of a body we know nothing about.
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// How much of a body is taken, and how long is waited for it.
#[derive(Debug, Clone)]
pub(crate) struct ReadLimits {
    pub(crate) max_bytes: usize,
    pub(crate) deadline: Duration,
    /// Once this is to end, what has not arrived a moment later is not waited for.
    pub(crate) within: Scope,
}

/// How long a body may still take once the node ends.
const ENDING_DEADLINE: Duration = Duration::from_secs(1);

/// The whole body, within the limits, read when there is room for it, which is the caller's to keep. One piece is not
/// copied. What a body has beyond them is left in it.
pub(crate) async fn read_body<B>(body: B, limits: ReadLimits, room: &mut BodyPermit) -> Result<Bytes, Problem>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let ReadLimits { max_bytes, deadline, within } = limits;
    let body = std::pin::pin!(body);
    let ended = async {
        within.soft().cancelled().await;
        tokio::time::sleep(ENDING_DEADLINE).await;
    };
    let collected = tokio::select! {
        biased;
        collected = tokio::time::timeout(deadline, collect(body, max_bytes, room)) => collected,
        () = ended => return Err(Problem::draining()),
    };
    match collected {
        Err(_) => Err(Problem::new(ErrorCode::RequestTimeout, "the body took too long to arrive")),
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(CollectError::NoRoom(problem))) => Err(problem),
        Ok(Err(CollectError::TooLarge)) => {
            Err(Problem::new(ErrorCode::TooLarge, format!("the body is larger than {max_bytes} bytes")))
        }
        Ok(Err(CollectError::Broken(error))) => {
            Err(Problem::new(ErrorCode::InvalidJson, format!("the body did not arrive whole: {error}")))
        }
    }
}

enum CollectError {
    TooLarge,
    NoRoom(Problem),
    Broken(BoxError),
}

async fn collect<B>(mut body: Pin<&mut B>, max_bytes: usize, room: &mut BodyPermit) -> Result<Bytes, CollectError>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let announced = body.size_hint().lower();
    if announced > max_bytes as u64 {
        return Err(CollectError::TooLarge);
    }
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    room.announce(announced as usize).await.map_err(CollectError::NoRoom)?;
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(data) = next_data(body.as_mut()).await.map_err(CollectError::Broken)? {
        if first.len() + all.len() + data.len() > max_bytes {
            return Err(CollectError::TooLarge);
        }
        room.grow_to(first.len() + all.len() + data.len()).await.map_err(CollectError::NoRoom)?;
        if first.is_empty() && all.is_empty() {
            first = data;
            continue;
        }
        if all.is_empty() {
            all.reserve(usize::try_from(announced).unwrap_or(0).max(first.len() + data.len()));
            all.extend_from_slice(&std::mem::take(&mut first));
        }
        all.extend_from_slice(&data);
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

/// The next piece of data; trailers are skipped.
pub(super) async fn next_data<B>(mut body: Pin<&mut B>) -> Result<Option<Bytes>, BoxError>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    loop {
        match std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
            None => return Ok(None),
            Some(Err(error)) => return Err(error.into()),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::stream;
    use http_body::Frame;
    use http_body_util::StreamBody;

    use hookswitch_protocol::TenantId;

    use super::*;
    use crate::http::BodyPermits;

    fn limits(max_bytes: usize) -> ReadLimits {
        ReadLimits { max_bytes, deadline: Duration::from_secs(5), within: Scope::root("test") }
    }

    fn room() -> BodyPermit {
        BodyPermits::new(1 << 20).of(&TenantId::parse("t").expect("a tenant"))
    }

    async fn read(pieces: &[&'static str], max_bytes: usize) -> Result<Bytes, Problem> {
        let frames = pieces.iter().map(|piece| Ok::<_, Infallible>(Frame::data(Bytes::from_static(piece.as_bytes()))));
        let body = StreamBody::new(stream::iter(frames.collect::<Vec<_>>()));
        read_body(body, limits(max_bytes), &mut room()).await
    }

    #[tokio::test]
    async fn pieces_are_put_together_up_to_the_limit() {
        assert_eq!(read(&[], 3).await.expect("fits"), "");
        assert_eq!(read(&["abc"], 3).await.expect("fits"), "abc");
        assert_eq!(read(&["a", "b", "c"], 3).await.expect("fits"), "abc");
        assert_eq!(read(&["a", "b", "cd"], 3).await.expect_err("too large").code, ErrorCode::TooLarge);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_ends_is_given_up() {
        let body = StreamBody::new(stream::pending::<Result<Frame<Bytes>, Infallible>>());
        let problem = read_body(body, limits(3), &mut room()).await.expect_err("times out");
        assert_eq!(problem.code, ErrorCode::RequestTimeout);
        let body = StreamBody::new(stream::pending::<Result<Frame<Bytes>, Infallible>>());
        let (limits, start) = (limits(3), tokio::time::Instant::now());
        limits.within.soft().cancel();
        assert_eq!(read_body(body, limits, &mut room()).await.expect_err("the node ends").code, ErrorCode::Draining);
        assert_eq!(start.elapsed(), ENDING_DEADLINE);
    }
}
