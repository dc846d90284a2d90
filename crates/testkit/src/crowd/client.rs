//! One client of a crowd: reads, is cut off, comes back to another node.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::list::List;
use crate::{WsClient, WsRequest};

/// A client and its list.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) addrs: Vec<String>,
    pub(super) token: String,
    pub(super) user: usize,
    /// How long a connection lives on the average.
    pub(super) cut_after: Duration,
    pub(super) list: Arc<Mutex<List>>,
    pub(super) position: String,
    pub(super) stopped: watch::Receiver<bool>,
}

impl Client {
    /// A first connection, which says where the list begins.
    pub(super) async fn first(&mut self) -> WsClient {
        let mut socket = self.connect(0).await;
        let resumed = socket.expect("resumed").await;
        resumed["payload"]["position"].as_str().expect("a position").clone_into(&mut self.position);
        socket
    }

    /// Reads and is cut off until the crowd is stopped; then everything that was on its way is read, too.
    pub(super) async fn run(mut self, mut socket: WsClient) {
        let mut connection = 0;
        while self.read(&mut socket, connection).await.is_continue() {
            drop(socket);
            connection += 1;
            socket = self.connect(connection).await;
        }
        for event in socket.sync().await {
            self.take(&event, connection);
        }
    }

    async fn connect(&mut self, connection: usize) -> WsClient {
        self.list.lock().unwrap_or_else(PoisonError::into_inner).connections = connection + 1;
        // Always another node than the last one.
        let addr = &self.addrs[(self.user + connection) % self.addrs.len()];
        WsRequest::new(addr, &format!("/ws?resume={}", self.position)).bearer(&self.token).open().await
    }

    /// Until it is cut off, closed, or the crowd is stopped, which breaks.
    async fn read(&mut self, socket: &mut WsClient, connection: usize) -> ControlFlow<()> {
        let cut_at = Instant::now() + self.lifetime(connection);
        loop {
            let mut stopped = self.stopped.clone();
            tokio::select! {
                _ = stopped.wait_for(|stopped| *stopped) => return ControlFlow::Break(()),
                () = tokio::time::sleep_until(cut_at) => return ControlFlow::Continue(()),
                event = socket.try_next() => match event {
                    Some(event) => self.take(&event, connection),
                    None => return ControlFlow::Continue(()),
                },
            }
        }
    }

    fn take(&mut self, event: &serde_json::Value, connection: usize) {
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(position) = list.take(event, connection) {
            self.position = position;
        }
    }

    /// Between nothing and twice the average; the same in every run.
    fn lifetime(&self, connection: usize) -> Duration {
        let mut hasher = DefaultHasher::new();
        (self.user, connection).hash(&mut hasher);
        self.cut_after.mul_f64((hasher.finish() % 2_000) as f64 / 1_000.0)
    }
}
