//! From what a PBX told to accepted events.

use std::time::Duration;

use hookswitch::protocol::{EventId, EventType, NewEvent, Payload, TenantId, limits};
use hookswitch::{AcceptError, Switch};
use hookswitch_asterisk::{ClientError, SourceEvent, SourceNotice};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

use crate::config;

/// A shorter outage is not told.
const LOST_AFTER: Duration = Duration::from_secs(30);
/// Between two attempts to publish what could not be accepted.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// So many attempts are made; the next sync corrects what was not told.
const ATTEMPTS: u32 = 60;

/// Publishes one PBX's notices for its tenant.
pub(super) struct Publisher {
    switch: Switch,
    tenant: TenantId,
    address: String,
    name: String,
    alerts: bool,
    lost: Option<Instant>,
    told_lost: bool,
}

impl Publisher {
    pub(super) fn new(switch: Switch, source: &config::Asterisk) -> Self {
        Self {
            switch,
            tenant: source.tenant.clone(),
            address: source.address.clone(),
            name: source.name.clone().unwrap_or_else(|| source.address.clone()),
            alerts: source.alert,
            lost: Some(Instant::now()),
            told_lost: false,
        }
    }

    /// Takes notices until nobody sends any more.
    pub(super) async fn run(mut self, mut notices: mpsc::Receiver<SourceNotice>) {
        loop {
            let due = self.lost.filter(|_| !self.told_lost).map(|since| since + LOST_AFTER);
            let overdue = async {
                match due {
                    Some(due) => sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                item = notices.recv() => match item {
                    Some(item) => self.take(item).await,
                    None => return,
                },
                () = overdue => self.tell_lost().await,
            }
        }
    }

    async fn take(&mut self, item: SourceNotice) {
        match item {
            SourceNotice::Told(told) => self.publish(told).await,
            SourceNotice::Connected(facts) => {
                self.name.clone_from(&facts.name);
                tracing::info!(
                    address = self.address,
                    name = facts.name,
                    version = facts.version,
                    filtered = facts.filtered,
                    "logged in to the PBX"
                );
            }
            SourceNotice::Synced(sections, refused) => self.synced(&sections, &refused).await,
            SourceNotice::Lost(error) => self.connection_ended(&error),
        }
    }

    /// The whole snapshot of the PBX: here a state sync takes it over.
    async fn synced(&mut self, sections: &Map<String, Value>, refused: &[(String, String)]) {
        let entries = |section: &str| sections.get(section).and_then(Value::as_object).map_or(0, Map::len);
        tracing::info!(
            address = self.address,
            calls = entries("calls"),
            waiting = entries("waiting"),
            members = entries("members"),
            "the PBX's state was taken"
        );
        for (list, why) in refused {
            tracing::warn!(address = self.address, list, why, "the PBX refused a list; see docs/asterisk.md");
        }
        self.lost = None;
        if std::mem::take(&mut self.told_lost) {
            self.broadcast(EventType::SOURCE_BACK, json!({ "source": self.source() })).await;
        }
    }

    fn connection_ended(&mut self, error: &ClientError) {
        tracing::warn!(address = self.address, %error, "the PBX cannot be read; it is tried again");
        self.lost.get_or_insert_with(Instant::now);
    }

    async fn tell_lost(&mut self) {
        self.told_lost = true;
        let source = self.source();
        self.broadcast(EventType::SOURCE_LOST, json!({ "source": source })).await;
        if self.alerts {
            let title = format!("the PBX {source} cannot be reached");
            let payload = json!({ "level": "warning", "title": title, "message": title, "source": source });
            let Ok(payload) = Payload::from_serialize(&payload) else { return };
            self.accept(vec![NewEvent::new(EventType::ALERT, payload)]).await;
        }
    }

    /// The PBX's name as the state has it.
    fn source(&self) -> String {
        let fits = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '.' | '-');
        self.name.chars().map(|letter| if fits(letter) { letter } else { '_' }).take(64).collect()
    }

    async fn broadcast(&self, event_type: EventType, payload: Value) {
        let Ok(payload) = Payload::from_serialize(&payload) else { return };
        let event = NewEvent::new(event_type, payload);
        if let Err(error) = self.switch.switchboard().broadcast(&self.tenant, event).await {
            tracing::warn!(address = self.address, %error, "who listens could not be told of the PBX");
        }
    }

    async fn publish(&self, told: Vec<SourceEvent>) {
        let mut events = told.iter().filter_map(event).peekable();
        while events.peek().is_some() {
            let batch = events.by_ref().take(limits::EVENTS_PER_REQUEST).collect();
            self.accept(batch).await;
        }
    }

    /// Publishes a batch. What another bridge, or this one before, has published already is done.
    async fn accept(&self, mut batch: Vec<NewEvent>) {
        let mut wait = RETRY.0;
        for _ in 0..ATTEMPTS {
            let error = match self.switch.switchboard().accept(&self.tenant, batch.clone()).await {
                Ok(_) | Err(AcceptError::Stopping) => return,
                Err(error) => error,
            };
            match error {
                AcceptError::IdConflict { index, .. } => drop(batch.remove(index)),
                AcceptError::Invalid { index, .. } | AcceptError::Reserved { index, .. } => {
                    tracing::warn!(address = self.address, %error, "an event of the PBX was refused");
                    batch.remove(index);
                }
                error => {
                    tracing::debug!(address = self.address, %error, "publishing is tried again");
                    sleep(wait).await;
                    wait = (wait * 2).min(RETRY.1);
                }
            }
            if batch.is_empty() {
                return;
            }
        }
        tracing::error!(address = self.address, events = batch.len(), "events of the PBX could not be published");
    }
}

/// What the model tells, as it is published.
fn event(told: &SourceEvent) -> Option<NewEvent> {
    let event_type = EventType::parse(told.event_type).ok()?;
    let payload = Payload::from_serialize(&told.payload);
    let payload =
        payload.inspect_err(|error| tracing::warn!(event_type = told.event_type, %error, "cannot be told")).ok()?;
    let id = EventId::parse(&told.id).ok();
    Some(NewEvent { id, ..NewEvent::new(event_type, payload) })
}
