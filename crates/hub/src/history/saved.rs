//! Recent history over a restart of a node by itself: what is saved of a ring, and a ring of what was saved.
//!
//! A part holds every event that the ring held behind one place up to another, so that parts that follow each other
//! make a ring without a hole, however many were saved before the time was up.

use bytes::Bytes;
use hookswitch_protocol::{
    Event, EventId, EventType, Payload, Position, SessionKey, TenantId, Timestamp, Topic, UserId,
};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::history::ring::{Recorded, Ring};
use crate::history::{History, TenantHistory};
use crate::seams::broker::EncodedEvent;
use crate::seams::history::SavedPart;

/// Bytes of events in one part, but for one event by itself.
const PART_BYTES: usize = 256 * 1024;

/// Where a tenant's history ends, and what it did not hold any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct SavedHead {
    epoch: u64,
    offset: u64,
    lost: u64,
    lost_opt_in: u64,
}

/// All events that were kept behind `after` up to `up_to`.
#[derive(Debug, Serialize, Deserialize)]
struct SavedEvents {
    epoch: u64,
    after: u64,
    up_to: u64,
    events: Vec<SavedEvent>,
}

#[derive(Debug, Serialize, Deserialize)]
struct SavedEvent {
    offset: u64,
    /// When it came to this node, in milliseconds since 1970: its age is counted from here.
    recorded_at: i64,
    is_kept: bool,
    id: EventId,
    #[serde(rename = "type")]
    event_type: EventType,
    user: Option<UserId>,
    session: Option<SessionKey>,
    topic: Option<Topic>,
    payload: Payload,
    timestamp: i64,
}

impl SavedEvent {
    fn new(recorded: &Recorded, offset: u64, recorded_at: Timestamp) -> Self {
        let event = &recorded.event;
        Self {
            offset,
            recorded_at: recorded_at.as_millis(),
            is_kept: event.is_kept(),
            id: event.id.clone(),
            event_type: event.event_type.clone(),
            user: event.user.clone(),
            session: event.session.clone(),
            topic: event.topic.clone(),
            payload: event.payload.clone(),
            timestamp: event.timestamp.as_millis(),
        }
    }

    fn into_event(self, tenant: &TenantId) -> EncodedEvent {
        let Self { is_kept, id, event_type, user, session, topic, payload, timestamp, .. } = self;
        let (tenant, timestamp) = (tenant.clone(), Timestamp::from_millis(timestamp));
        let event = Event { id, event_type, tenant, user, session, topic, payload, timestamp };
        if is_kept { EncodedEvent::kept(event) } else { EncodedEvent::from_elsewhere(event) }
    }
}

/// How far one tenant's history is saved.
#[derive(Debug)]
pub(crate) struct Saving {
    tenant: TenantId,
    next_number: u32,
    /// Everything behind this number is saved.
    from: u64,
}

impl History {
    /// Where each tenant's history ends, and what to go on with; the one that was used last comes first. Of tenants
    /// whose events have no positions nothing is saved.
    pub(crate) fn save_heads(&self) -> Vec<(SavedPart, Saving)> {
        let mut all = Vec::new();
        self.for_each_tenant(|tenant, known| {
            let head = known.ring.head();
            let (Some(at), Some(head_of)) = (head.position, known.ring.saved_head()) else { return };
            let head_of = SavedHead { epoch: at.epoch, offset: at.offset, lost: head_of.0, lost_opt_in: head_of.1 };
            let part = SavedPart { tenant: tenant.clone(), number: 0, body: print(&head_of) };
            all.push((known.used_at, part, Saving { tenant: tenant.clone(), next_number: 1, from: head.seq }));
        });
        all.sort_unstable_by_key(|(used_at, ..)| std::cmp::Reverse(*used_at));
        all.into_iter().map(|(_, part, saving)| (part, saving)).collect()
    }

    /// The newest events that are not saved yet; `None` when all are.
    pub(crate) fn save_next(&self, saving: &mut Saving) -> Option<SavedPart> {
        let (now, wall) = (Instant::now(), self.clock.now());
        let mut lock = self.lock(&saving.tenant);
        let ring = &lock.known().ring;
        let (after, events) = ring.newest_up_to(saving.from, PART_BYTES)?;
        let (from, to) = (ring.place(after).position?, ring.place(saving.from).position?);
        let saved = events.iter().filter_map(|recorded| {
            let recorded_at = wall.before(now.saturating_duration_since(recorded.at()));
            Some(SavedEvent::new(recorded, recorded.place.position?.offset, recorded_at))
        });
        let events = saved.collect();
        let body = print(&SavedEvents { epoch: to.epoch, after: from.offset, up_to: to.offset, events });
        let number = saving.next_number;
        (saving.next_number, saving.from) = (number + 1, after);
        Some(SavedPart { tenant: saving.tenant.clone(), number, body })
    }

    /// Goes on from what a former node saved: parts by tenant and number, rising. Before the first event.
    pub(crate) fn restore(&self, parts: &[SavedPart]) {
        let mut n_restored = 0;
        for of_tenant in parts.chunk_by(|a, b| a.tenant == b.tenant) {
            match self.ring_of(of_tenant) {
                Some(ring) => {
                    self.put_back(&of_tenant[0].tenant, ring);
                    n_restored += 1;
                }
                None => {
                    tracing::warn!(tenant = %of_tenant[0].tenant, "saved history cannot be read: positions begin anew");
                }
            }
        }
        if n_restored > 0 {
            tracing::info!(
                n_tenants = n_restored,
                n_events = self.n_events(),
                "recent history goes on from where it was"
            );
        }
    }

    fn put_back(&self, tenant: &TenantId, ring: Ring) {
        let mut lock = self.lock(tenant);
        let n_bytes = ring.n_bytes();
        *lock.known() = TenantHistory::new(ring);
        self.n_bytes.fetch_add(n_bytes, std::sync::atomic::Ordering::Relaxed);
        lock.trim(Instant::now());
    }

    /// The ring of one tenant's parts; `None` where it is not said where it ends.
    fn ring_of(&self, parts: &[SavedPart]) -> Option<Ring> {
        let (head, parts) = parts.split_first().filter(|(head, _)| head.number == 0)?;
        let tenant = &head.tenant;
        let head: SavedHead = serde_json::from_slice(&head.body).ok()?;
        let (mut floor, mut events) = (head.offset, Vec::new());
        for part in parts {
            let read: Option<SavedEvents> = serde_json::from_slice(&part.body).ok();
            // One that is missing, or of another time, is where it ends.
            let Some(part) = read.filter(|part| part.epoch == head.epoch && part.up_to == floor) else { break };
            floor = part.after;
            events.push(part.events);
        }
        let position = Position { epoch: head.epoch, offset: head.offset };
        let mut ring = Ring::saved(position, floor, head.lost.max(floor), head.lost_opt_in.max(floor));
        let (now, wall) = (Instant::now(), self.clock.now());
        for saved in events.into_iter().rev().flatten() {
            let age = wall.since(Timestamp::from_millis(saved.recorded_at));
            // What came before the machine started is old enough to go.
            let at = now.checked_sub(age);
            let offset = saved.offset;
            let event = saved.into_event(tenant);
            let class = self.classes.of(&event);
            ring.put_back(offset, event, class, at)?;
        }
        Some(ring)
    }
}

fn print(saved: &impl Serialize) -> Bytes {
    // Plain fields serialise.
    Bytes::from(serde_json::to_vec(saved).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hookswitch_runtime::Clock;

    use super::*;
    use crate::history::classes::EventClasses;
    use crate::history::limits::HistoryLimits;
    use crate::history::place::Unrecovered;
    use crate::live_state::limits::StateLimits;

    fn tenant() -> TenantId {
        TenantId::parse("t").expect("legal")
    }

    fn event(number: usize) -> Event {
        let is_opt_in = number.is_multiple_of(3);
        Event {
            id: EventId::parse(&format!("e{number}")).expect("legal"),
            event_type: if is_opt_in { EventType::PRESENCE_CHANGED } else { EventType::CHAT_MESSAGE },
            tenant: tenant(),
            user: number.is_multiple_of(2).then(|| UserId::from(7)),
            session: SessionKey::parse("s-1").ok(),
            topic: Topic::parse("wall").ok().filter(|_| number == 5),
            payload: Payload::parse(&format!(r#"{{"n": {number}.50, "x":"{}"}}"#, "x".repeat(20_000))).expect("legal"),
            timestamp: Timestamp::from_millis(number as i64),
        }
    }

    fn history(clock: &Clock) -> History {
        let limits = HistoryLimits { bytes: 1024 * 1024, ..HistoryLimits::default() };
        let history = History::new(limits, StateLimits::default(), EventClasses::default(), clock.clone());
        history.give_positions();
        history
    }

    fn record(history: &History, range: std::ops::Range<usize>) {
        for number in range {
            let event = event(number);
            let event = if number == 8 { EncodedEvent::kept(event) } else { EncodedEvent::new(event) };
            history.lock(&tenant()).record(std::iter::once(&event));
        }
    }

    fn saved(history: &History) -> Vec<SavedPart> {
        let mut parts = Vec::new();
        for (head, mut saving) in history.save_heads() {
            parts.push(head);
            parts.extend(std::iter::from_fn(|| history.save_next(&mut saving)));
        }
        parts
    }

    fn all(history: &History) -> Vec<(Option<Position>, EncodedEvent)> {
        let page = history.page(&tenant(), 0, 1_000);
        page.events.into_iter().map(|recorded| (recorded.place.position, recorded.event)).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_ring_is_the_same_after_a_restart() {
        let clock = Clock::manual(Timestamp::from_millis(1_761_393_600_000));
        let before = history(&clock);
        record(&before, 0..40);
        let parts = saved(&before);
        assert!(parts.len() > 3, "more than one part: {}", parts.len());
        let after = history(&clock);
        after.restore(&parts);
        assert_eq!(all(&after), all(&before));
        assert_eq!((after.n_bytes(), after.n_events()), (before.n_bytes(), before.n_events()));
        let head = before.head(&tenant(), 0).place.position;
        assert_eq!(after.head(&tenant(), 0).place.position, head);
        for offset in 0..=40 {
            for wants_opt_in in [false, true] {
                let asked = head.map(|at| Position { offset, ..at });
                let found =
                    |history: &History| history.find(&tenant(), asked, wants_opt_in).map(|place| place.position);
                assert_eq!(found(&after), found(&before), "{offset} {wants_opt_in}");
            }
        }
        record(&after, 40..41);
        let next = after.head(&tenant(), 0).place.position;
        assert_eq!(next, head.map(|at| Position { offset: at.offset + 1, ..at }), "it goes on");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_not_saved_in_time_is_expired_and_the_head_is_not() {
        let clock = Clock::manual(Timestamp::from_millis(1_761_393_600_000));
        let before = history(&clock);
        record(&before, 0..40);
        let head = before.head(&tenant(), 0).place.position.expect("numbered");
        let parts = saved(&before);
        for n_parts in 1..parts.len() {
            let after = history(&clock);
            after.restore(&parts[..n_parts]);
            let n_events = after.n_events();
            assert_eq!(all(&after), all(&before).split_off(before.n_events() - n_events), "the newest");
            let find =
                |offset| after.find(&tenant(), Some(Position { offset, ..head }), false).map(|place| place.position);
            assert_eq!(find(head.offset), Ok(Some(head)));
            assert_eq!(find(0), Err(Unrecovered::Expired));
        }
        let after = history(&clock);
        after.restore(&parts[1..]);
        assert_eq!(after.find(&tenant(), Some(head), false), Err(Unrecovered::Epoch), "without an end it is nothing");
        let hole = [&parts[..1], &parts[2..]].concat();
        let after = history(&clock);
        after.restore(&hole);
        assert_eq!(after.n_events(), 0, "nothing behind a hole");
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_between_counts() {
        let clock = Clock::manual(Timestamp::from_millis(1_761_393_600_000));
        let before = history(&clock);
        record(&before, 0..10);
        tokio::time::advance(Duration::from_mins(9)).await;
        record(&before, 10..20);
        let parts = saved(&before);
        tokio::time::advance(Duration::from_mins(30)).await;
        let later = Clock::manual(clock.now().after(Duration::from_mins(2)));
        let after = history(&later);
        after.restore(&parts);
        let page = after.page(&tenant(), 0, 100);
        assert_eq!(page.events.len(), 10, "the others are eleven minutes old");
    }
}
