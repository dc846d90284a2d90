//! Listeners to custom topics within the process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hookswitch_protocol::{Event, TenantId, Topic};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

/// Events that may wait for the slowest listener of a topic; beyond it that listener is told how
/// many it missed.
const WAITING: usize = 256;

type Key = (TenantId, Topic);

/// The topics somebody in the process listens to.
#[derive(Debug, Default)]
pub(crate) struct Topics(Mutex<HashMap<Key, broadcast::Sender<Arc<Event>>>>);

/// One listener. Dropped, it hears no more.
#[derive(Debug)]
pub struct Subscription {
    topics: Arc<Topics>,
    key: Key,
    from: broadcast::Receiver<Arc<Event>>,
}

/// What a listener hears.
#[derive(Debug, Clone, PartialEq)]
pub enum TopicEvent {
    /// An event of the topic; [`Event::encode`] gives its envelope.
    Event(Arc<Event>),
    /// So many events were lost because the listener was too slow.
    Missed(u64),
}

impl Topics {
    pub(crate) fn subscribe(self: &Arc<Self>, tenant: &TenantId, topic: &Topic) -> Subscription {
        let key = (tenant.clone(), topic.clone());
        let from = self.lock().entry(key.clone()).or_insert_with(|| broadcast::channel(WAITING).0).subscribe();
        Subscription { topics: Arc::clone(self), key, from }
    }

    /// Hands an event to the listeners of its topic; one for a single user is not theirs.
    pub(crate) fn deliver(&self, event: &Arc<Event>) {
        let (Some(topic), None) = (&event.topic, &event.user) else { return };
        if let Some(listeners) = self.lock().get(&(event.tenant.clone(), topic.clone())) {
            // No listener is left when it was dropped a moment ago.
            let _n_listeners = listeners.send(Arc::clone(event));
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, broadcast::Sender<Arc<Event>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscription {
    /// The next event, in the order of publishing. Cancel safe.
    pub async fn next(&mut self) -> TopicEvent {
        match self.from.recv().await {
            Ok(event) => TopicEvent::Event(event),
            Err(RecvError::Lagged(n_missed)) => TopicEvent::Missed(n_missed),
            // Not reached: the sending end stays in the table as long as this listener lives.
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut topics = self.topics.lock();
        if topics.get(&self.key).is_some_and(|listeners| listeners.receiver_count() <= 1) {
            topics.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use hookswitch_protocol::{EventId, EventType, Payload, Timestamp, UserId};

    use super::*;

    fn event(topic: Option<&str>, number: i64) -> Arc<Event> {
        Arc::new(Event {
            id: EventId::parse(&format!("e{number}")).expect("legal"),
            event_type: EventType::ALERT,
            tenant: TenantId::parse("t").expect("legal"),
            user: None,
            session: None,
            topic: topic.map(|topic| Topic::parse(topic).expect("legal")),
            payload: Payload::empty(),
            timestamp: Timestamp::from_millis(number),
        })
    }

    fn listen(topics: &Arc<Topics>, tenant: &str) -> Subscription {
        topics.subscribe(&TenantId::parse(tenant).expect("legal"), &Topic::parse("wall").expect("legal"))
    }

    #[tokio::test]
    async fn a_listener_hears_its_topic_and_nothing_else() {
        let topics = Arc::new(Topics::default());
        let (mut here, mut elsewhere) = (listen(&topics, "t"), listen(&topics, "other"));
        let for_one = Event { user: Some(UserId::from(1)), ..Event::clone(&event(Some("wall"), 9)) };
        for event in [event(None, 1), event(Some("floor"), 2), Arc::new(for_one), event(Some("wall"), 3)] {
            topics.deliver(&event);
        }
        assert_eq!(here.next().await, TopicEvent::Event(event(Some("wall"), 3)));
        let nothing = tokio::time::timeout(std::time::Duration::from_millis(1), elsewhere.next()).await;
        assert!(nothing.is_err(), "{nothing:?}");
        drop((here, elsewhere));
        assert!(topics.lock().is_empty());
    }

    #[tokio::test]
    async fn a_slow_listener_is_told_what_it_missed() {
        let topics = Arc::new(Topics::default());
        let mut slow = listen(&topics, "t");
        for number in 0..WAITING as i64 + 3 {
            topics.deliver(&event(Some("wall"), number));
        }
        assert_eq!(slow.next().await, TopicEvent::Missed(3));
        assert_eq!(slow.next().await, TopicEvent::Event(event(Some("wall"), 3)));
    }
}
