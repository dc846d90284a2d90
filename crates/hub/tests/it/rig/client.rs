//! The far end of a scripted connection.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use hookswitch_hub::ConnectionHandle;
use hookswitch_protocol::{ConnectionId, Position, SubscriptionName};
use hookswitch_testkit::PATIENCE;
use tokio::sync::{mpsc, oneshot};

use super::events::name;
use super::form;
use super::transport::{FarEnd, Ticket, Wire, answer};

/// One frame the client got.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Frame {
    /// An event: its type and id.
    Event(String, String),
    /// A change of presence, as the hub tells it: who and what.
    Presence(String),
    /// An error: its code, and how many were dropped where it says.
    Error(String, Option<u64>),
    /// An answer that is not an error.
    Other(String),
    Ping(Vec<u8>),
    /// It is about to be closed, and to come back after so many milliseconds.
    Reconnect(u64),
    Close(u16),
}

/// A shard that stands still.
pub(crate) struct Hold {
    _hold: std::sync::mpsc::Sender<()>,
}

pub(crate) struct Client {
    pub(crate) id: ConnectionId,
    far_end: Arc<FarEnd>,
    acts: mpsc::Sender<super::transport::Act>,
    /// Bytes looked at.
    n_read: usize,
    /// The position of the last message looked at that had one.
    pub(crate) position: Option<Position>,
}

impl Client {
    pub(crate) fn pair(id: ConnectionId, flushes: Arc<AtomicUsize>) -> (Ticket, Self) {
        let (acts, inbox) = mpsc::channel(64);
        let far_end: Arc<FarEnd> = Arc::default();
        let ticket = Ticket { far_end: Arc::clone(&far_end), acts: inbox, flushes };
        (ticket, Self { id, far_end, acts, n_read: 0, position: None })
    }

    /// Does something on the shard's thread, as the connection's reader would.
    ///
    /// # Panics
    /// When the connection is gone.
    pub(crate) async fn call<T: Send + 'static>(&self, act: impl FnOnce(&ConnectionHandle) -> T + Send + 'static) -> T {
        let (reply, answer) = oneshot::channel();
        let act = move |handle: &ConnectionHandle| _ = reply.send(act(handle));
        self.acts.send(Box::new(act)).await.expect("the connection is there");
        tokio::time::timeout(PATIENCE, answer).await.expect("the shard answers").expect("the connection is there")
    }

    /// The same without waiting for it to be done.
    pub(crate) async fn tell(&self, act: impl FnOnce(&ConnectionHandle) + Send + 'static) {
        self.acts.send(Box::new(act)).await.expect("the connection is there");
    }

    /// The socket ends.
    pub(crate) async fn leave(&self) {
        self.tell(ConnectionHandle::gone).await;
    }

    /// Keeps this connection's shard from doing anything until the hold is dropped.
    pub(crate) async fn hold_shard(&self) -> Hold {
        let (hold, released) = std::sync::mpsc::channel();
        let (entered, is_held) = oneshot::channel();
        let act = move |_: &ConnectionHandle| {
            _ = entered.send(());
            // Until the sender is dropped, or the test is long over.
            _ = released.recv_timeout(PATIENCE);
        };
        self.acts.send(Box::new(act)).await.expect("the connection is there");
        is_held.await.expect("the shard is held");
        Hold { _hold: hold }
    }

    pub(crate) async fn subscribe(&self, names: &[&str]) {
        let names: Vec<SubscriptionName> = names.iter().map(|text| name(text)).collect();
        self.call(move |handle| handle.subscribe(&names)).await.expect("not too many");
    }

    pub(crate) async fn unsubscribe(&self, names: &[&str]) {
        let names: Vec<SubscriptionName> = names.iter().map(|text| name(text)).collect();
        self.call(move |handle| handle.unsubscribe(&names)).await;
    }

    /// Sends an answer with this text, as the gateway does.
    pub(crate) async fn answer(&self, text: &str) {
        let message = format!("{{\"type\":\"pong\",\"payload\":{{\"text\":\"{text}\"}}}}");
        self.call(move |handle| handle.send(message.as_bytes())).await;
    }

    pub(crate) async fn pong(&self, payload: &[u8]) {
        let payload = payload.to_vec();
        self.call(move |handle| answer(handle, &payload)).await;
    }

    pub(crate) fn wire<T>(&self, look: impl FnOnce(&mut Wire) -> T) -> T {
        look(&mut self.far_end.wire())
    }

    /// From now on the socket takes `n_bytes` more.
    pub(crate) fn stall_after(&self, n_bytes: usize) {
        self.wire(|wire| wire.room = Some(n_bytes));
    }

    /// The socket takes `room` bytes from now on, and says so where it was blocked; returns when
    /// the shard has written.
    pub(crate) async fn resume(&self, room: Option<usize>) {
        let (was_blocked, n_before) = self.wire(|wire| {
            wire.room = room;
            (std::mem::take(&mut wire.is_blocked), wire.n_flushes)
        });
        if was_blocked {
            self.tell(ConnectionHandle::writable).await;
            self.until_wire("the shard writes", |wire| wire.n_flushes > n_before).await;
        }
        self.turn_over().await;
    }

    /// Waits until the shard's turn is over, or the connection.
    pub(crate) async fn turn_over(&self) {
        let (reply, answer) = oneshot::channel();
        if self.acts.send(Box::new(move |_| _ = reply.send(()))).await.is_ok() {
            // Dropped unanswered when the connection is over.
            _ = tokio::time::timeout(PATIENCE, answer).await.expect("the shard goes on");
        }
    }

    /// Frames got since last asked. A frame cut in the middle waits for the next time.
    pub(crate) fn frames(&mut self) -> Vec<Frame> {
        let far_end = Arc::clone(&self.far_end);
        let wire = far_end.wire();
        let mut frames = Vec::new();
        while let Some((kind, content, n_frame)) = form::next(&wire.bytes[self.n_read..]) {
            if kind == form::MESSAGE {
                self.position = position(content).or(self.position);
            }
            frames.push(read(kind, content));
            self.n_read += n_frame;
        }
        frames
    }

    /// The ids of the events got since last asked, the hub's own left out; errors by their code.
    pub(crate) fn ids(&mut self) -> Vec<String> {
        let said = |frame| match frame {
            Frame::Event(_, id) => Some(id),
            Frame::Error(code, n) => Some(n.map_or(code.clone(), |n| format!("{code} {n}"))),
            Frame::Other(text) => Some(text),
            Frame::Ping(_) | Frame::Presence(_) | Frame::Reconnect(_) => None,
            Frame::Close(code) => Some(format!("close {code}")),
        };
        self.frames().into_iter().filter_map(said).collect()
    }

    /// The changes of presence got since last asked.
    pub(crate) fn changes(&mut self) -> Vec<String> {
        let change = |frame| if let Frame::Presence(change) = frame { Some(change) } else { None };
        self.frames().into_iter().filter_map(change).collect()
    }

    /// Waits for the event with this id; gives what came up to then.
    pub(crate) async fn until(&mut self, id: &str) -> Vec<String> {
        let mut got = Vec::new();
        self.until_some(&format!("event {id} arrives"), |client| {
            got.extend(client.ids());
            got.iter().any(|got| got == id).then_some(())
        })
        .await;
        got
    }

    /// Looks again whenever something was written, until it finds.
    pub(crate) async fn until_some<T>(&mut self, what: &str, mut look: impl FnMut(&mut Self) -> Option<T>) -> T {
        let far_end = Arc::clone(&self.far_end);
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let changed = far_end.changed.notified();
            if let Some(found) = look(self) {
                return found;
            }
            let in_time = tokio::time::timeout_at(deadline, changed).await;
            assert!(in_time.is_ok(), "{}: not in time: {what}", self.id);
        }
    }

    pub(crate) async fn until_wire(&self, what: &str, holds: impl Fn(&Wire) -> bool) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let changed = self.far_end.changed.notified();
            if self.wire(|wire| holds(wire)) {
                return;
            }
            let in_time = tokio::time::timeout_at(deadline, changed).await;
            assert!(in_time.is_ok(), "{}: not in time: {what}", self.id);
        }
    }

    /// Waits for the hub to close the connection; gives the code.
    pub(crate) async fn closed(&mut self) -> u16 {
        self.until_some("the connection is closed", |client| {
            client.frames().into_iter().find_map(|frame| if let Frame::Close(code) = frame { Some(code) } else { None })
        })
        .await
    }

    /// Waits for a ping of the hub; gives its payload.
    pub(crate) async fn pinged(&mut self) -> Vec<u8> {
        self.until_some("the hub pings", |client| {
            client
                .frames()
                .into_iter()
                .find_map(|frame| if let Frame::Ping(bytes) = frame { Some(bytes) } else { None })
        })
        .await
    }
}

/// The message's position; that of the answer to a resume stands in its payload.
fn position(text: &[u8]) -> Option<Position> {
    let message: serde_json::Value = serde_json::from_slice(text).expect("one JSON object per frame");
    let position = message.get("position").or_else(|| message["payload"].get("position"))?;
    Some(position.as_str()?.parse().expect("a position"))
}

fn read(kind: u8, content: &[u8]) -> Frame {
    match kind {
        form::CLOSE => Frame::Close(u16::from_be_bytes([content[0], content[1]])),
        form::PING => Frame::Ping(content.to_vec()),
        _ => read_text(content),
    }
}

fn read_text(text: &[u8]) -> Frame {
    let message: serde_json::Value = serde_json::from_slice(text).expect("one JSON object per frame");
    let field = |name: &str| message[name].as_str().unwrap_or_default().to_owned();
    let payload = &message["payload"];
    match (field("type").as_str(), message.get("id")) {
        ("error", _) => {
            Frame::Error(payload["code"].as_str().unwrap_or_default().to_owned(), payload["dropped"].as_u64())
        }
        ("resumed", _) => {
            let outcome = payload["reason"].as_str().unwrap_or("recovered");
            assert_eq!(payload["recovered"], payload.get("reason").is_none(), "{message}");
            Frame::Other(format!("resumed {outcome} {}", payload["replayed"]))
        }
        // The hub makes ids; tests choose theirs, and short.
        ("presence.changed", Some(_)) if field("id").len() == 36 => Frame::Presence(format!(
            "{} {} {}",
            payload["user_id"],
            payload["state"].as_str().unwrap_or_default(),
            payload["cause"].as_str().unwrap_or_default()
        )),
        ("reconnect", None) => Frame::Reconnect(payload["after_ms"].as_u64().expect("a number")),
        (kind, Some(_)) => Frame::Event(kind.to_owned(), field("id")),
        _ => Frame::Other(payload["text"].as_str().unwrap_or_default().to_owned()),
    }
}
