//! An event that is legal in itself; what it means is found out later.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use hookswitch_protocol::{
    Category, EventId, EventType, NamedSession, NewEvent, SessionNames, UserId, limits, with_session_id,
};
use hookswitch_webhooks::{Fingerprint, fingerprint};

use crate::error::AcceptError;

/// A legal event in its canonical form: a session named beside the payload stands in it.
#[derive(Debug, Clone)]
pub(crate) struct Checked {
    /// Its place in the batch.
    pub(crate) index: usize,
    pub(crate) new: NewEvent,
    /// The session's names; only looked for in chat events.
    pub(crate) names: SessionNames,
    /// Set when the publisher chose the id.
    pub(crate) fingerprint: Option<Fingerprint>,
}

/// A legal batch.
#[derive(Debug)]
pub(crate) struct CheckedBatch {
    /// Each event once, in order.
    pub(crate) events: Vec<Checked>,
    /// For each event of the request the place in `events` of the one that stands for it: an id
    /// that is there twice with the same content has one effect.
    pub(crate) places: Vec<usize>,
}

impl CheckedBatch {
    /// Whether the publisher chose the id of any event.
    pub(crate) fn has_chosen_ids(&self) -> bool {
        self.events.iter().any(|event| event.fingerprint.is_some())
    }
}

/// Checks a batch that came from outside.
pub(crate) fn check(batch: Vec<NewEvent>) -> Result<CheckedBatch, AcceptError> {
    let n_events = batch.len();
    if n_events > limits::EVENTS_PER_REQUEST {
        return Err(AcceptError::BatchSize { n_events });
    }
    let mut events: Vec<Checked> = Vec::with_capacity(n_events);
    let mut places = Vec::with_capacity(n_events);
    let mut chosen: HashMap<EventId, usize> = HashMap::new();
    for (index, new) in batch.into_iter().enumerate() {
        let checked = check_one(index, new)?;
        if let Some(id) = &checked.new.id {
            match chosen.entry(id.clone()) {
                Entry::Vacant(free) => _ = free.insert(events.len()),
                Entry::Occupied(first) if events[*first.get()].fingerprint == checked.fingerprint => {
                    places.push(*first.get());
                    continue;
                }
                Entry::Occupied(_) => return Err(AcceptError::IdConflict { index, id: id.clone() }),
            }
        }
        places.push(events.len());
        events.push(checked);
    }
    Ok(CheckedBatch { events, places })
}

fn check_one(index: usize, mut new: NewEvent) -> Result<Checked, AcceptError> {
    if !new.event_type.is_publishable() {
        return Err(AcceptError::Reserved { index, event_type: new.event_type });
    }
    check_user(index, &new)?;
    let names = session_names(index, &mut new)?;
    let fingerprint = new.id.as_ref().map(|_| fingerprint(&new));
    Ok(Checked { index, new, names, fingerprint })
}

/// Nobody is user 0: services write it where they mean the whole tenant.
pub(crate) fn check_user(index: usize, new: &NewEvent) -> Result<(), AcceptError> {
    if new.user.as_ref().is_some_and(UserId::is_zero) {
        return Err(AcceptError::invalid(index, "user_id", "must not be 0: leave it out to reach the whole tenant"));
    }
    Ok(())
}

/// Brings both ways to name the session into one, and refuses a start or end that names none right.
fn session_names(index: usize, new: &mut NewEvent) -> Result<SessionNames, AcceptError> {
    let is_chat = new.event_type.category() == Category::Chat;
    if !is_chat && new.session.is_none() {
        return Ok(SessionNames::default());
    }
    let mut names = SessionNames::read(&new.payload);
    if let Some(beside) = new.session.take() {
        match &names.session_id {
            NamedSession::Absent => {
                new.payload = with_session_id(&new.payload, &beside);
                names.session_id = NamedSession::Key(beside);
            }
            NamedSession::Key(inside) if *inside == beside => {}
            _ => return Err(AcceptError::invalid(index, "session_id", "differs from payload.session_id")),
        }
    }
    if moves_session(&new.event_type) {
        for (field, name) in [("payload.session_key", &names.session_key), ("payload.session_id", &names.session_id)] {
            if let NamedSession::Unusable(problem) = name {
                return Err(AcceptError::invalid(index, field, problem));
            }
        }
    }
    Ok(if is_chat { names } else { SessionNames::default() })
}

/// Whether an event of this type starts or ends a chat session.
pub(crate) fn moves_session(event_type: &EventType) -> bool {
    event_type.starts_session() || event_type.ends_session()
}

#[cfg(test)]
mod tests {
    use hookswitch_protocol::{ErrorCode, Payload, SessionKey, UserId};

    use super::*;

    fn event(event_type: EventType, payload: &str) -> NewEvent {
        NewEvent::new(event_type, Payload::parse(payload).expect(payload))
    }

    fn with_id(id: &str, payload: &str) -> NewEvent {
        NewEvent { id: Some(EventId::parse(id).expect(id)), ..event(EventType::ALERT, payload) }
    }

    fn refusal(batch: Vec<NewEvent>) -> (Option<usize>, Option<&'static str>, ErrorCode) {
        let error = check(batch).expect_err("refused");
        (error.index(), error.field(), error.code())
    }

    #[test]
    fn control_words_and_user_0_are_refused_by_index_and_field() {
        let good = || event(EventType::ALERT, "{}");
        let ping = refusal(vec![good(), event(EventType::PING, "{}")]);
        assert_eq!(ping, (Some(1), Some("type"), ErrorCode::ReservedType));
        let own = refusal(vec![event(EventType::PRESENCE_CHANGED, "{}")]);
        assert_eq!(own, (Some(0), Some("type"), ErrorCode::ReservedType));
        let nobody = refusal(vec![good(), good(), good().to_user(UserId::from(0))]);
        assert_eq!(nobody, (Some(2), Some("user_id"), ErrorCode::InvalidField));
        assert_eq!(refusal(vec![good(); 1_001]).1, Some("events"));
    }

    #[test]
    fn an_id_twice_is_one_event_or_a_conflict() {
        let batch = check(vec![with_id("a", "{}"), with_id("b", "{}"), with_id("a", "{ }")]).expect("same content");
        assert_eq!((batch.events.len(), batch.places), (2, vec![0, 1, 0]));
        let conflict = refusal(vec![with_id("a", "{}"), with_id("a", r#"{"x":1}"#)]);
        assert_eq!(conflict, (Some(1), Some("id"), ErrorCode::Conflict));
    }

    #[test]
    fn both_spellings_of_a_session_are_the_same_content() {
        let key = || SessionKey::parse("s-1").expect("legal");
        let id = || Some(EventId::parse("a").expect("legal"));
        let beside = NewEvent { id: id(), ..event(EventType::CHAT_MESSAGE, "{}").in_session(key()) };
        let inside = NewEvent { id: id(), ..event(EventType::CHAT_MESSAGE, r#"{"session_id":"s-1"}"#) };
        let batch = check(vec![beside, inside]).expect("the same");
        assert_eq!(batch.places, [0, 0]);
        assert_eq!(batch.events[0].new.payload.as_str(), r#"{"session_id":"s-1"}"#);
    }

    #[test]
    fn two_different_sessions_are_refused() {
        let key = SessionKey::parse("s-1").expect("legal");
        for payload in [r#"{"session_id":"s-2"}"#, r#"{"session_id":[]}"#] {
            for event_type in [EventType::CHAT_MESSAGE, EventType::ALERT] {
                let event = event(event_type, payload).in_session(key.clone());
                assert_eq!(refusal(vec![event]).1, Some("session_id"), "{payload}");
            }
        }
    }

    #[test]
    fn only_starts_and_ends_care_what_names_the_session() {
        let odd = r#"{"session_id":[1]}"#;
        assert_eq!(refusal(vec![event(EventType::CHAT_SESSION_STARTED, odd)]).1, Some("payload.session_id"));
        assert_eq!(refusal(vec![event(EventType::CHAT_SESSION_ENDED, odd)]).1, Some("payload.session_id"));
        assert!(check(vec![event(EventType::CHAT_MESSAGE, odd), event(EventType::ALERT, odd)]).is_ok());
        assert!(check(vec![event(EventType::CHAT_SESSION_STARTED, "{}")]).is_ok());
    }
}
