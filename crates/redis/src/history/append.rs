//! Appends batches: first with positions that the node has written itself, then with the script's.

use std::ops::RangeInclusive;
use std::sync::Arc;

use fred::error::{Error, ErrorKind};
use fred::types::Value;
use futures_util::future::join_all;
use hookswitch_protocol::TenantId;

use super::Position;
use super::batch::{Batch, Numbering};
use super::connections::Connection;
use super::error::HistoryError;
use super::{HistoryStream, items, text};
use crate::config::Topology;
use crate::link::LinkError;

const OPERATION: &str = "append to recent history";

/// Rounds that others may win before the script numbers the events itself.
const ROUNDS: u32 = 2;

/// Most of one call: it holds Redis up for about two milliseconds.
const CALL_EVENTS: usize = 256;
const CALL_BYTES: usize = 256 * 1024;
const CALL_TENANTS: usize = 64;

/// A tenant's batch, to be appended.
#[derive(Debug, Clone, Copy)]
pub struct AppendRequest<'a> {
    /// Whose events they are.
    pub tenant: &'a TenantId,
    /// The greatest position of the tenant that this node has seen, from anywhere. A history behind it was set back,
    /// and begins a new epoch.
    pub seen: Option<Position>,
    /// The events.
    pub batch: &'a Batch,
}

/// Where the events of a batch are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// Their epoch; one that was not seen before has begun with them, or since.
    pub epoch: u64,
    /// Their offsets, in order.
    pub offsets: RangeInclusive<u64>,
    /// How it went.
    pub way: AppendWay,
    /// Set when they are in the history and Redis refused to publish some: other nodes find them when they compare
    /// heads.
    pub unpublished: Option<PublishRefusal>,
}

/// How a batch came into the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppendWay {
    /// With the positions that this node had written.
    Ready,
    /// With positions that the script has written: others were quicker, or nothing was known of the history.
    Joined,
    /// By an earlier call whose answer was lost.
    Again,
}

/// What Redis says to a message that it did not publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishRefusal {
    /// The channel of the last such message.
    pub channel: String,
    /// The answer.
    pub answer: String,
}

/// A request on its way.
#[derive(Debug, Clone, Copy)]
struct Pending<'a> {
    request: AppendRequest<'a>,
    /// Among all requests.
    place: usize,
    seen: Option<Position>,
    /// Rounds that it may yet lose.
    n_left: u32,
}

/// What one round says of a request.
enum Round {
    Settled(Result<Appended, HistoryError>),
    /// Others have appended: this is the head now.
    Lost(Position),
    /// The script has to begin a new epoch.
    Join,
}

impl<'a> Pending<'a> {
    fn first(request: AppendRequest<'a>, place: usize) -> Self {
        Self { request, place, seen: request.seen, n_left: ROUNDS }
    }

    fn numbering(&self) -> Numbering {
        match self.seen {
            Some(seen) if self.n_left > 0 => Numbering::Ready(seen),
            seen => Numbering::Joined(seen),
        }
    }

    /// The same for the next round.
    fn after(self, round: &Round) -> Self {
        match *round {
            Round::Lost(head) => Self { seen: Some(head), n_left: self.n_left - 1, ..self },
            Round::Join | Round::Settled(_) => Self { n_left: 0, ..self },
        }
    }
}

impl HistoryStream {
    /// Appends one batch: see [`Self::append_all`].
    ///
    /// # Errors
    /// [`HistoryError`].
    pub async fn append(
        &self,
        tenant: &TenantId,
        seen: Option<Position>,
        batch: &Batch,
    ) -> Result<Appended, HistoryError> {
        let mut answers = self.append_all(&[AppendRequest { tenant, seen, batch }]).await;
        answers.pop().expect("an answer for each request")
    }

    /// Appends batches of different tenants, in as few calls as their slots and size allow, and publishes their events.
    /// Gives an answer for each, in order; one tenant's failure is none of the others'.
    ///
    /// At most one batch of a tenant is appended by a node at a time. When the answer is doubtful, or the future is
    /// dropped, the batch may be in the history, or come into it later: the same batch is sent again before the next
    /// one, and gets the positions that it has, whatever was dropped meanwhile. Only where the history was lost or set
    /// back since, it is appended again, in another epoch.
    ///
    /// Takes as long as two commands at most where Redis does not answer.
    pub async fn append_all(&self, requests: &[AppendRequest<'_>]) -> Vec<Result<Appended, HistoryError>> {
        let pending = requests.iter().enumerate();
        let mut pending: Vec<Pending<'_>> = pending.map(|(place, request)| Pending::first(*request, place)).collect();
        let mut answers: Vec<Option<Result<Appended, HistoryError>>> = vec![None; requests.len()];
        while !pending.is_empty() {
            let calls: Vec<_> = self.in_calls(&pending).into_iter().map(|call| self.call(call)).collect();
            let calls = join_all(calls).await;
            let rounds: Vec<Round> = calls.into_iter().flatten().collect();
            let mut lost = Vec::new();
            for (request, round) in pending.into_iter().zip(rounds) {
                let next = request.after(&round);
                match round {
                    Round::Settled(answer) => answers[request.place] = Some(answer),
                    Round::Lost(_) | Round::Join => lost.push(next),
                }
            }
            pending = lost;
        }
        answers.into_iter().map(|answer| answer.expect("every request is settled")).collect()
    }

    /// The requests of each call. In a cluster every tenant has a slot of its own.
    fn in_calls<'a, 'b>(&self, pending: &'b [Pending<'a>]) -> Vec<&'b [Pending<'a>]> {
        if matches!(self.link.config().topology, Topology::Cluster(_)) {
            return pending.chunks(1).collect();
        }
        let (mut calls, mut begin, mut n_events, mut n_bytes) = (Vec::new(), 0, 0, 0);
        for (place, Pending { request, .. }) in pending.iter().enumerate() {
            let (events, bytes) = (request.batch.events().len(), request.batch.n_bytes());
            let is_full = n_events + events > CALL_EVENTS || n_bytes + bytes > CALL_BYTES;
            if place > begin && (is_full || place - begin == CALL_TENANTS) {
                calls.push(&pending[begin..place]);
                (begin, n_events, n_bytes) = (place, 0, 0);
            }
            (n_events, n_bytes) = (n_events + events, n_bytes + bytes);
        }
        calls.push(&pending[begin..]);
        calls
    }

    async fn call(&self, pending: &[Pending<'_>]) -> Vec<Round> {
        let keys: Vec<[String; 2]> = pending.iter().map(|one| self.keys(one.request.tenant)).collect();
        // Tenants of one call that begin an epoch do so at the same time.
        let random = self.random();
        let args = |connection: &Connection| {
            let command = if self.link.config().sharded_pubsub { "SPUBLISH" } else { "PUBLISH" };
            let node = self.link.node().as_str();
            let mut args = vec![node.into(), connection.run_id().into(), command.into()];
            args.extend(self.bounds.arguments());
            for (one, random) in pending.iter().zip(random..) {
                args.extend(one.request.batch.arguments(one.numbering(), random % 1_000, &self.bounds));
            }
            args
        };
        let ran = self.connections.run(&self.append, OPERATION, &keys.concat(), args).await;
        let (said, connection) = match ran {
            Ok(ran) => ran,
            Err(error) => {
                let error = Arc::new(error);
                let fail = |[head, _]: &[String; 2]| Round::Settled(Err(HistoryError::new(OPERATION, head, &error)));
                return keys.iter().map(fail).collect();
            }
        };
        let mut answers = items(said).into_iter();
        let read = |(one, [head, _]): (&Pending<'_>, &[String; 2])| {
            let answer = items(answers.next().unwrap_or(Value::Null));
            self.read_round(one, head, &answer, &connection)
        };
        pending.iter().zip(&keys).map(read).collect()
    }

    fn read_round(&self, one: &Pending<'_>, head: &str, answer: &[Value], connection: &Arc<Connection>) -> Round {
        let word = |place: usize| answer.get(place).and_then(text).unwrap_or_default();
        let number = |place: usize| word(place).parse::<u64>().ok();
        let appended = |way| {
            let (epoch, offsets) = (number(1)?, number(2)?..=number(3)?);
            let (refusal, channel) = (word(4), word(5));
            let unpublished = (!refusal.is_empty()).then(|| {
                self.link.failed("publish an event", &channel, Error::new(ErrorKind::Unknown, refusal.clone()));
                PublishRefusal { channel, answer: refusal }
            });
            Some(Appended { epoch, offsets, way, unpublished })
        };
        let (done, ready) = match (word(0).as_str(), one.numbering()) {
            ("done", Numbering::Ready(_)) => (appended(AppendWay::Ready), true),
            ("done", Numbering::Joined(_)) => (appended(AppendWay::Joined), false),
            ("again", _) => (appended(AppendWay::Again), false),
            (_, numbering) => (None, matches!(numbering, Numbering::Ready(_))),
        };
        match (done, word(0).as_str()) {
            (Some(appended), _) => Round::Settled(Ok(appended)),
            (None, "head") if ready => match number(1).zip(number(2)) {
                Some((epoch, offset)) => Round::Lost(Position { epoch, offset }),
                None => Round::Join,
            },
            (None, "join") if ready => Round::Join,
            (None, "past") => {
                let sequence = one.request.batch.sequence();
                Round::Settled(Err(HistoryError::Past { key: head.to_owned(), sequence }))
            }
            (None, "failed") => Round::Settled(Err(self.refused(word(1), &word(2), connection))),
            (None, _) => {
                let error = Error::new(ErrorKind::Parse, "an answer that no script of ours gives");
                let error = Arc::new(self.link.failed(OPERATION, head, error));
                Round::Settled(Err(HistoryError::new(OPERATION, head, &error)))
            }
        }
    }

    /// One tenant's part of a call failed. A server that has become a replica is left.
    fn refused(&self, answer: String, key: &str, connection: &Arc<Connection>) -> HistoryError {
        if answer.starts_with("READONLY") {
            self.connections.give_up(connection);
        }
        let error: LinkError = self.link.failed(OPERATION, key, Error::new(ErrorKind::Unknown, answer));
        HistoryError::new(OPERATION, key, &Arc::new(error))
    }
}
