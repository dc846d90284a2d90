//! The shard's thread: its runtime, its mailbox, its loop.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;

use hookswitch_protocol::CloseCode;
use hookswitch_runtime::{Clock, Scope};
use tokio::sync::mpsc;

use super::{Request, Shard};
use crate::config::HubConfig;
use crate::outlet::Outlet;
use crate::shared::Shared;
use crate::tenant::Batch;

/// What a crash of a shard is reported as.
pub(super) const THREAD: &str = "hub-shard";

/// Requests that may wait; beyond it connecting waits.
const REQUESTS: usize = 1_024;

/// Requests and batches taken in before the next slice of work.
const TAKEN_AT_ONCE: usize = 256;

/// The ways into one shard.
pub(crate) struct Mailbox<O: Outlet> {
    /// Bounded by the permits that every sender of events must hold.
    pub(crate) batches: mpsc::Sender<Batch>,
    pub(crate) requests: mpsc::Sender<Request<O>>,
}

/// Starts a shard's thread. It ends with the scope's hard token; a panic in it trips the soft one,
/// because a node whose shard is gone must not look alive.
///
/// # Errors
/// When the system gives no thread or no runtime.
pub(crate) fn spawn<O: Outlet>(
    index: u8,
    config: Arc<HubConfig>,
    clock: Clock,
    shared: Arc<Shared>,
    scope: Scope,
) -> io::Result<(Mailbox<O>, JoinHandle<()>)> {
    let (batches, batch_inbox) = mpsc::channel(config.mailbox_events.max(1));
    let (requests, request_inbox) = mpsc::channel(REQUESTS);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let thread = std::thread::Builder::new().name(format!("{THREAD}-{index}")).spawn(move || {
        let _crash_guard = scope.crash_guard(THREAD);
        let hard = scope.hard().clone();
        let tasks = tokio::task::LocalSet::new();
        // Inside the runtime, because the shard's clock starts here.
        let shard = {
            let _entered = runtime.enter();
            Shard::<O>::new(index, config, clock, shared, scope)
        };
        let inbox = Inbox { batches: batch_inbox, requests: request_inbox };
        tasks.block_on(&runtime, async { hard.run_until_cancelled(run(&shard, inbox)).await });
    })?;
    Ok((Mailbox { batches, requests }, thread))
}

struct Inbox<O: Outlet> {
    batches: mpsc::Receiver<Batch>,
    requests: mpsc::Receiver<Request<O>>,
}

async fn run<O: Outlet>(shard: &Rc<RefCell<Shard<O>>>, mut inbox: Inbox<O>) {
    let (wake, draining, interval) = {
        let this = shard.borrow();
        (Rc::clone(&this.wake), this.shared.draining.clone(), this.sweep_interval())
    };
    let mut sweep = tokio::time::interval(interval);
    sweep.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut is_draining = false;
    loop {
        take_waiting(shard, &mut inbox);
        if !is_draining && draining.is_cancelled() {
            is_draining = true;
            shard.borrow_mut().close_all(CloseCode::Restarting);
        }
        if shard.borrow().has_work() {
            shard.borrow_mut().turn();
            // Lets readers and the system's readiness in between slices. The sweep must not starve
            // under load either.
            tokio::select! {
                biased;
                _ = sweep.tick() => shard.borrow_mut().sweep(),
                () = tokio::task::yield_now() => {}
            }
            continue;
        }
        tokio::select! {
            Some(batch) = inbox.batches.recv() => shard.borrow_mut().enqueue(batch),
            Some(request) = inbox.requests.recv() => serve(shard, request),
            () = wake.notified() => {}
            _ = sweep.tick() => shard.borrow_mut().sweep(),
            () = draining.cancelled(), if !is_draining => {}
        }
    }
}

/// Takes what has arrived, without waiting.
fn take_waiting<O: Outlet>(shard: &Rc<RefCell<Shard<O>>>, inbox: &mut Inbox<O>) {
    for _ in 0..TAKEN_AT_ONCE {
        let Ok(request) = inbox.requests.try_recv() else { break };
        serve(shard, request);
    }
    let mut this = shard.borrow_mut();
    for _ in 0..TAKEN_AT_ONCE {
        let Ok(batch) = inbox.batches.try_recv() else { break };
        this.enqueue(batch);
    }
}

fn serve<O: Outlet>(shard: &Rc<RefCell<Shard<O>>>, request: Request<O>) {
    if let Request::Open { key, ticket } = request {
        return Shard::open(shard, key, ticket);
    }
    let mut this = shard.borrow_mut();
    match request {
        Request::Open { .. } => {}
        Request::Attach { who, holds_back, reply } => {
            let key = this.attach(&who, holds_back);
            if this.shared.draining.is_cancelled() {
                this.close(key, CloseCode::Restarting);
            }
            // Whoever asked is gone: so is the connection.
            if reply.send(key).is_err() {
                this.detach(key);
            }
        }
        Request::Detach { key } => this.detach(key),
        Request::BeginBacklog { user, reply } => {
            let key = this.begin_backlog(&user);
            // The courier was ended meanwhile.
            if let Err(Some(key)) = reply.send(key) {
                this.end_backlog(key);
            }
        }
        Request::Backlog { key, frames, done } => this.send_backlog(key, &frames, done),
        Request::Release { user } => this.release(&user),
    }
}
