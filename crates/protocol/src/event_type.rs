//! Event types: the dotted names of what can happen.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ids::{InvalidId, check_text};
use crate::limits;

/// The dotted name of a domain fact, such as `call.incoming`. Known ones are constants; a
/// deployment's own are legal too.
#[derive(Clone)]
pub struct EventType(Repr);

#[derive(Clone)]
enum Repr {
    Known(&'static str),
    Custom(Arc<str>),
}

/// The part before the first dot, as far as the contract treats it specially.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Category {
    /// `agent.*`
    Agent,
    /// `call.*`
    Call,
    /// `queue.*`
    Queue,
    /// `chat.*`: the only events a visitor may see.
    Chat,
    /// Everything else.
    Other,
}

macro_rules! event_types {
    ($($const_name:ident = $name:literal,)*) => {
        impl EventType {
            $(#[doc = concat!("`", $name, "`")] pub const $const_name: Self = Self(Repr::Known($name));)*

            /// Every type the contract names, in its order.
            pub const ALL: &'static [Self] = &[$(Self::$const_name,)*];
        }
    };
}

event_types! {
    AGENT_STATE_CHANGED = "agent.state.changed",
    AGENT_LOGIN = "agent.login",
    AGENT_LOGOUT = "agent.logout",
    AGENT_BREAK_STARTED = "agent.break.started",
    AGENT_BREAK_ENDED = "agent.break.ended",
    CALL_INCOMING = "call.incoming",
    CALL_ANSWERED = "call.answered",
    CALL_ENDED = "call.ended",
    CALL_TRANSFERRED = "call.transferred",
    CALL_HOLD = "call.hold",
    CALL_UNHOLD = "call.unhold",
    CALL_OUTGOING = "call.outgoing",
    CALL_RINGING = "call.ringing",
    CALL_RING_ENDED = "call.ring_ended",
    CALL_PARKED = "call.parked",
    QUEUE_JOINED = "queue.joined",
    QUEUE_LEFT = "queue.left",
    QUEUE_STATS = "queue.stats",
    QUEUE_STATS_UPDATED = "queue.stats.updated",
    QUEUE_MEMBER_ADDED = "queue.member.added",
    QUEUE_MEMBER_REMOVED = "queue.member.removed",
    QUEUE_MEMBER_PAUSED = "queue.member.paused",
    QUEUE_MEMBER_UNPAUSED = "queue.member.unpaused",
    CHAT_SESSION_STARTED = "chat.session.started",
    CHAT_SESSION_CREATED = "chat.session.created",
    CHAT_SESSION_ASSIGNED = "chat.session.assigned",
    CHAT_SESSION_ENDED = "chat.session.ended",
    CHAT_MESSAGE = "chat.message",
    CHAT_MESSAGE_NEW = "chat.message.new",
    CHAT_AGENT_ASSIGNED = "chat.agent.assigned",
    CHAT_AGENT_JOINED = "chat.agent.joined",
    CHAT_TRANSFERRED = "chat.transferred",
    CHAT_TYPING = "chat.typing",
    TICKET_CREATED = "ticket.created",
    NOTIFICATION = "notification",
    ALERT = "alert",
    PING = "ping",
    PONG = "pong",
    ERROR = "error",
    POSITION = "position",
    RESUMED = "resumed",
    SUBSCRIBE = "subscribe",
    UNSUBSCRIBE = "unsubscribe",
    RECONNECT = "reconnect",
    WEBHOOK_TEST = "webhook.test",
    PRESENCE_CHANGED = "presence.changed",
    WEBHOOK_DISABLED = "webhook.disabled",
    SOURCE_LOST = "source.lost",
    SOURCE_BACK = "source.back",
}

impl EventType {
    /// Checks a name: `[a-z0-9_.-]`, 1 to 100 characters.
    ///
    /// # Errors
    /// [`InvalidId`] naming the limit.
    pub fn parse(name: &str) -> Result<Self, InvalidId> {
        if let Some(known) = Self::ALL.iter().find(|known| known.as_str() == name) {
            return Ok(known.clone());
        }
        let is_allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '.' | '-');
        check_text("type", name, limits::EVENT_TYPE_CHARS, "a-z 0-9 _ . -", is_allowed)?;
        Ok(Self(Repr::Custom(Arc::from(name))))
    }

    /// Whether the contract names it.
    pub fn is_known(&self) -> bool {
        matches!(self.0, Repr::Known(_))
    }

    /// The known type that publishers may send and that this name is one slip away from: a letter too many, too few,
    /// another or swapped with the next. `None` for a known name. Cheap enough for every event.
    pub fn near_miss(name: &str) -> Option<&'static str> {
        let mut known = Self::ALL.iter().filter(|known| is_one_slip(name.as_bytes(), known.as_str().as_bytes()));
        let near = known.find(|known| known.is_publishable())?;
        let is_known = Self::ALL.iter().any(|known| known.as_str() == name);
        match near.0 {
            Repr::Known(near) if !is_known => Some(near),
            _ => None,
        }
    }

    /// The dotted name.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Repr::Known(name) => name,
            Repr::Custom(name) => name,
        }
    }

    /// The part before the first dot.
    pub fn category(&self) -> Category {
        match self.as_str().split_once('.') {
            Some(("agent", _)) => Category::Agent,
            Some(("call", _)) => Category::Call,
            Some(("queue", _)) => Category::Queue,
            Some(("chat", _)) => Category::Chat,
            _ => Category::Other,
        }
    }

    /// Our own event types, which reach only connections that subscribed to them, so that clients
    /// of the prototype never meet a type they do not know.
    pub fn is_opt_in(&self) -> bool {
        Self::OPT_IN.contains(self)
    }

    /// The types that [`EventType::is_opt_in`] is said of.
    pub const OPT_IN: [Self; 8] = [
        Self::PRESENCE_CHANGED,
        Self::WEBHOOK_DISABLED,
        Self::CALL_OUTGOING,
        Self::CALL_RINGING,
        Self::CALL_RING_ENDED,
        Self::CALL_PARKED,
        Self::SOURCE_LOST,
        Self::SOURCE_BACK,
    ];

    /// Of the opt-in types those that tell of calls: they are published like any other, by whoever has them from a
    /// PBX.
    const OF_CALLS: [Self; 4] = [Self::CALL_OUTGOING, Self::CALL_RINGING, Self::CALL_RING_ENDED, Self::CALL_PARKED];

    /// Whether only administrators of the tenant may see it.
    pub fn is_for_admins(&self) -> bool {
        *self == Self::WEBHOOK_DISABLED
    }

    /// Whether the outside may publish it: control words and our own types may not.
    pub fn is_publishable(&self) -> bool {
        (!self.is_opt_in() || Self::OF_CALLS.contains(self)) && !Self::CONTROL.contains(self)
    }

    /// What clients and this server say to each other, and what a webhook's test is called: no events.
    pub const CONTROL: [Self; 9] = [
        Self::PING,
        Self::PONG,
        Self::ERROR,
        Self::POSITION,
        Self::RESUMED,
        Self::SUBSCRIBE,
        Self::UNSUBSCRIBE,
        Self::RECONNECT,
        Self::WEBHOOK_TEST,
    ];

    /// Whether it is of the moment only: kept nowhere, for nobody.
    pub fn is_passing(&self) -> bool {
        *self == Self::CHAT_TYPING
    }

    /// Whether it makes a chat session known.
    pub fn starts_session(&self) -> bool {
        *self == Self::CHAT_SESSION_STARTED || *self == Self::CHAT_SESSION_CREATED
    }

    /// Whether it ends a chat session.
    pub fn ends_session(&self) -> bool {
        *self == Self::CHAT_SESSION_ENDED
    }
}

/// Whether two names differ in one letter, or in two neighbours that are swapped.
fn is_one_slip(one: &[u8], other: &[u8]) -> bool {
    if one.len().abs_diff(other.len()) > 1 {
        return false;
    }
    let n_alike = one.iter().zip(other).take_while(|(a, b)| a == b).count();
    let (one, other) = (&one[n_alike..], &other[n_alike..]);
    let is_swapped = || match (one, other) {
        ([a, b, one @ ..], [c, d, other @ ..]) => a == d && b == c && one == other,
        _ => false,
    };
    match one.len().cmp(&other.len()) {
        std::cmp::Ordering::Greater => one[1..] == *other,
        std::cmp::Ordering::Less => *one == other[1..],
        std::cmp::Ordering::Equal => !one.is_empty() && (one[1..] == other[1..] || is_swapped()),
    }
}

impl PartialEq for EventType {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for EventType {}

impl std::hash::Hash for EventType {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl std::borrow::Borrow<str> for EventType {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for EventType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for EventType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&name).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_type_is_legal_and_found_again() {
        for known in EventType::ALL {
            assert_eq!(EventType::parse(known.as_str()).as_ref(), Ok(known));
        }
    }

    #[test]
    fn a_slip_of_a_known_type_is_noticed_and_nothing_else() {
        let near = |name| EventType::near_miss(name);
        for slip in
            ["call.incomming", "call.incoing", "call.imcoming", "call.incomign", "call.incoming2", "xcall.incoming"]
        {
            assert_eq!(near(slip), Some("call.incoming"), "{slip}");
        }
        for other in
            ["call.incoming", "call.recorded", "call.incom", "", "pongs", "survey.completed", "presence.change"]
        {
            assert_eq!(near(other), None, "{other}");
        }
        for known in EventType::ALL {
            assert_eq!(near(known.as_str()), None, "{known}");
        }
    }

    #[test]
    fn own_types_are_legal_within_the_alphabet() {
        assert_eq!(EventType::parse("survey.completed").map(|t| t.category()), Ok(Category::Other));
        assert_eq!(EventType::parse("call.recorded").map(|t| t.category()), Ok(Category::Call));
        for bad in ["", "Call.Incoming", "call incoming", "call.*", &"x".repeat(101)] {
            assert!(EventType::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn control_words_and_our_own_types_cannot_be_published() {
        let refused: Vec<_> = EventType::ALL.iter().filter(|t| !t.is_publishable()).collect();
        // Their names are held by the golden test.
        let of_ours = EventType::OPT_IN.iter().filter(|of_ours| !EventType::OF_CALLS.contains(of_ours));
        let wanted: Vec<_> = EventType::CONTROL.iter().chain(of_ours).collect();
        assert_eq!(refused, wanted, "in the order of the table");
        assert!(EventType::parse("survey.completed").is_ok_and(|own| own.is_publishable()));
    }
}
