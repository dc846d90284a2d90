//! The load client: a process of its own, one thread, every socket in one poll loop.

mod drive;
mod publisher;
mod subscriber;
mod tally;

use std::io::ErrorKind;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use mio::event::Event;
use mio::{Events, Interest, Poll, Token};
use nix::sys::timerfd::TimerFd;

use self::publisher::Publisher;
use self::subscriber::Subscriber;
use self::tally::Tally;
use super::message::{EVENT_TYPE, OTHER_TYPE};
use super::procfs::{cpu_time, resident_bytes};
use super::spec::{Idle, Outcome, Spec, Task};
use super::token::mint;
use crate::clock::now;

/// Handshakes under way at once while connecting; below every backlog, so that no connect has to be repeated.
const HANDSHAKES_AT_ONCE: usize = 64;
/// Longest wait for a whole crowd to be connected or subscribed.
const CROWD_DEADLINE: Duration = Duration::from_mins(1);
/// After the last expected message: time for what should not come, and for the subject to come to rest.
const SETTLE: Duration = Duration::from_millis(300);
/// Longest sleep in one poll; deadlines are looked at this often.
const TICK: Duration = Duration::from_millis(50);

const PUBLISHER: Token = Token(usize::MAX - 1);
const TIMER: Token = Token(usize::MAX - 2);

/// Runs one task and prints its outcome.
pub(crate) fn run(spec: &str) -> Result<()> {
    let spec: Spec = serde_json::from_str(spec).context("the load client's orders are not readable")?;
    let outcome = match spec.task {
        Task::Fanout { connections, bystanders, pace, warm_up_ms, measured_ms } => {
            let mut client = Client::new(spec, connections)?;
            client.connect(connections + bystanders)?;
            client.subscribe_from(0)?;
            Outcome::Fanout(client.fan_out(
                pace,
                Duration::from_millis(warm_up_ms),
                Duration::from_millis(measured_ms),
            )?)
        }
        Task::Idle { few, many } => Outcome::Idle(Client::new(spec, many)?.idle(few, many)?),
    };
    println!("{}", serde_json::to_string(&outcome)?);
    Ok(())
}

/// All sockets of the run. The first `listening` subscribers get the events; those after them are bystanders.
struct Client {
    spec: Spec,
    listening: usize,
    poll: Poll,
    events: Events,
    subscribers: Vec<Subscriber>,
    publisher: Option<Publisher>,
    /// Says when the next event is due; `None` at full speed.
    timer: Option<TimerFd>,
    scratch: Vec<u8>,
    tally: Tally,
}

impl Client {
    fn new(spec: Spec, listening: usize) -> Result<Self> {
        Ok(Self {
            spec,
            listening,
            poll: Poll::new()?,
            events: Events::with_capacity(1_024),
            subscribers: Vec::new(),
            publisher: None,
            timer: None,
            scratch: vec![0; 256 * 1_024],
            tally: Tally::new(listening),
        })
    }

    /// Opens connections until there are `total`, each with a token of its own, and waits for every upgrade.
    fn connect(&mut self, total: usize) -> Result<()> {
        let first = self.subscribers.len();
        let tokens: Vec<String> = (first..total).map(|number| mint(&self.spec.secret, number + 1, "agent")).collect();
        for (number, token) in (first..total).zip(&tokens) {
            let mut subscriber = Subscriber::open(self.spec.address, number, token, number >= self.listening)?;
            self.poll.registry().register(&mut subscriber.stream, Token(number), Interest::READABLE)?;
            self.subscribers.push(subscriber);
            self.wait_until("upgrades", |tally| tally.upgraded + HANDSHAKES_AT_ONCE > number)?;
        }
        self.wait_until("upgrades", |tally| tally.upgraded == total)
    }

    /// Subscribes every connection from number `first` on, and waits for the pongs that prove it.
    fn subscribe_from(&mut self, first: usize) -> Result<()> {
        let listening = self.listening;
        for (number, subscriber) in self.subscribers.iter_mut().enumerate().skip(first) {
            subscriber.subscribe(if number < listening { EVENT_TYPE } else { OTHER_TYPE })?;
        }
        let total = self.subscribers.len();
        self.wait_until("answers to subscribe and ping", |tally| tally.pongs == total)
    }

    fn idle(&mut self, few: usize, many: usize) -> Result<Idle> {
        let pid = self.spec.pid;
        self.connect(few)?;
        self.subscribe_from(0)?;
        self.settle()?;
        let (memory, cpu, started) = (resident_bytes(pid)?, cpu_time(pid)?, now());
        self.connect(many)?;
        let seconds = started.elapsed().as_secs_f64();
        self.settle()?;
        let spent = cpu_time(pid)?.saturating_sub(cpu);
        self.subscribe_from(few)?;
        self.settle()?;
        let added = (many - few) as f64;
        Ok(Idle {
            bytes_per_connection: (resident_bytes(pid)? as f64 - memory as f64) / added,
            cpu_us_per_connect: spent.as_secs_f64() * 1e6 / added,
            connects_per_second: added / seconds,
        })
    }

    /// Keeps reading for a while although nothing is expected.
    fn settle(&mut self) -> Result<()> {
        let started = now();
        while started.elapsed() < SETTLE {
            self.pump(TICK)?;
        }
        Ok(())
    }

    fn wait_until(&mut self, what: &str, done: impl Fn(&Tally) -> bool) -> Result<()> {
        let started = now();
        while !done(&self.tally) {
            if started.elapsed() > CROWD_DEADLINE {
                let total = self.subscribers.len();
                let Tally { upgraded, pongs, .. } = &self.tally;
                bail!("waited in vain for {what} ({total} connections, {upgraded} upgraded, {pongs} pongs)");
            }
            self.pump(TICK)?;
        }
        Ok(())
    }

    /// One turn: waits for sockets, at most for `timeout`, and reads them.
    fn pump(&mut self, timeout: Duration) -> Result<()> {
        match self.poll.poll(&mut self.events, Some(timeout)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            polled => polled.context("cannot poll")?,
        }
        if let Some(timer) = self.timer.as_ref().filter(|_| self.events.iter().any(|event| event.token() == TIMER)) {
            // An interval timer goes on only once it has been read.
            timer.wait().context("cannot read the timer")?;
        }
        let Self { events, subscribers, publisher, scratch, tally, .. } = self;
        events.iter().try_for_each(|event| dispatch(event, subscribers, publisher.as_mut(), scratch, tally))
    }
}

fn dispatch(
    event: &Event,
    subscribers: &mut [Subscriber],
    publisher: Option<&mut Publisher>,
    scratch: &mut [u8],
    tally: &mut Tally,
) -> Result<()> {
    match (event.token(), publisher) {
        (TIMER, _) => Ok(()),
        (PUBLISHER, Some(publisher)) => {
            publisher.read(scratch)?;
            publisher.flush()
        }
        (Token(number), _) => match subscribers.get_mut(number) {
            Some(subscriber) => subscriber.read(scratch, tally),
            None => Ok(()),
        },
    }
}
