//! The shard's thread: its runtime, its mailbox, its loop.

use std::cell::RefCell;
use std::io;
use std::panic::resume_unwind;
use std::rc::Rc;
use std::sync::{Arc, mpsc as blocking};

use hookswitch_runtime::{Clock, Scope};
use tokio::runtime::{Builder, Handle, LocalOptions, LocalRuntime};
use tokio::sync::mpsc;
use tokio::task::spawn_local;

use super::request::Request;
use super::{Shard, THREAD, depart, watch};
use crate::config::HubConfig;
use crate::publish::affinity::Load;
use crate::publish::batch::Batch;
use crate::shared::Shared;

/// Requests that may wait; beyond it connecting waits.
const REQUESTS: usize = 1_024;

/// Requests and batches taken in before the next slice of work.
const TAKEN_AT_ONCE: usize = 256;

/// The ways into one shard.
pub(crate) struct Mailbox {
    /// Bounded by the permits that every sender of events must hold.
    pub(crate) batches: mpsc::Sender<Batch>,
    pub(crate) requests: mpsc::Sender<Request>,
    /// Where else work may be put that belongs beside the shard.
    pub(crate) runtime: Handle,
    pub(crate) load: Arc<Load>,
}

/// Starts a shard's thread. It ends with the scope's hard token; a panic in it trips the soft one,
/// because a node whose shard is gone must not look alive.
///
/// # Errors
/// When the system gives no thread or no runtime.
pub(crate) fn spawn(
    index: u8,
    config: Arc<HubConfig>,
    clock: Clock,
    shared: Arc<Shared>,
    scope: Scope,
) -> io::Result<Mailbox> {
    let (batches, batch_inbox) = mpsc::channel(config.mailbox_events.max(1));
    let (requests, request_inbox) = mpsc::channel(REQUESTS);
    let inbox = Inbox { batches: batch_inbox, requests: request_inbox };
    let (started, start) = blocking::sync_channel(1);
    let load = Arc::new(Load::default());
    let own_load = Arc::clone(&load);
    std::thread::Builder::new().name(format!("{THREAD}-{index}")).spawn(move || {
        let _crash_guard = scope.crash_guard(THREAD);
        // Made here, for it cannot change threads.
        let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
        match runtime {
            Ok(runtime) => {
                let _nobody_waits = started.send(Ok(runtime.handle().clone()));
                live(&runtime, || Shard::new(index, config, clock, shared, scope), own_load, inbox);
            }
            Err(error) => _ = started.send(Err(error)),
        }
    })?;
    let runtime = start.recv().map_err(|_| io::Error::other("a shard's thread ended at once"))??;
    Ok(Mailbox { batches, requests, runtime, load })
}

/// Runs the shard until it is over. Its turn is a task like its readers: woken by one of them, or by
/// a publisher beside it, it comes next, without asking the system in between.
fn live(runtime: &LocalRuntime, new: impl FnOnce() -> Rc<RefCell<Shard>>, load: Arc<Load>, inbox: Inbox) {
    // Inside the runtime, because the shard's clock starts here.
    let shard = {
        let _entered = runtime.enter();
        new()
    };
    let ended = runtime.block_on(async move {
        watch::start(&shard, load);
        spawn_local(async move { run(&shard, inbox).await }).await
    });
    if let Err(panicked) = ended.map_err(tokio::task::JoinError::try_into_panic) {
        resume_unwind(panicked.unwrap_or_else(|_| Box::new("the shard's turn was cancelled")));
    }
}

struct Inbox {
    batches: mpsc::Receiver<Batch>,
    requests: mpsc::Receiver<Request>,
}

impl Inbox {
    fn is_empty(&self) -> bool {
        self.batches.is_empty() && self.requests.is_empty()
    }
}

/// Works until the shard is over. What comes from the clock or from the node's end is not waited for
/// here but by tasks of its own (see [`watch`]), for each further thing to wait for costs every event.
async fn run(shard: &Rc<RefCell<Shard>>, mut inbox: Inbox) {
    let wake = Rc::clone(&shard.borrow().wake);
    while !shard.borrow().is_over {
        take_waiting(shard, &mut inbox);
        if inbox.batches.is_empty() && shard.borrow().may_leave() {
            shard.borrow_mut().leave();
        }
        if shard.borrow().has_work() {
            shard.borrow_mut().turn();
            // Lets readers, the system's readiness and the clock in between slices. When nothing
            // is left, waiting does that too, and yielding would be one more system call per event.
            if shard.borrow().has_work() || !inbox.is_empty() {
                tokio::task::yield_now().await;
            }
            continue;
        }
        tokio::select! {
            // Batches may go first: requests had their turn above.
            biased;
            Some(batch) = inbox.batches.recv() => shard.borrow_mut().enqueue(batch),
            Some(request) = inbox.requests.recv() => serve(shard, request),
            () = wake.notified() => {}
        }
    }
}

/// Takes what has arrived, without waiting.
fn take_waiting(shard: &Rc<RefCell<Shard>>, inbox: &mut Inbox) {
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

fn serve(shard: &Rc<RefCell<Shard>>, request: Request) {
    let request = match request {
        Request::Open { key, open } => return Shard::open(shard, key, open),
        Request::SendAway { n, over } => return depart::send_some(shard, n, over),
        request => request,
    };
    let mut this = shard.borrow_mut();
    match request {
        Request::Open { .. } | Request::SendAway { .. } => {}
        Request::Attach { who, form, holds_back, reply } => {
            let key = this.attach(&who, form, holds_back);
            if this.shared.draining.is_cancelled() {
                this.send_elsewhere(key);
            }
            // Whoever asked is gone: so is the connection.
            if reply.send(key).is_err() {
                this.detach(key);
            }
        }
        Request::Detach { key } => this.detach(key),
        Request::BeginBacklog { user, only_broadcast, reply } => {
            let key = this.begin_backlog(&user, only_broadcast);
            // The delivery task was ended meanwhile.
            if let Err(Some(key)) = reply.send(key) {
                this.end_kept(key);
            }
        }
        Request::Backlog { key, messages, done } => this.send_backlog(key, &messages, done),
        Request::Release { user, only_unserved } => this.release(&user, only_unserved),
        Request::Gap { tenant, n_missed } => this.begin_gap(tenant, n_missed),
        Request::Recovered { tenant } => this.recovered(&tenant),
        Request::Describe { user, asked, reply } => {
            let _gone = reply.send(this.describe(&user, asked.as_ref()));
        }
    }
}
