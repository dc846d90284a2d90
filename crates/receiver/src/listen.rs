//! Accepting connections until told to stop.

use std::io;
use std::pin::pin;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// How long a failing `accept` waits, for instance for a free descriptor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves connections, each in a task of its own, until `stop` is done; then they may go on for `grace` and are cut off.
///
/// Cancel safety: dropped, it ends all connections at once.
pub async fn listen<F>(
    listener: TcpListener,
    stop: impl Future<Output = ()>,
    grace: Duration,
    connection: impl Fn(TcpStream) -> F,
) where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let mut connections = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    // A peer that went away is told by what it does next, not here.
                    let _nodelay = stream.set_nodelay(true);
                    connections.spawn(connection(stream));
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
            // How a connection ends is the peer's affair, or meant by the script.
            Some(_ended) = connections.join_next() => {}
            () = &mut stop => break,
        }
    }
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    // Those that go on after the grace are cut off when the set is dropped.
    let _cut = tokio::time::timeout(grace, ended).await;
}
