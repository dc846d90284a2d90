//! A shard: one thread that owns its connections, their outboxes and their sockets.
//!
//! Its turn: take what others sent, append frames to outboxes, flush each dirty connection once.

pub(crate) mod append_batch;
pub(crate) mod catch_up;
mod command_share;
pub(crate) mod connection;
pub(crate) mod connection_handle;
mod deliver;
mod depart;
pub(crate) mod describe;
mod flush;
mod gap_walk;
mod kept;
mod kept_messages;
mod members;
pub(crate) mod outbox;
mod own;
mod replay;
pub(crate) mod request;
pub(crate) mod resume;
mod run;
pub(crate) mod sent;
pub(crate) mod subscription_index;
mod tell_gap;
pub(crate) mod tenant_table;
mod timeouts;
pub(crate) mod transport;
pub(crate) mod visibility;
mod watch;

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::hash::RandomState;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use hookswitch_protocol::{ConnectionId, TenantId};
use hookswitch_runtime::{Clock, Scope};
use slab::Slab;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::config::HubConfig;
use crate::publish::wire_form::WireForm;
use crate::shard::connection::Connection;
use crate::shard::gap_walk::GapWalks;
use crate::shard::tenant_table::{Audience, TenantTable};
use crate::shared::Shared;

pub(crate) use run::spawn;

/// Slots looked at in a walk over all connections before others get a turn.
const SLOTS_AT_ONCE: usize = 4_096;

/// What a crash of a shard is reported as.
const THREAD: &str = "hub-shard";

/// A connection within its shard. The id tells a slot's present owner from an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SlotKey {
    pub(crate) slot: u32,
    pub(crate) id: ConnectionId,
}

/// How far the shard is with sending everybody away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leaving {
    No,
    /// One after the other.
    InTurn,
    /// As soon as what was handed over is in the outboxes.
    Asked,
    Done,
}

/// The state of one shard. Used on its own thread only, by its turn and by its readers.
pub(crate) struct Shard {
    index: u8,
    config: Arc<HubConfig>,
    clock: Clock,
    shared: Arc<Shared>,
    scope: Scope,
    /// Every form that a connection here has had, by its number.
    forms: Vec<&'static dyn WireForm>,
    connections: Slab<Connection>,
    tenants: Slab<TenantTable>,
    by_tenant: HashMap<TenantId, u32>,
    /// Tenants with something to append or to flush, each once: round robin between them.
    ring: VecDeque<u32>,
    gap_walks: GapWalks,
    /// Wakes the turn when a reader left something to do.
    wake: Rc<Notify>,
    leaving: Leaving,
    /// Gives each connection a number of its own, by chance.
    dice: RandomState,
    /// The node has come to its hard end: no further turn.
    is_over: bool,
    n_attached: u64,
    n_batches: u64,
    started: Instant,
    /// Memory used again for each event.
    audience: Audience,
}

/// Does something to a shard that is still there, on its own thread; a panic in there is the shard's crash.
fn with_shard<T>(shard: &Weak<RefCell<Shard>>, act: impl FnOnce(&mut Shard) -> T) -> Option<T> {
    let shard = shard.upgrade()?;
    let _crash_guard = shard.borrow().scope.crash_guard(THREAD);
    Some(act(&mut shard.borrow_mut()))
}

impl Shard {
    fn new(index: u8, config: Arc<HubConfig>, clock: Clock, shared: Arc<Shared>, scope: Scope) -> Rc<RefCell<Self>> {
        Rc::new(RefCell::new(Self {
            index,
            config,
            clock,
            shared,
            scope,
            forms: Vec::new(),
            connections: Slab::new(),
            tenants: Slab::new(),
            by_tenant: HashMap::new(),
            ring: VecDeque::new(),
            gap_walks: GapWalks::default(),
            wake: Rc::new(Notify::new()),
            leaving: Leaving::No,
            dice: RandomState::new(),
            is_over: false,
            n_attached: 0,
            n_batches: 0,
            started: Instant::now(),
            audience: Audience::default(),
        }))
    }

    /// A reader's call panicked in here: nothing can be relied on any more.
    pub(crate) fn report_crash(&self) {
        self.scope.report_crash(THREAD);
    }

    /// Milliseconds since the shard started.
    fn millis(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }

    /// How the connection's client reads; `None` when the connection is gone.
    fn form_of(&self, key: SlotKey) -> Option<&'static dyn WireForm> {
        let connection = self.connections.get(key.slot as usize).filter(|c| c.id == key.id)?;
        Some(self.forms[connection.form.index()])
    }

    fn connection(&mut self, key: SlotKey) -> Option<&mut Connection> {
        self.connections.get_mut(key.slot as usize).filter(|c| c.id == key.id)
    }

    /// The tenant's table, made when it is new.
    fn tenant_index(&mut self, tenant: &TenantId) -> u32 {
        if let Some(index) = self.by_tenant.get(tenant) {
            return *index;
        }
        let index = self.tenants.insert(TenantTable::new(tenant.clone())) as u32;
        self.by_tenant.insert(tenant.clone(), index);
        index
    }

    /// Drops the tenant's table when nothing refers to it.
    fn tenant_forget_if_idle(&mut self, index: u32) {
        if self.tenants.get(index as usize).is_some_and(TenantTable::is_idle) {
            let table = self.tenants.remove(index as usize);
            self.by_tenant.remove(&table.tenant);
        }
    }

    /// Puts the tenant into the ring.
    fn queue_tenant(&mut self, index: u32) {
        let table = &mut self.tenants[index as usize];
        if !table.is_queued {
            table.is_queued = true;
            self.ring.push_back(index);
            self.wake.notify_one();
        }
    }

    /// Queues the connection for a flush.
    fn mark_dirty(&mut self, slot: u32) {
        let connection = &mut self.connections[slot as usize];
        if connection.is_dirty {
            return;
        }
        connection.is_dirty = true;
        let tenant = connection.tenant;
        self.tenants[tenant as usize].dirty.push_back(slot);
        self.queue_tenant(tenant);
    }
}
