//! Sends connections elsewhere: all of them when the node goes away, spread over a window.

use std::cell::RefCell;
use std::hash::BuildHasher as _;
use std::rc::{Rc, Weak};
use std::time::Duration;

use hookswitch_protocol::CloseCode;
use tokio::task::spawn_local;
use tokio::time::{Instant, sleep};

use super::{Leaving, Shard, SlotKey, with_shard};
use crate::departure::{Closing, absence, at_their_moments, moments};
use crate::notice;

/// Closes every connection when the node goes away: one after the other over the window, and those that are left
/// at its end together.
pub(super) async fn run(shard: Weak<RefCell<Shard>>) {
    let Some(mut plan) = shard.upgrade().map(|shard| shard.borrow().shared.departure.subscribe()) else { return };
    loop {
        // Its sender lives as long as the shard.
        let Ok(closing) = plan.wait_for(Option::is_some).await.map(|closing| *closing) else { return };
        let Some(due) = closing.and_then(|closing| with_shard(&shard, |shard| shard.in_turn(closing))) else { return };
        let close = |key| _ = with_shard(&shard, |shard| shard.send_elsewhere(key));
        tokio::select! {
            () = at_their_moments(due, close) => break,
            // The window ends sooner: those who are left are spread over the rest of it.
            changed = plan.changed() => if changed.is_err() { return },
        }
    }
    close_the_rest(&shard).await;
}

/// Closes whoever is left, behind the events that were handed over before; where more keep coming, from other
/// nodes, it does not wait for ever.
async fn close_the_rest(shard: &Weak<RefCell<Shard>>) {
    let patience = with_shard(shard, |shard| {
        shard.leaving = Leaving::Asked;
        shard.wake.notify_one();
        shard.config.drain_patience()
    });
    if let Some(patience) = patience {
        sleep(patience).await;
        with_shard(shard, Shard::leave);
    }
}

/// Sends some connections elsewhere, spread over a while, because other nodes have fewer.
pub(super) fn send_some(shard: &Rc<RefCell<Shard>>, n: usize, over: Duration) {
    let due = shard.borrow().some_in_turn(n, over);
    let shard = Rc::downgrade(shard);
    spawn_local(async move {
        at_their_moments(due, |key| _ = with_shard(&shard, |shard| shard.send_elsewhere(key))).await;
    });
}

impl Shard {
    /// Some connections out of all, of every age, each with the moment at which it is closed.
    fn some_in_turn(&self, n: usize, over: Duration) -> Vec<(Instant, SlotKey)> {
        let is_open = |key: &SlotKey| self.is_staying(*key) && self.connections[key.slot as usize].transport.is_some();
        let keys: Vec<SlotKey> = self.keys().filter(is_open).collect();
        let every = (keys.len() / n.max(1)).max(1);
        let first = self.dice.hash_one(self.n_attached) as usize % every;
        let chosen = keys.into_iter().skip(first).step_by(every).take(n);
        let from = Instant::now();
        moments(n, over, usize::from(self.index), self.config.shards).map(|moment| from + moment).zip(chosen).collect()
    }

    /// Every connection with the moment at which it is closed, in no order that a tenant or an age would show in.
    /// None where there is no time left to spread them over.
    fn in_turn(&mut self, closing: Closing) -> Vec<(Instant, SlotKey)> {
        self.leaving = Leaving::InTurn;
        let from = closing.from.max(Instant::now());
        let window = closing.until.saturating_duration_since(from);
        if window.is_zero() {
            return Vec::new();
        }
        let mut keys: Vec<SlotKey> = self.keys().filter(|key| self.is_staying(*key)).collect();
        keys.sort_by_cached_key(|key| self.dice.hash_one(key.id));
        let moments = moments(keys.len(), window, usize::from(self.index), self.config.shards);
        moments.map(|moment| from + moment).zip(keys).collect()
    }

    fn keys(&self) -> impl Iterator<Item = SlotKey> {
        self.connections.iter().map(|(slot, connection)| SlotKey { slot: slot as u32, id: connection.id })
    }

    fn is_staying(&self, key: SlotKey) -> bool {
        self.connections.get(key.slot as usize).is_some_and(|connection| connection.closing.is_none())
    }

    /// Tells the client when to come back, and closes behind that.
    pub(super) fn send_elsewhere(&mut self, key: SlotKey) {
        let Some(form) = self.form_of(key) else { return };
        let tenant = &self.tenants[self.connections[key.slot as usize].tenant as usize].tenant;
        // Another throw than the one for its turn: who is closed late must not come back late, too.
        let after = absence(self.shared.history.reach(tenant), self.dice.hash_one((key.id, "back")));
        let now = self.clock.now();
        let reconnect = notice::reconnect(after, now, tenant);
        let sent_away = form.send_away(reconnect.as_slice().into(), after, CloseCode::Restarting, now);
        self.close_with(key, CloseCode::Restarting, &sent_away);
    }

    /// Closes every connection that is left, because the node goes away.
    pub(super) fn leave(&mut self) {
        if self.leaving == Leaving::Done {
            return;
        }
        self.leaving = Leaving::Done;
        let keys: Vec<SlotKey> = self.keys().collect();
        for key in keys {
            self.send_elsewhere(key);
        }
    }

    /// Whether closing was asked for and nothing is left to append before.
    pub(super) fn may_leave(&self) -> bool {
        self.leaving == Leaving::Asked
            && self.tenants.iter().all(|(_, table)| table.pending.is_empty() && table.append_batch.is_none())
    }

    /// How long a closing connection may take.
    pub(super) fn close_timeout(&self) -> Duration {
        match self.leaving {
            Leaving::No => self.config.close_timeout,
            Leaving::InTurn | Leaving::Asked | Leaving::Done => self.config.last_close_timeout(),
        }
    }
}
