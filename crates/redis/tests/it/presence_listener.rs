//! A subscriber of its own, as a dashboard in another language might be: hears every announcement,
//! also from the first moment of a server that comes back.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hookswitch_testkit::{PATIENCE, eventually};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

#[derive(Debug, Default)]
struct Received {
    text: String,
    n_subscribed: usize,
}

/// Listens to everything on one server until dropped; connects again and again.
pub(crate) struct PresenceListener {
    received: Arc<Mutex<Received>>,
    _task: JoinSet<()>,
}

impl PresenceListener {
    /// One that is listening already.
    pub(crate) async fn to(addr: String) -> Self {
        let received = Arc::<Mutex<Received>>::default();
        let mut task = JoinSet::new();
        task.spawn(listen(addr, Arc::clone(&received)));
        let listener = Self { received, _task: task };
        listener.until_subscribed(1).await;
        listener
    }

    /// Waits until it listens for the `n`th time.
    pub(crate) async fn until_subscribed(&self, n: usize) {
        eventually("the listener listens", PATIENCE, async || self.lock().n_subscribed >= n).await;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Received> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every transition so far, in order, as `7 online connected`.
    pub(crate) fn transitions(&self) -> Vec<String> {
        let received = self.lock();
        // A message holds no line break, and a frame that is not complete yet is no JSON.
        let events = received.text.split("\r\n").filter(|line| line.starts_with('{'));
        let events = events.filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let changes = events.filter(|event| event["type"] == "presence.changed");
        let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let told = changes.map(|event| {
            let payload = &event["payload"];
            ["user_id", "state", "cause"].map(|field| word(&payload[field])).join(" ")
        });
        told.collect()
    }

    /// Waits until this was told; gives everything told so far.
    pub(crate) async fn until(&self, transition: &str) -> Vec<String> {
        let is_told = || self.transitions().iter().any(|told| told == transition);
        eventually(&format!("`{transition}` is told"), PATIENCE, async || is_told()).await;
        self.transitions()
    }

    /// The transitions of one user.
    pub(crate) fn of(&self, user: &str) -> Vec<String> {
        let of_user = |told: &String| told.split(' ').next() == Some(user);
        self.transitions().into_iter().filter(of_user).collect()
    }
}

async fn listen(addr: String, received: Arc<Mutex<Received>>) {
    loop {
        // Whatever ends it, it begins again.
        let _ended = listen_once(&addr, &received).await;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn listen_once(addr: &str, received: &Mutex<Received>) -> std::io::Result<()> {
    let mut socket = TcpStream::connect(addr).await?;
    socket.write_all(b"*2\r\n$10\r\nPSUBSCRIBE\r\n$1\r\n*\r\n").await?;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let n = socket.read(&mut buffer).await?;
        if n == 0 {
            return Ok(());
        }
        let mut received = received.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&buffer[..n]);
        received.n_subscribed += usize::from(text.contains("psubscribe"));
        received.text.push_str(&text);
    }
}
