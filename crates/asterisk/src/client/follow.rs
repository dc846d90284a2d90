//! A PBX followed for as long as somebody listens: connect, sync, read, and again.

use std::time::Duration;

use tokio::{
    sync::mpsc,
    time::{Instant, sleep, sleep_until, timeout},
};

use super::{ClientError, ClientSettings, PbxFacts, lists::Lists, manager_connection::ManagerConnection, wire::action};
use crate::{
    message::Message,
    model::{Model, SourceEvent},
};

/// What whoever follows a PBX is told.
#[derive(Debug)]
pub enum SourceNotice {
    /// Logged in, and what the PBX said of itself. The lists are still to come.
    Connected(PbxFacts),
    /// All lists were taken: the snapshot is whole. Holds the sections of a state sync.
    Synced(serde_json::Map<String, serde_json::Value>, Vec<(String, String)>),
    /// What happened, in order.
    Told(Vec<SourceEvent>),
    /// The connection ended, and is tried again.
    Lost(ClientError),
}

/// Between two looks at what the time alone brings.
const TICK: Duration = Duration::from_millis(100);
/// After the lists, once more: what was being joined in that moment shows in neither bridge.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Follows a PBX until nobody takes notices any more. `clock` gives epoch milliseconds. Reconnects at once after a
/// connection that worked, then after 0.5 to 5 s. To stop, drop the future: what was sent to `notices` is whole.
pub async fn follow(
    settings: &ClientSettings,
    model: &mut Model,
    clock: impl Fn() -> i64 + Send + Sync,
    notices: &mpsc::Sender<SourceNotice>,
) {
    let mut failures = 0_u32;
    loop {
        let mut worked = false;
        let error = match run_connection(settings, model, &clock, notices, &mut worked).await {
            Err(ClientError::Unwanted) => return,
            Err(error) => error,
        };
        failures = if worked { 0 } else { failures + 1 };
        if notices.send(SourceNotice::Lost(error)).await.is_err() {
            return;
        }
        if failures > 0 {
            let longest = (500_u64 << failures.min(4)).min(5_000);
            // Spread, so that two nodes that lost a PBX together do not come back together.
            let pause = 500 + rand::random::<u64>() % (longest - 499);
            sleep(Duration::from_millis(pause)).await;
        }
    }
}

/// Serves one connection; ends with the reason why it ended. `worked` is set once the lists were taken.
pub async fn run_connection(
    settings: &ClientSettings,
    model: &mut Model,
    clock: &(impl Fn() -> i64 + Send + Sync),
    notices: &mpsc::Sender<SourceNotice>,
    worked: &mut bool,
) -> Result<std::convert::Infallible, ClientError> {
    let mut manager = ManagerConnection::open(settings).await?;
    model.set_name(&manager.facts.name);
    tell(notices, SourceNotice::Connected(manager.facts.clone())).await?;
    let stash = std::mem::take(&mut manager.stash);
    let mut connection = FollowedConnection { manager, lists: None, asked: 0, again: None };
    connection.ask_lists(model, clock()).await?;
    for raw in stash {
        FollowedConnection::take_event(&Message::new(&raw), model, clock());
    }
    connection.run(settings, model, clock, notices, worked).await
}

async fn tell(notices: &mpsc::Sender<SourceNotice>, what: SourceNotice) -> Result<(), ClientError> {
    notices.send(what).await.map_err(|_| ClientError::Unwanted)
}

/// A connection that is being read.
struct FollowedConnection {
    manager: ManagerConnection,
    lists: Option<(Lists, Instant)>,
    asked: u64,
    again: Option<Instant>,
}

impl FollowedConnection {
    async fn ask_lists(&mut self, model: &mut Model, now: i64) -> Result<(), ClientError> {
        self.asked += 1;
        let lists = Lists::new(format!("{}{}-", self.manager.nonce, self.asked));
        model.begin_sync(now);
        let actions = lists.actions();
        self.lists = Some((lists, Instant::now()));
        self.manager.wire.send(&actions).await
    }

    async fn run(
        &mut self,
        settings: &ClientSettings,
        model: &mut Model,
        clock: &(impl Fn() -> i64 + Send + Sync),
        notices: &mpsc::Sender<SourceNotice>,
        worked: &mut bool,
    ) -> Result<std::convert::Infallible, ClientError> {
        let mut heard = Instant::now();
        let mut pinged = Instant::now();
        let mut tick = Instant::now() + TICK;
        loop {
            let more = self.read(model, clock());
            if self.lists.as_ref().is_some_and(|(lists, _)| lists.whole()) {
                self.finish(model, clock(), notices).await?;
                *worked = true;
            }
            self.pass_on(model, notices).await?;
            more?;
            tokio::select! {
                biased;
                filled = timeout(settings.ping * 2, self.manager.wire.fill()) => {
                    filled.map_err(|_| ClientError::Late("a sign of life", settings.ping * 2))??;
                    heard = Instant::now();
                }
                () = sleep_until(tick) => {}
            }
            if tick <= Instant::now() {
                tick = Instant::now() + TICK;
                model.tick(clock());
                self.chores(settings, model, clock(), heard, &mut pinged).await?;
            }
        }
    }

    /// Takes every whole message.
    fn read(&mut self, model: &mut Model, now: i64) -> Result<(), ClientError> {
        let mut boot = false;
        while let Some(m) = self.manager.wire.reader.next()? {
            if let Some((lists, _)) = &mut self.lists
                && lists.take(&m)?
            {
                continue;
            }
            match m.event() {
                Some("Shutdown") if m.is_broadcast() => return Err(ClientError::ShuttingDown),
                Some("FullyBooted") if m.is_broadcast() => boot = true,
                Some(event) if mine(&m, event, &self.manager.nonce) => {}
                Some(_) => model.apply(&m, now),
                None => {}
            }
        }
        if boot {
            self.again = Some(Instant::now());
        }
        Ok(())
    }

    fn take_event(m: &Message<'_>, model: &mut Model, now: i64) {
        if m.event() != Some("FullyBooted") {
            model.apply(m, now);
        }
    }

    async fn finish(
        &mut self,
        model: &mut Model,
        now: i64,
        notices: &mpsc::Sender<SourceNotice>,
    ) -> Result<(), ClientError> {
        let Some((lists, _)) = self.lists.take() else { return Ok(()) };
        model.finish_sync(&lists.items, now);
        self.pass_on(model, notices).await?;
        tell(notices, SourceNotice::Synced(model.snapshot(), lists.refused)).await?;
        if self.asked == 1 && model.channels() > 0 {
            self.again = Some(Instant::now() + LOOK_AGAIN);
        }
        Ok(())
    }

    async fn pass_on(&mut self, model: &mut Model, notices: &mpsc::Sender<SourceNotice>) -> Result<(), ClientError> {
        let told = model.take();
        if told.is_empty() { Ok(()) } else { tell(notices, SourceNotice::Told(told)).await }
    }

    async fn chores(
        &mut self,
        settings: &ClientSettings,
        model: &mut Model,
        now: i64,
        heard: Instant,
        pinged: &mut Instant,
    ) -> Result<(), ClientError> {
        if heard.elapsed() >= settings.ping * 2 {
            return Err(ClientError::Late("a sign of life", settings.ping * 2));
        }
        if let Some((_, asked)) = &self.lists
            && asked.elapsed() >= settings.deadline
        {
            return Err(ClientError::Late("the lists", settings.deadline));
        }
        if pinged.elapsed() >= settings.ping {
            *pinged = Instant::now();
            let id = format!("{}ping", self.manager.nonce);
            self.manager.wire.send(&action(&[("Action", "Ping"), ("ActionID", &id)])).await?;
        }
        if self.lists.is_none() && self.again.is_some_and(|again| again <= Instant::now()) {
            self.again = None;
            self.ask_lists(model, now).await?;
        }
        Ok(())
    }
}

/// Whether an event answers something that we asked.
fn mine(m: &Message<'_>, event: &str, nonce: &str) -> bool {
    !matches!(event, "UserEvent" | "OriginateResponse") && m.text("ActionID").starts_with(nonce)
}
