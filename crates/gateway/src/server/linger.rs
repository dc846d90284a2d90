//! The end of a connection that was answered while its client was sending.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::http::READ_AWAY_BYTES;

/// How long a client is read from without a byte.
const SILENCE: Duration = Duration::from_secs(2);
const BYTES: usize = READ_AWAY_BYTES as usize;
const BUFFER_BYTES: usize = 16 * 1024;

/// Says that nothing more comes and reads what the client still sends, so that it finds the answer and no reset.
pub(crate) async fn linger(mut stream: TcpStream) {
    // Already done where the server ended in good order.
    let _done = stream.shutdown().await;
    let (mut buffer, mut n_left) = (vec![0; BUFFER_BYTES], BYTES);
    while let Ok(Ok(n_read @ 1..)) = tokio::time::timeout(SILENCE, stream.read(&mut buffer)).await {
        let Some(left) = n_left.checked_sub(n_read) else { return };
        n_left = left;
    }
}
