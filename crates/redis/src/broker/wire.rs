//! Messages on the channels: the contract's envelopes, with a field of ours that other programs ignore.

use std::borrow::Cow;
use std::fmt;

use hookswitch_hub::{EncodedEvent, Origin, Publication, Received, UserKey};
use hookswitch_protocol::{
    Event, EventId, EventType, NewEvent, NodeId, Payload, Position, SessionKey, TenantId, Timestamp, Topic, UserId,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// What nodes tell each other beside the envelope.
#[derive(Debug, Serialize, Deserialize)]
struct NodeMetadata<'a> {
    /// The publishing node; nobody takes its own events back.
    node: NodeId,
    /// Counts the events of one tenant that the node published.
    seq: u64,
    /// Whether the tenant's stream gives the node's events their order, and not the numbers above.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    stream: bool,
    /// The chat session as visitors know it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    session: Option<SessionKey>,
    /// The nodes answerable for the event's one user.
    #[serde(skip_serializing_if = "<[_]>::is_empty", default)]
    holders: Cow<'a, [NodeId]>,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "type")]
    event_type: EventType,
    #[serde(borrow, default)]
    payload: Option<&'a RawValue>,
    #[serde(default)]
    timestamp: Option<Timestamp>,
    #[serde(default)]
    tenant_id: Option<TenantId>,
    #[serde(default)]
    user_id: Option<UserId>,
    #[serde(default)]
    topic: Option<Topic>,
    #[serde(default)]
    id: Option<EventId>,
    #[serde(borrow, default)]
    hookswitch: Option<NodeMetadata<'a>>,
    #[serde(borrow, default)]
    position: Option<Cow<'a, str>>,
}

/// The main channel's wrapper.
#[derive(Deserialize)]
struct Wrapper<'a> {
    #[serde(rename = "TenantID")]
    tenant: TenantId,
    #[serde(rename = "UserID", default)]
    user: Option<UserId>,
    #[serde(borrow, rename = "Message")]
    message: &'a RawValue,
}

/// What is not an event, between nodes.
#[derive(Debug, Serialize, Deserialize)]
struct ControlFields {
    node: NodeId,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    backlog_of: Option<UserId>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    last_seq: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    head: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    dropped: Option<u64>,
}

/// What another node notes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ControlMessage {
    /// Something was kept for this user.
    Backlog(UserKey),
    /// Its events of the tenant up to this number will not come any more if they have not: so many were dropped.
    Last(NodeId, u64, Option<u64>),
    /// The last position of the tenant's history.
    Head(Position),
}

/// One event off a channel.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) received: Received,
    /// Who published it and as which of its tenant's events, when it was a node.
    pub(crate) publisher: Option<(NodeId, u64)>,
    /// Whether the publisher's events have their order from the tenant's stream.
    pub(crate) is_streamed: bool,
}

/// Where a message stood, and what follows from that.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context<'a> {
    /// This node.
    pub(crate) node: &'a NodeId,
    /// The tenant that the channel's name says.
    pub(crate) tenant: Option<&'a TenantId>,
    /// The topic that the channel's name says.
    pub(crate) topic: Option<&'a str>,
    pub(crate) now: Timestamp,
    /// Most bytes of a foreign program's message.
    pub(crate) largest: usize,
}

/// What a node's envelope may have beyond an event that it took in: what it says of itself and of the user's nodes.
const OVERHEAD_BYTES: usize = 64 * 1024;

/// A node's event is never sent under a greater number: there would be no room for those behind it.
const GREATEST_SEQ: u64 = 1 << 62;

/// Why a message was refused; nothing of what stood in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It is larger than an event may be.
    TooLarge,
    /// It cannot be read, from this place on.
    Unreadable { line: usize, column: usize },
    /// It is readable, and not right.
    Unfit(&'static str),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => f.write_str("it is too large"),
            Self::Unreadable { line, column } => {
                write!(f, "it is no envelope, or has a value that is not legal: line {line}, column {column}")
            }
            Self::Unfit(reason) => f.write_str(reason),
        }
    }
}

/// The text of the parser's error may hold what it met, so only the place is kept.
impl From<serde_json::Error> for Refusal {
    fn from(error: serde_json::Error) -> Self {
        Self::Unreadable { line: error.line(), column: error.column() }
    }
}

/// Most bytes of any message, a node's included.
pub(crate) const fn largest(event_bytes: usize) -> usize {
    event_bytes + OVERHEAD_BYTES
}

/// The envelope of an event with our field behind the others.
pub(crate) fn encode(publication: &Publication, node: &NodeId, seq: u64, stream: bool) -> Vec<u8> {
    let Publication { event, holders, .. } = publication;
    let metadata = NodeMetadata {
        node: node.clone(),
        seq,
        stream,
        session: event.session.clone(),
        holders: Cow::Borrowed(holders.as_slice()),
    };
    let envelope = event.envelope();
    let mut out = Vec::with_capacity(envelope.len() + 128);
    // Its closing brace comes last again.
    out.extend_from_slice(&envelope[..envelope.len() - 1]);
    out.extend_from_slice(b",\"hookswitch\":");
    serde_json::to_writer(&mut out, &metadata).expect("a vector takes everything");
    out.push(b'}');
    out
}

/// Parts off what stands at an envelope's end: the position, where there is one, and the last brace.
pub(crate) fn split_position(bytes: &[u8]) -> (&[u8], Option<Position>) {
    let told = || {
        let rest = bytes.strip_suffix(b"\"}")?;
        let begin = rest.iter().rposition(|byte| *byte == b'"')?;
        let position = std::str::from_utf8(&rest[begin + 1..]).ok()?.parse().ok()?;
        Some((rest[..begin].strip_suffix(b",\"position\":")?, position))
    };
    match told() {
        Some((head, position)) => (head, Some(position)),
        None => (bytes.strip_suffix(b"}").unwrap_or(bytes), None),
    }
}

/// As which of its events an envelope is plainly this node's own: its end without what [`split_position`] parts off tells
/// it without a look at the rest. `None` where it takes reading, say because the event has a chat session or answerable nodes.
///
/// Only a field of the outermost object can end like this: one of an object within would be followed by a brace more,
/// and text of a string by the string's end.
pub(crate) fn plain_number(bytes: &[u8], node: &NodeId) -> Option<u64> {
    let counted = bytes.strip_suffix(b"}")?;
    let counted = counted.strip_suffix(b",\"stream\":true").unwrap_or(counted);
    let digits = counted.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let (before, digits) = counted.split_at(counted.len() - digits);
    let named = before.strip_suffix(b"\",\"seq\":")?;
    let before = named.strip_suffix(node.as_str().as_bytes())?;
    let number = std::str::from_utf8(digits).ok()?.parse().ok()?;
    before.ends_with(b",\"hookswitch\":{\"node\":\"").then_some(number)
}

/// Reads an envelope off a channel.
pub(crate) fn decode(bytes: &[u8], context: Context<'_>) -> Result<Incoming, Refusal> {
    let envelope: Envelope<'_> = serde_json::from_slice(bytes)?;
    let Envelope { event_type, payload, timestamp, tenant_id, user_id, topic, id, hookswitch, position } = envelope;
    if hookswitch.is_none() && bytes.len() > context.largest {
        return Err(Refusal::TooLarge);
    }
    if !event_type.is_publishable() && !event_type.is_opt_in() {
        return Err(Refusal::Unfit("its type is a word of the protocol's own"));
    }
    let tenant = one_tenant(tenant_id, context.tenant)?;
    let topic = match context.topic {
        Some(topic) => Some(Topic::parse(topic).map_err(|_| Refusal::Unfit("its channel's topic is not legal"))?),
        None => topic.filter(|_| hookswitch.is_some()),
    };
    let payload = payload.map_or_else(|| Ok(Payload::empty()), Payload::from_raw);
    let payload = payload.map_err(|_| Refusal::Unfit("its payload is no object, or nested too deeply"))?;
    // Only what went through the stream has a position: nodes' events, and what their scripts say.
    let is_streamed = hookswitch.as_ref().map_or_else(|| event_type.is_opt_in(), |metadata| metadata.stream);
    let position: Option<Position> = position.filter(|_| is_streamed).and_then(|text| text.parse().ok());
    let (publisher, session, origin) = match hookswitch {
        Some(NodeMetadata { seq, .. }) if seq > GREATEST_SEQ => {
            return Err(Refusal::Unfit("its number is none that a node would give"));
        }
        Some(NodeMetadata { node, seq, stream: _, session, holders }) => {
            let answerable_with = others(&holders, context.node);
            (Some((node, seq)), session, Origin::Node { answerable_with })
        }
        None => (None, None, Origin::Foreign),
    };
    let user = user_id.filter(|user| !user.is_zero());
    // Where it has none: of the time of arrival, whatever a foreign clock says.
    let id = Some(id.unwrap_or_else(|| EventId::generate(context.now)));
    let said = NewEvent { id, event_type, user, session, topic, payload };
    let event = Event::new(tenant, said, timestamp.unwrap_or(context.now));
    let is_own = publisher.as_ref().is_some_and(|(node, _)| node == context.node);
    let event = if is_own { EncodedEvent::new(event) } else { EncodedEvent::from_elsewhere(event) };
    let received = Received { event, origin, position, is_known: false };
    Ok(Incoming { received, publisher, is_streamed })
}

/// Reads the main channel's form: tenant and user stand outside the envelope.
pub(crate) fn decode_wrapped(bytes: &[u8], context: Context<'_>) -> Result<Incoming, Refusal> {
    if bytes.len() > context.largest {
        return Err(Refusal::TooLarge);
    }
    let wrapper: Wrapper<'_> = serde_json::from_slice(bytes)?;
    let context = Context { tenant: Some(&wrapper.tenant), ..context };
    let mut incoming = decode(wrapper.message.get().as_bytes(), context)?;
    // A wrapper is a foreign program's, whatever it carries.
    incoming.publisher = None;
    incoming.received.origin = Origin::Foreign;
    incoming.received.position = None;
    if let Some(user) = wrapper.user.filter(|user| !user.is_zero()) {
        if incoming.received.event.user.as_ref().is_some_and(|inside| *inside != user) {
            return Err(Refusal::Unfit("its UserID and its message's user_id differ"));
        }
        let event = Event { user: Some(user), ..Event::clone(&incoming.received.event) };
        incoming.received.event = EncodedEvent::from_elsewhere(event);
    }
    Ok(incoming)
}

/// A control message that something was kept for a user.
pub(crate) fn encode_backlog(user: &UserKey, node: &NodeId) -> Vec<u8> {
    encode_control(&ControlFields {
        node: node.clone(),
        backlog_of: Some(user.user.clone()),
        last_seq: None,
        head: None,
        dropped: None,
    })
}

/// A control message that a tenant's events up to this number were published or dropped.
pub(crate) fn encode_last(node: &NodeId, seq: u64, n_dropped: u64) -> Vec<u8> {
    encode_control(&ControlFields {
        node: node.clone(),
        backlog_of: None,
        last_seq: Some(seq),
        head: None,
        dropped: Some(n_dropped),
    })
}

/// A control message that a tenant's history ends here.
pub(crate) fn encode_head(node: &NodeId, head: Position) -> Vec<u8> {
    let head = Some(head.to_string());
    encode_control(&ControlFields { node: node.clone(), backlog_of: None, last_seq: None, head, dropped: None })
}

fn encode_control(fields: &ControlFields) -> Vec<u8> {
    serde_json::to_vec(fields).expect("ids and numbers always print")
}

/// What a control message says; `None` when it is this node's own.
pub(crate) fn decode_control(
    bytes: &[u8],
    tenant: &TenantId,
    node: &NodeId,
) -> Result<Option<ControlMessage>, Refusal> {
    let fields: ControlFields = serde_json::from_slice(bytes)?;
    if fields.node == *node {
        return Ok(None);
    }
    match (fields.backlog_of, fields.last_seq) {
        (Some(user), _) => Ok(Some(ControlMessage::Backlog(UserKey { tenant: tenant.clone(), user }))),
        (None, Some(seq)) if seq > GREATEST_SEQ => Err(Refusal::Unfit("its number is none that a node would give")),
        (None, Some(seq)) => Ok(Some(ControlMessage::Last(fields.node, seq, fields.dropped))),
        (None, None) if fields.head.is_some() => {
            let head = fields.head.and_then(|text| text.parse().ok());
            head.map(ControlMessage::Head).map(Some).ok_or(Refusal::Unfit("its head is no position"))
        }
        (None, None) => Err(Refusal::Unfit("a control message that says nothing")),
    }
}

/// Nothing crosses tenants: channel and envelope must agree.
fn one_tenant(inside: Option<TenantId>, outside: Option<&TenantId>) -> Result<TenantId, Refusal> {
    match (inside, outside) {
        (Some(inside), Some(outside)) if inside != *outside => {
            Err(Refusal::Unfit("its tenant_id is not its channel's"))
        }
        (Some(tenant), _) => Ok(tenant),
        (None, Some(tenant)) => Ok(tenant.clone()),
        (None, None) => Err(Refusal::Unfit("it has no tenant_id, and its channel names none")),
    }
}

fn others(holders: &[NodeId], node: &NodeId) -> Option<Vec<NodeId>> {
    holders.contains(node).then(|| holders.iter().filter(|holder| *holder != node).cloned().collect())
}

#[cfg(test)]
mod tests;
