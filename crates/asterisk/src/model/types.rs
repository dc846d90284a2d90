//! What the model holds: channels, calls, waits, members.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde_json::{Map, Value};

use super::events::Fields;

/// One channel of the PBX.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "facts that were told one by one and do not exclude each other")]
pub(crate) struct Channel {
    pub(crate) uid: String,
    pub(crate) name: String,
    pub(crate) endpoint: String,
    pub(crate) agent: Option<String>,
    pub(crate) outside: bool,
    /// One half of a Local pair: never a party.
    pub(crate) local: bool,
    /// The other half.
    pub(crate) pair: Option<String>,
    /// The dialplan answered it, or its phone did.
    pub(crate) up: bool,
    pub(crate) call: String,
    pub(crate) bridge: Option<String>,
    /// Who dialled it.
    pub(crate) dialler: Option<String>,
    pub(crate) answered: bool,
    /// Its ringing was told.
    pub(crate) ringing: bool,
    /// Somebody else took the call that rang here, by pick-up.
    pub(crate) picked: bool,
    /// How its dialling ended, as told first.
    pub(crate) dial_status: Option<String>,
    /// The PBX was asked to hang it up by the party itself.
    pub(crate) hung: bool,
    /// The queue and the member's interfaces that it rings for.
    pub(crate) member: Option<Ringing>,
    /// It waits in the pool of agents; the call that it serves now.
    pub(crate) pool: bool,
    pub(crate) serving: Option<String>,
    pub(crate) first_exten: String,
    pub(crate) born: i64,
}

/// For which queue and member a phone rings.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ringing {
    pub(crate) queue: String,
    pub(crate) interface: String,
}

/// Time during which at least one of several held something.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spans {
    who: BTreeSet<String>,
    since: i64,
    total: i64,
}

impl Spans {
    pub(crate) fn add(&mut self, uid: &str, now: i64) {
        if self.who.is_empty() {
            self.since = now;
        }
        self.who.insert(uid.to_owned());
    }

    pub(crate) fn remove(&mut self, uid: &str, now: i64) -> bool {
        let was = self.who.remove(uid);
        if was && self.who.is_empty() {
            self.total += now - self.since;
        }
        was
    }

    pub(crate) fn clear(&mut self, now: i64) {
        if !self.who.is_empty() {
            self.total += now - self.since;
            self.who.clear();
        }
    }

    pub(crate) fn has(&self, uid: &str) -> bool {
        self.who.contains(uid)
    }

    pub(crate) fn who(&self) -> impl Iterator<Item = &String> {
        self.who.iter()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.who.is_empty()
    }

    pub(crate) fn total(&self) -> i64 {
        self.total
    }
}

/// Who began a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Begin {
    #[default]
    Outside,
    Phone,
    /// The PBX was told to: the first leg is dialled.
    Originated,
}

/// Who took a call that waited: the agent, if it is one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Taker(pub(crate) Option<String>);

/// Where a caller waits.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wait {
    pub(crate) queue: String,
    pub(crate) position: i64,
    pub(crate) since: i64,
    pub(crate) taken: Option<Taker>,
    pub(crate) given_up: bool,
}

/// A channel that left its bridge, unexplained yet: perhaps it was moved.
#[derive(Clone, Debug)]
pub(crate) struct Left {
    pub(crate) uid: String,
    pub(crate) exten: String,
    pub(crate) at: i64,
}

/// Which party asked to hang up, and when.
#[derive(Clone, Debug)]
pub(crate) struct Hung {
    pub(crate) at: i64,
    pub(crate) uid: String,
    pub(crate) agent: Option<String>,
    pub(crate) outside: bool,
}

/// Everything from the moment somebody dials until the last party has gone.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "facts that were told one by one and do not exclude each other")]
pub(crate) struct Call {
    pub(crate) uid: String,
    /// The name of the channel that began it.
    pub(crate) channel: String,
    pub(crate) begin: Begin,
    pub(crate) born: i64,
    pub(crate) direction: &'static str,
    pub(crate) caller_id: String,
    pub(crate) caller_name: Option<String>,
    pub(crate) destination: String,
    pub(crate) agent: Option<String>,
    pub(crate) channels: BTreeSet<String>,
    /// Its begin was told.
    pub(crate) told: bool,
    /// Something was told of it.
    pub(crate) known: bool,
    pub(crate) first_answer: Option<i64>,
    pub(crate) looking_since: i64,
    pub(crate) talk: Spans,
    pub(crate) hold: Spans,
    pub(crate) answered: BTreeSet<String>,
    pub(crate) wait: Option<Wait>,
    pub(crate) queue: Option<String>,
    pub(crate) queued: bool,
    pub(crate) offered: bool,
    pub(crate) served: bool,
    pub(crate) parked: bool,
    pub(crate) transferer: Option<String>,
    pub(crate) left: Option<Left>,
    /// A transfer or a hang-up explains why somebody left.
    pub(crate) explained: bool,
    pub(crate) hung: Option<Hung>,
    /// How the last phone refused.
    pub(crate) refused: Option<&'static str>,
    pub(crate) begin_up: bool,
    pub(crate) cause: i64,
    /// How often something was told that can happen again, by event type.
    pub(crate) told_of: BTreeMap<String, u32>,
    pub(crate) since: i64,
    pub(crate) transfers: i64,
    pub(crate) agents: BTreeSet<String>,
}

/// A member of a queue.
#[derive(Clone, Debug, Default)]
pub(crate) struct Member {
    pub(crate) queue: String,
    pub(crate) interface: String,
    pub(crate) name: String,
    pub(crate) agent: Option<String>,
    pub(crate) paused: bool,
    pub(crate) reason: Option<String>,
    pub(crate) penalty: i64,
    pub(crate) dynamic: bool,
    pub(crate) status: i64,
    pub(crate) since: i64,
}

/// What is known of an agent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Agent {
    pub(crate) extension: String,
    pub(crate) name: Option<String>,
    pub(crate) offline: bool,
    pub(crate) channels: BTreeSet<String>,
    pub(crate) reason: Option<String>,
    pub(crate) pool: bool,
    /// Its state, and the one that was told last.
    pub(crate) is: Option<&'static str>,
    pub(crate) told: Option<&'static str>,
    pub(crate) since: i64,
    pub(crate) changes: u64,
}

/// A caller that left a queue unanswered; the reason is yet to come.
#[derive(Clone, Debug)]
pub(crate) struct Leaving {
    pub(super) call: String,
    pub(super) channel: String,
    pub(super) at: i64,
    pub(super) given_up: bool,
    pub(super) fields: Fields,
}

/// What a queue has counted since the PBX reset it, and its figures as they were told last.
#[derive(Clone, Debug, Default)]
pub(crate) struct QueueStats {
    pub(super) completed: i64,
    pub(super) abandoned: i64,
    /// How long callers waited that were answered, in seconds: the PBX's own moving average.
    pub(super) average_wait: i64,
    pub(super) at: i64,
    pub(super) told: Map<String, Value>,
}

/// Something of which both a list and an event can tell.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Subject {
    /// A channel, whether it is there.
    Channel(String),
    /// A channel, and which bridge it is in.
    Bridge(String),
    /// A caller's channel, and whether it waits in a queue.
    Wait(String),
    /// A caller's channel, and whether it is parked.
    Parking(String),
    /// A member by its queue and interface.
    Member(String, String),
    /// A device's state.
    Device(String),
}

/// What happens while the lists are on their way.
#[derive(Debug)]
pub(crate) struct RunningSync {
    pub(super) since: i64,
    /// What events told of meanwhile: what the lists say of it is older.
    pub(crate) touched: HashSet<Subject>,
    pub(crate) reconciling: bool,
}
