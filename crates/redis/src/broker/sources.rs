//! The messages of all connections that listen, as one stream.

use fred::types::Message;
use futures_util::FutureExt as _;
use futures_util::future::select_all;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{broadcast, mpsc};

use super::read_ahead::{Next, ReadAhead};
use crate::link::clients::WAITING_MESSAGES;

/// Connections that may be made before the receiving task has heard of the first.
const WAITING_SOURCES: usize = 1_024;

/// Where a new connection's messages are handed in.
pub(crate) type SourceSender = mpsc::Sender<broadcast::Receiver<Message>>;

/// The connections, each in turn.
#[derive(Debug)]
pub(crate) struct Sources {
    sources: Vec<broadcast::Receiver<Message>>,
    turn: usize,
    added: mpsc::Receiver<broadcast::Receiver<Message>>,
    ahead: ReadAhead,
}

impl Sources {
    /// The first connection's messages, and where those of others are handed in. Messages beyond `largest` bytes are
    /// not held.
    pub(crate) fn new(first: broadcast::Receiver<Message>, largest: usize) -> (SourceSender, Self) {
        let (add, added) = mpsc::channel(WAITING_SOURCES);
        (add, Self { sources: vec![first], turn: 0, added, ahead: ReadAhead::new(largest) })
    }

    /// What is there already.
    pub(crate) fn try_next(&mut self) -> Option<Next> {
        self.ahead.pop().or_else(|| self.take_one())
    }

    /// Takes over what the clients hold by now, who bound it by its number only.
    pub(crate) fn read_ahead(&mut self) {
        // No more than they can hold: somebody has to handle it too.
        for _ in 0..WAITING_MESSAGES {
            let Some(next) = self.take_one() else { return };
            self.ahead.hold(next);
        }
    }

    fn take_one(&mut self) -> Option<Next> {
        for _ in 0..self.sources.len() {
            // Stays with one as long as it has messages: their order is that of the channels.
            let source = self.sources.get_mut(self.turn)?;
            match source.try_recv() {
                Ok(message) => return Some(Next::Message(message)),
                Err(TryRecvError::Lagged(n_messages)) => return Some(Next::Lagged(n_messages)),
                Err(TryRecvError::Empty) => self.pass_turn(),
                Err(TryRecvError::Closed) => self.remove(self.turn),
            }
        }
        None
    }

    /// Waits for what comes next. Cancel safe.
    pub(crate) async fn next(&mut self) -> Next {
        if let Some(next) = self.ahead.pop() {
            return next;
        }
        loop {
            tokio::select! {
                // A connection that is new is not to wait for the next message of another.
                biased;
                added = self.added.recv() => match added {
                    Some(source) => self.sources.push(source),
                    None if self.sources.is_empty() => return Next::Ended,
                    None => if let Some(next) = Self::any(&mut self.sources, &mut self.turn).await { return next },
                },
                next = Self::any(&mut self.sources, &mut self.turn), if !self.sources.is_empty() => {
                    if let Some(next) = next { return next }
                }
            }
        }
    }

    /// The next of any; `None` when a connection ended, which is then forgotten.
    async fn any(sources: &mut Vec<broadcast::Receiver<Message>>, turn: &mut usize) -> Option<Next> {
        let (received, place) = if let [only] = &mut sources[..] {
            (only.recv().await, 0)
        } else {
            let (received, place, _others) = select_all(sources.iter_mut().map(|source| source.recv().boxed())).await;
            (received, place)
        };
        *turn = place;
        match received {
            Ok(message) => Some(Next::Message(message)),
            Err(RecvError::Lagged(n_messages)) => Some(Next::Lagged(n_messages)),
            Err(RecvError::Closed) => {
                sources.remove(place);
                None
            }
        }
    }

    fn pass_turn(&mut self) {
        self.turn = (self.turn + 1) % self.sources.len().max(1);
    }

    fn remove(&mut self, place: usize) {
        self.sources.remove(place);
        self.turn = 0;
    }
}

#[cfg(test)]
mod tests {
    use fred::types::config::Server;
    use fred::types::{MessageKind, Value};

    use super::*;

    fn message(text: &str) -> Message {
        let server = Server::new("127.0.0.1", 6379);
        Message { channel: text.into(), value: Value::Null, kind: MessageKind::Message, server }
    }

    async fn next(sources: &mut Sources) -> String {
        match sources.next().await {
            Next::Message(message) => message.channel.to_string(),
            other => format!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_connection_that_ends_takes_nothing_of_the_others() {
        let (first, received) = broadcast::channel(4);
        let (add, mut sources) = Sources::new(received, 1_000);
        first.send(message("a")).expect("somebody listens");
        let (second, received) = broadcast::channel(4);
        second.send(message("b")).expect("somebody listens");
        add.send(received).await.expect("somebody takes it");
        let mut got = [next(&mut sources).await, next(&mut sources).await];
        got.sort();
        assert_eq!(got, ["a", "b"]);
        drop(first);
        second.send(message("c")).expect("somebody listens");
        assert_eq!(next(&mut sources).await, "c");
        assert!(sources.try_next().is_none());
        for text in ["d", "e"] {
            second.send(message(text)).expect("somebody listens");
        }
        sources.read_ahead();
        second.send(message("f")).expect("somebody listens");
        let got = [next(&mut sources).await, next(&mut sources).await, next(&mut sources).await];
        assert_eq!(got, ["d", "e", "f"], "what was read ahead comes first");
        drop((second, add));
        assert_eq!(next(&mut sources).await, "Ended");
    }
}
