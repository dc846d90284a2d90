//! What the messages of a PBX prove: channels, bridges, queues and members, and the calls that they make.
//! Pure: messages and the time come from outside, what was proven is taken by [`Model::take`].

mod agents;
mod answering;
mod bridges;
mod calls;
mod channels;
mod emit;
mod ending;
mod events;
mod found;
mod list_items;
mod members;
mod queue_stats;
mod queues;
mod snapshot;
mod sync;
mod touched;
mod transfers;
mod types;

use std::collections::{BTreeSet, HashMap, HashSet};

pub use events::SourceEvent;
pub use list_items::ListItems;

use crate::{identity::Identity, message::Message};
use types::{Agent, Call, Channel, Leaving, Member, QueueStats, RunningSync};

/// In milliseconds.
const DECADE: i64 = 315_000_000_000;
/// Between the request of a party to hang up and the end of the call that it explains, in milliseconds.
const HUNG_LATELY: i64 = 1_500;
/// At most this many channels, members, agents and conference bridges each; what is beyond is left out.
const MOST: usize = 200_000;

/// The state of one PBX, and what is to be told of it.
#[derive(Debug)]
pub struct Model {
    name: String,
    who: Identity,
    now: i64,
    /// How far the PBX's own clock is before ours, where it shows it.
    ahead: i64,
    channels: HashMap<String, Channel>,
    calls: HashMap<String, Call>,
    bridges: HashMap<String, BTreeSet<String>>,
    /// Bridges of conferences: who is in them is no party to the others' calls.
    rooms: HashSet<String>,
    members: HashMap<(String, String), Member>,
    agents: HashMap<String, Agent>,
    leaving: Vec<Leaving>,
    queue_stats: HashMap<String, QueueStats>,
    changed_agents: BTreeSet<String>,
    /// The PBX shows what its dialplan sets.
    sees_dialplan: bool,
    syncing: Option<RunningSync>,
    synced: bool,
    out: Vec<SourceEvent>,
}

impl Model {
    /// `name`: the PBX's, part of every event's id.
    pub fn new(name: &str, who: Identity) -> Self {
        Self {
            name: name.to_owned(),
            who,
            now: 0,
            ahead: 0,
            channels: HashMap::new(),
            calls: HashMap::new(),
            bridges: HashMap::new(),
            rooms: HashSet::new(),
            members: HashMap::new(),
            agents: HashMap::new(),
            leaving: Vec::new(),
            queue_stats: HashMap::new(),
            changed_agents: BTreeSet::new(),
            sees_dialplan: false,
            syncing: None,
            synced: false,
            out: Vec::new(),
        }
    }

    /// The PBX's name is another one than was thought; ids of events from now on have it.
    pub fn set_name(&mut self, name: &str) {
        name.clone_into(&mut self.name);
    }

    /// Puts another table or pattern in place; it holds for channels and members that come from now on.
    pub fn set_identity(&mut self, who: Identity) {
        self.who = who;
    }

    /// Takes one message, received at `now` (milliseconds). Answers, and messages that no PBX sends unasked, have
    /// no effect.
    pub fn apply(&mut self, m: &Message<'_>, now: i64) {
        let Some(event) = m.event() else { return };
        if !m.is_broadcast() {
            return;
        }
        self.set_clock(m, now);
        self.note_touched(event, m);
        self.dispatch(event, m);
        self.tell_agents();
    }

    /// Lets time pass: what waited for a message that does not come is told.
    pub fn tick(&mut self, now: i64) {
        self.now = self.now.max(now + self.ahead);
        self.settle_leaving(false);
        self.tell_stats();
        self.tell_agents();
    }

    /// What was proven since the last time.
    pub fn take(&mut self) -> Vec<SourceEvent> {
        std::mem::take(&mut self.out)
    }

    /// Calls that are not over.
    pub fn calls(&self) -> usize {
        self.calls.values().filter(|call| call.known).count()
    }

    /// Channels that the PBX has, as far as is known.
    pub fn channels(&self) -> usize {
        self.channels.len()
    }

    fn set_clock(&mut self, m: &Message<'_>, now: i64) {
        let stamp = m.bytes("Timestamp").and_then(|text| std::str::from_utf8(text).ok()?.parse::<f64>().ok());
        if let Some(stamp) = stamp.filter(|_| m.event() != Some("UserEvent")) {
            // A clock that is off by more than a decade is none.
            self.ahead = ((stamp * 1000.0) as i64).clamp(now - DECADE, now + DECADE) - now;
        }
        self.now = now + self.ahead;
    }

    fn dispatch(&mut self, event: &str, m: &Message<'_>) {
        match event {
            "Newchannel" => self.new_channel(m),
            "Newstate" => self.new_state(m),
            "Rename" => self.rename(m),
            "Hangup" => self.hangup(m),
            "HangupRequest" => self.hangup_request(m),
            "LocalBridge" => self.local_bridge(m),
            "DialBegin" => self.dial_begin(m),
            "DialState" if m.bytes("DialStatus") == Some(b"RINGING") => self.rings(&m.text("DestUniqueid")),
            "DialEnd" => self.dial_end(m),
            "BridgeCreate" => self.bridge_create(m),
            "BridgeEnter" => self.bridge_enter(m),
            "BridgeLeave" => self.bridge_leave(m),
            "BridgeDestroy" => self.bridge_destroy(m),
            "Hold" => self.hold(m),
            "Unhold" => self.unhold(m),
            "BlindTransfer" => self.blind_transfer(m),
            "AttendedTransfer" => self.attended_transfer(m),
            "ParkedCall" => self.parked_call(m),
            "UnParkedCall" => self.unparked_call(m),
            "ParkedCallTimeOut" => self.parking_timed_out(m),
            "Pickup" => self.pickup(m),
            "VarSet" => self.variable_set(m),
            _ => self.dispatch_queues(event, m),
        }
    }

    fn dispatch_queues(&mut self, event: &str, m: &Message<'_>) {
        match event {
            "QueueCallerJoin" => self.caller_joins(m),
            "QueueCallerLeave" => self.caller_leaves(m),
            "QueueCallerAbandon" => self.caller_abandons(m),
            "AgentCalled" => self.agent_called(m),
            "AgentConnect" => self.agent_connects(m),
            "AgentComplete" => self.agent_completes(m),
            "QueueMemberAdded" => self.member_added(m),
            "QueueMemberRemoved" => self.member_removed(m),
            "QueueMemberPause" => self.member_paused(m),
            "QueueMemberStatus" | "QueueMemberPenalty" => self.member_status(m),
            "AgentLogin" => self.pool_login(m),
            "AgentLogoff" => self.pool_logoff(m),
            "ConfbridgeJoin" => self.conference_join(m),
            "DeviceStateChange" => self.device_state(m),
            _ => {}
        }
    }
}
