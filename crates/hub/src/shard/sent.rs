//! One thing with [`connection`](super::connection), of which these are fields: what a connection was sent that the walk
//! through history has not come to: none of it comes a second time.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};

use hookswitch_protocol::SubscriptionName;

use crate::history::classes::Class;
use crate::history::ring::Recorded;
use crate::shard::connection::{Connection, is_named};

/// Events behind `after` up to `up_to` that were sent, as far as they are of this part and were subscribed to then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) after: u64,
    pub(crate) up_to: u64,
    pub(crate) part: Part,
    pub(crate) under: Under,
}

/// Which of these events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    All,
    /// Those for everybody, given as they came while those for one user waited.
    Broadcast,
    /// Urgent ones, given ahead of others.
    Urgent,
}

/// What the connection was subscribed to when they were sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Under {
    /// What it is now, as far as that matters: who subscribes later is not owed what was before.
    Any,
    /// It had not subscribed, and got everything.
    Everything,
    /// So many of its names, which are never taken away before it says where it was.
    First(usize),
}

/// Spans of events that were sent out of turn.
#[derive(Debug, Default)]
pub(crate) struct SentSpans {
    spans: Vec<Sent>,
    /// The names that [`Under::First`] counts.
    names: Box<[SubscriptionName]>,
}

/// What is remembered of how a connection began, where there is anything.
#[derive(Debug, Default)]
pub(crate) struct Early {
    /// What it was sent before its client said where it was.
    sent: Vec<Sent>,
    /// Hashes of the ids of kept messages that it was brought: an event that met nobody is in history, too.
    kept_ids: HashSet<u64>,
    /// Events that its replay gave it: behind the first number, up to the second.
    pub(crate) replayed: Option<(u64, u64)>,
}

impl Sent {
    fn holds(&self, recorded: &Recorded, names: &[SubscriptionName]) -> bool {
        let Recorded { place, event, class, .. } = recorded;
        let is_of_part = match self.part {
            Part::All => true,
            Part::Broadcast => event.user.is_none(),
            Part::Urgent => *class == Class::Urgent,
        };
        let was_wanted = || match self.under {
            Under::Any => true,
            Under::Everything => is_named(None, &event.event_type, event.topic.as_ref()),
            Under::First(n) => is_named(names.get(..n), &event.event_type, event.topic.as_ref()),
        };
        place.seq > self.after && place.seq <= self.up_to && is_of_part && was_wanted()
    }
}

impl SentSpans {
    /// These, with the names that they count.
    pub(crate) fn new(spans: Vec<Sent>, names: Option<&[SubscriptionName]>) -> Self {
        Self { spans, names: names.unwrap_or_default().into() }
    }

    pub(crate) fn push(&mut self, sent: Sent) {
        self.spans.push(sent);
    }

    /// Behind which number the first of them is; `None` when there is none.
    pub(crate) fn after(&self) -> Option<u64> {
        self.spans.iter().map(|sent| sent.after).min()
    }

    pub(crate) fn hold(&self, recorded: &Recorded) -> bool {
        self.spans.iter().any(|sent| sent.holds(recorded, &self.names))
    }
}

impl Early {
    /// A kept message with this id is on its way.
    pub(crate) fn note_kept(&mut self, event_id: &str) {
        self.kept_ids.insert(hash(event_id));
    }

    /// Whether a kept message with this id came.
    pub(crate) fn has_kept(&self, event_id: &str) -> bool {
        !self.kept_ids.is_empty() && self.kept_ids.contains(&hash(event_id))
    }

    /// Forgets what only matters to a replay that is over.
    pub(crate) fn forget_kept(&mut self) {
        self.kept_ids = HashSet::new();
    }

    fn is_empty(&self) -> bool {
        self.sent.is_empty() && self.kept_ids.is_empty() && self.replayed.is_none()
    }
}

impl Connection {
    /// What is remembered of how it began; made when there is something.
    pub(crate) fn early_mut(&mut self) -> &mut Early {
        self.early.get_or_insert_default()
    }

    /// Notes what it was sent so far under its present subscription, as long as its client may still say where it was;
    /// `given` is the last event that it was given as it came. Comes before each change of the subscription.
    pub(crate) fn note_sent_under(&mut self, given: u64) {
        if !self.beginning.may_resume || !self.beginning.has_sent {
            return;
        }
        let under = self.names.as_ref().map_or(Under::Everything, |names| Under::First(names.len()));
        let mut spans = vec![(Part::All, self.beginning.sent_after, given)];
        if let Some(behind) = &self.catch_up {
            let cursor = behind.cursor.seq;
            let broadcast = if behind.is_broadcast_live { given } else { behind.broadcast_up_to() };
            spans = vec![
                (Part::All, self.beginning.sent_after, cursor),
                (Part::Broadcast, cursor.max(self.beginning.sent_after), broadcast),
                (Part::Urgent, cursor.max(self.beginning.sent_after), behind.ahead),
            ];
        }
        for (part, after, up_to) in spans {
            let noted = self.early.iter().flat_map(|early| &early.sent).filter(|sent| sent.part == part);
            let after = noted.map(|sent| sent.up_to).fold(after, u64::max);
            if up_to > after {
                self.early_mut().sent.push(Sent { after, up_to, part, under });
            }
        }
    }

    /// What was noted of what it was sent; once.
    pub(crate) fn take_sent(&mut self) -> SentSpans {
        let spans = self.early.as_mut().map(|early| std::mem::take(&mut early.sent)).unwrap_or_default();
        SentSpans::new(spans, self.names.as_deref())
    }

    /// Lets go of what is of no use any more: no replay can come, and none is under way.
    pub(crate) fn forget_early(&mut self) {
        if self.beginning.may_resume || self.catch_up.is_some() {
            return;
        }
        if let Some(early) = &mut self.early {
            early.sent = Vec::new();
            early.forget_kept();
        }
        if self.early.as_ref().is_some_and(|early| early.is_empty()) {
            self.early = None;
        }
    }
}

/// Stands for an event's id where many are remembered.
pub(crate) fn hash(id: &str) -> u64 {
    BuildHasherDefault::<DefaultHasher>::new().hash_one(id)
}
