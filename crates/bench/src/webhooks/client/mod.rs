//! The load client of `bench webhooks`: publishes over a few connections, one request on the way on each, as fast as
//! answers and deliveries come back, or by the clock.

mod drive;

use std::io::ErrorKind;
use std::time::Duration;

use anyhow::{Context as _, Result};
use hdrhistogram::Histogram;
use hookswitch_testkit::Token as AccessToken;
use mio::{Events, Poll, Token};

use super::progress::Progress;
use super::spec::{Orders, SILENT_TYPE, Task};
use crate::clock::shared_micros;
use crate::message::TENANT;
use crate::publisher::Publisher;
use crate::spec::{Pace, Publishing, latencies};
use crate::ticker::Ticker;

const TIMER: Token = Token(usize::MAX - 2);
/// Longest sleep in one poll: the window is looked at this often.
const TICK: Duration = Duration::from_millis(2);
/// How a backlog is filled.
const FILLING: Publishing = Publishing { publishers: 2, batch: 1_000, window: usize::MAX, pace: Pace::Full };

/// Does what it is told and prints what came out.
pub(crate) fn run(orders: &str) -> Result<()> {
    let orders: Orders = serde_json::from_str(orders).context("the load client's orders are not readable")?;
    let outcome = match orders.task {
        Task::Deliver { shape, publishing, phases, first } => {
            let mut client = Client::open(orders, publishing, &shape.types(publishing.batch))?;
            (client.first, client.per_event) = (first, u64::from(shape.per_topic));
            serde_json::to_string(&client.deliver(shape, phases)?)
        }
        Task::Fill { events } => {
            let types = vec![SILENT_TYPE.to_owned(); FILLING.batch];
            serde_json::to_string(&Client::open(orders, FILLING, &types)?.fill(events)?)
        }
    };
    println!("{}", outcome?);
    Ok(())
}

struct Client {
    orders: Orders,
    publishing: Publishing,
    poll: Poll,
    events: Events,
    publishers: Vec<Publisher>,
    /// Says when the next event is due; `None` at full speed.
    timer: Option<Ticker>,
    scratch: Vec<u8>,
    progress: Progress,
    /// What the receiver had before.
    received_before: u64,
    /// The number of our first event.
    first: u32,
    published: u32,
    /// Deliveries that one event has.
    per_event: u64,
    answers: Histogram<u64>,
}

impl Client {
    fn open(orders: Orders, publishing: Publishing, types: &[String]) -> Result<Self> {
        let (poll, progress) = (Poll::new()?, Progress::watch(orders.receiver)?);
        let token = AccessToken::service(TENANT).sign(&orders.secret);
        let types: Vec<&str> = types.iter().map(String::as_str).collect();
        let mut publishers = Vec::new();
        for number in 0..publishing.publishers as usize {
            let mut publisher = Publisher::open(orders.server, &token, &types)?;
            publisher.register(poll.registry(), Token(number))?;
            publishers.push(publisher);
        }
        Ok(Self {
            received_before: progress.received()?,
            orders,
            publishing,
            poll,
            events: Events::with_capacity(64),
            publishers,
            timer: None,
            scratch: vec![0; 64 * 1_024],
            progress,
            first: 0,
            published: 0,
            per_event: 0,
            answers: latencies(),
        })
    }

    /// Deliveries that have not arrived.
    fn outstanding(&self) -> Result<u64> {
        let received = self.progress.received()? - self.received_before;
        Ok((u64::from(self.published) * self.per_event).saturating_sub(received))
    }

    fn unanswered(&self) -> usize {
        self.publishers.iter().map(Publisher::unanswered).sum()
    }

    /// Publishes a batch where the fewest answers are awaited; at full speed only where none is.
    fn publish(&mut self, is_full_speed: bool) -> Result<bool> {
        let Self { publishers, published, first, .. } = self;
        let free = publishers.iter_mut().min_by_key(|one| one.unanswered());
        let Some(publisher) = free.filter(|one| !is_full_speed || one.unanswered() == 0) else { return Ok(false) };
        publisher.queue(shared_micros(), || {
            *published += 1;
            *first + *published - 1
        });
        publisher.flush().map(|()| true)
    }

    /// One turn: waits for sockets or the timer, and takes answers.
    fn pump(&mut self) -> Result<()> {
        match self.poll.poll(&mut self.events, Some(TICK)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            polled => polled.context("cannot poll")?,
        }
        let Self { events, publishers, timer, scratch, answers, .. } = self;
        for event in events.iter() {
            if let (TIMER, Some(timer)) = (event.token(), &timer) {
                timer.take()?;
            }
            if let Some(publisher) = publishers.get_mut(event.token().0) {
                let read_at = shared_micros();
                publisher
                    .read(scratch, |sent_at| answers.saturating_record(read_at.saturating_sub(sent_at) * 1_000))?;
                publisher.flush()?;
            }
        }
        Ok(())
    }
}
