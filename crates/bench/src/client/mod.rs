//! The load client: a process of its own, one thread, every socket in one poll loop.

mod counters;
mod crowd;
mod drive;
mod latencies;
mod subscriber;

use std::io::ErrorKind;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use hookswitch_testkit::{Token as AccessToken, proc};
use mio::event::Event;
use mio::{Events, Interest, Poll, Token};
use tokio::time::Instant;

use self::counters::Counters;
use self::crowd::Crowd;
use self::drive::Run;
use self::latencies::Latencies;
use self::subscriber::Subscriber;
use super::message::{EVENT_TYPE, OTHER_TYPE, TENANT};
use super::publisher::Publisher;
use super::spec::{Cluster, Idle, Outcome, Pace, Publishing, Spec, Task, Transport, window};
use super::subject::cpu_times;
use super::ticker::Ticker;
use super::track::Outstanding;

/// Handshakes under way at once while connecting; below every backlog, so that no connect has to be repeated.
const HANDSHAKES_AT_ONCE: usize = 64;
/// Longest wait for a whole crowd to be connected or subscribed.
const CROWD_DEADLINE: Duration = Duration::from_mins(1);
/// After the last expected message: time for what should not come, and for the subject to come to rest.
const SETTLE: Duration = Duration::from_millis(300);
/// Longest sleep in one poll; deadlines are looked at this often.
const TICK: Duration = Duration::from_millis(50);

/// Number of the first publisher's token; far above every subscriber's.
const PUBLISHERS: usize = usize::MAX / 2;
const TIMER: Token = Token(usize::MAX - 2);

/// Runs one task and prints its outcome.
pub(crate) fn run(spec: &str) -> Result<()> {
    let spec: Spec = serde_json::from_str(spec).context("the load client's orders are not readable")?;
    let outcome = match spec.task {
        Task::Fanout { transport, connections, bystanders, pace, phases } => {
            let publishing = Publishing { publishers: 1, batch: 1, window: window(connections), pace };
            let mut client = Client::new(spec, Crowd { transport, publishing, listening: connections, there: None })?;
            Outcome::Fanout(client.gather(bystanders)?.fan_out(phases)?.fanout)
        }
        Task::Cluster { other, here, there, publishing, phases } => {
            let (transport, listening) = (Transport::WebSocket, here + there);
            let crowd = Crowd { transport, publishing, listening, there: Some((there, other)) };
            let mut client = Client::new(spec, crowd)?;
            let Run { fanout, cpu_seconds } = client.gather(0)?.fan_out(phases)?;
            let (there, added) = (client.counters.latencies.there(), client.counters.latencies.added());
            Outcome::Cluster(Cluster { fanout, there, added, cpu_seconds })
        }
        Task::Idle { few, many } => {
            let publishing = Publishing { publishers: 1, batch: 1, window: 1, pace: Pace::Full };
            let crowd = Crowd { transport: Transport::WebSocket, publishing, listening: many, there: None };
            Outcome::Idle(Client::new(spec, crowd)?.idle(few, many)?)
        }
    };
    println!("{}", serde_json::to_string(&outcome)?);
    Ok(())
}

/// All sockets of the run.
struct Client {
    spec: Spec,
    crowd: Crowd,
    poll: Poll,
    events: Events,
    subscribers: Vec<Subscriber>,
    publishers: Vec<Publisher>,
    /// Says when the next event is due; `None` at full speed.
    timer: Option<Ticker>,
    scratch: Vec<u8>,
    counters: Counters,
}

impl Client {
    fn new(spec: Spec, crowd: Crowd) -> Result<Self> {
        let outstanding = Outstanding::new(crowd.publishing.publishers, crowd.listening as u32);
        Ok(Self {
            spec,
            crowd,
            poll: Poll::new()?,
            events: Events::with_capacity(1_024),
            subscribers: Vec::new(),
            publishers: Vec::new(),
            timer: None,
            scratch: vec![0; 256 * 1_024],
            counters: Counters::new(outstanding, Latencies::new(crowd.is_pair())),
        })
    }

    /// Connects and subscribes everybody, some bystanders beside those who listen.
    fn gather(&mut self, bystanders: usize) -> Result<&mut Self> {
        self.connect(self.crowd.listening + bystanders)?;
        self.subscribe_from(0)?;
        Ok(self)
    }

    /// Opens connections until there are `total`, each with a token of its own, and waits for every upgrade.
    fn connect(&mut self, total: usize) -> Result<()> {
        let first = self.subscribers.len();
        let token = |number| AccessToken::new(TENANT, number + 1).sign(&self.spec.secret);
        let tokens: Vec<String> = (first..total).map(token).collect();
        for (number, token) in (first..total).zip(&tokens) {
            let plan = self.crowd.plan(number, self.spec.address);
            let mut subscriber = Subscriber::open(plan, token, self.crowd.publishing.publishers)?;
            self.poll.registry().register(&mut subscriber.stream, Token(number), Interest::READABLE)?;
            self.subscribers.push(subscriber);
            self.wait_until("upgrades", |counters| counters.upgraded + HANDSHAKES_AT_ONCE > number)?;
        }
        self.wait_until("upgrades", |counters| counters.upgraded == total)
    }

    /// Subscribes every connection from number `first` on, and waits for the pongs that prove it.
    fn subscribe_from(&mut self, first: usize) -> Result<()> {
        if self.crowd.transport == Transport::EventStream {
            // Its subscription was in the URL.
            return Ok(());
        }
        let listening = self.crowd.listening;
        for (number, subscriber) in self.subscribers.iter_mut().enumerate().skip(first) {
            subscriber.subscribe(if number < listening { EVENT_TYPE } else { OTHER_TYPE })?;
        }
        let total = self.subscribers.len();
        self.wait_until("answers to subscribe and ping", |counters| counters.pongs == total)
    }

    fn idle(&mut self, few: usize, many: usize) -> Result<Idle> {
        let pid = *self.spec.pids.first().context("nobody is to be measured")?;
        self.connect(few)?;
        self.subscribe_from(0)?;
        self.settle()?;
        let resident_bytes = || proc::resident_bytes(pid).context("the subject is gone");
        let cpu_time = || cpu_times(&[pid]).map(|times| times[0]);
        let (memory, cpu, started) = (resident_bytes()?, cpu_time()?, Instant::now());
        self.connect(many)?;
        let seconds = started.elapsed().as_secs_f64();
        self.settle()?;
        let spent = cpu_time()?.saturating_sub(cpu);
        self.subscribe_from(few)?;
        self.settle()?;
        let added = (many - few) as f64;
        Ok(Idle {
            bytes_per_connection: (resident_bytes()? as f64 - memory as f64) / added,
            cpu_us_per_connect: spent.as_secs_f64() * 1e6 / added,
            connects_per_second: added / seconds,
        })
    }

    /// Keeps reading for a while although nothing is expected.
    fn settle(&mut self) -> Result<()> {
        let started = Instant::now();
        while started.elapsed() < SETTLE {
            self.pump(TICK)?;
        }
        Ok(())
    }

    fn wait_until(&mut self, what: &str, done: impl Fn(&Counters) -> bool) -> Result<()> {
        let started = Instant::now();
        while !done(&self.counters) {
            if started.elapsed() > CROWD_DEADLINE {
                let total = self.subscribers.len();
                let Counters { upgraded, pongs, .. } = &self.counters;
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
            timer.take()?;
        }
        let Self { events, subscribers, publishers, scratch, counters, .. } = self;
        events.iter().try_for_each(|event| dispatch(event, subscribers, publishers, scratch, counters))
    }
}

fn dispatch(
    event: &Event,
    subscribers: &mut [Subscriber],
    publishers: &mut [Publisher],
    scratch: &mut [u8],
    counters: &mut Counters,
) -> Result<()> {
    match event.token() {
        TIMER => Ok(()),
        Token(number) if number >= PUBLISHERS => match publishers.get_mut(number - PUBLISHERS) {
            Some(publisher) => publisher.read(scratch, |_sent_at| ()).and_then(|()| publisher.flush()),
            None => Ok(()),
        },
        Token(number) => match subscribers.get_mut(number) {
            Some(subscriber) => subscriber.read(scratch, counters),
            None => Ok(()),
        },
    }
}
