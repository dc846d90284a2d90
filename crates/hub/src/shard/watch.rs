//! What reaches a shard without a message: the clock, the drain, the end. Each has a task of its own
//! on the shard's thread, so that the turn does not look at all of them for every event.

use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use tokio::task::spawn_local;
use tokio::time::{MissedTickBehavior, interval};

use super::{Shard, depart, with_shard};
use crate::publish::affinity::{Load, LoadMeter};

/// Starts the tasks. They hold the shard weakly: what it owns must go with the thread, before the
/// runtime does. A panic in one of them is a crash of the shard.
pub(super) fn start(shard: &Rc<RefCell<Shard>>, load: Arc<Load>) {
    spawn_local(sweep(Rc::downgrade(shard), load));
    spawn_local(depart::run(Rc::downgrade(shard)));
    spawn_local(end(Rc::downgrade(shard)));
}

async fn sweep(shard: Weak<RefCell<Shard>>, load: Arc<Load>) {
    let mut meter = LoadMeter::start();
    let Some(every) = shard.upgrade().map(|shard| shard.borrow().sweep_interval()) else { return };
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let mut next = Some(0);
        while let Some(from) = next {
            let Some(left) = with_shard(&shard, |shard| shard.sweep_some(from)) else { return };
            next = left;
            if next.is_some() {
                tokio::task::yield_now().await;
            }
        }
        meter.note(&load);
    }
}

/// Ends the shard with the scope's hard token.
async fn end(shard: Weak<RefCell<Shard>>) {
    let Some(hard) = shard.upgrade().map(|shard| shard.borrow().scope.hard().clone()) else { return };
    hard.cancelled().await;
    with_shard(&shard, |shard| {
        shard.is_over = true;
        shard.wake.notify_one();
    });
}
