//! Moves events between hubs of one process.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use hookswitch_protocol::{Event, TenantId};

use crate::broker::{Broker, BrokerError, BrokerSink};
use crate::seam::BoxFuture;

/// One hub's place on a bus inside the process. A hub on its own has a bus to itself.
pub struct MemoryBroker {
    bus: Arc<Mutex<Vec<Member>>>,
    number: usize,
}

struct Member {
    number: usize,
    sink: Arc<dyn BrokerSink>,
    watched: HashSet<TenantId>,
}

impl MemoryBroker {
    /// A bus nobody else is on.
    pub fn alone() -> Self {
        Self { bus: Arc::default(), number: 0 }
    }

    /// Another place on the same bus, for the hub with this sink.
    #[must_use]
    pub fn join(&self, sink: Arc<dyn BrokerSink>) -> Self {
        let mut members = self.bus.lock().unwrap_or_else(PoisonError::into_inner);
        let number = members.iter().map(|member| member.number).max().unwrap_or(0) + 1;
        members.push(Member { number, sink, watched: HashSet::new() });
        Self { bus: Arc::clone(&self.bus), number }
    }

    fn with_member(&self, change: impl FnOnce(&mut Member)) {
        let mut members = self.bus.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(member) = members.iter_mut().find(|member| member.number == self.number) {
            change(member);
        }
    }
}

impl Broker for MemoryBroker {
    fn watch<'a>(&'a self, tenant: &'a TenantId) -> BoxFuture<'a, Result<(), BrokerError>> {
        self.with_member(|member| _ = member.watched.insert(tenant.clone()));
        Box::pin(std::future::ready(Ok(())))
    }

    fn unwatch<'a>(&'a self, tenant: &'a TenantId) -> BoxFuture<'a, Result<(), BrokerError>> {
        self.with_member(|member| _ = member.watched.remove(tenant));
        Box::pin(std::future::ready(Ok(())))
    }

    fn publish<'a>(&'a self, event: &'a Arc<Event>) -> BoxFuture<'a, Result<(), BrokerError>> {
        let members = self.bus.lock().unwrap_or_else(PoisonError::into_inner);
        for member in members.iter() {
            if member.number != self.number && member.watched.contains(&event.tenant) {
                member.sink.on_event(Arc::clone(event));
            }
        }
        Box::pin(std::future::ready(Ok(())))
    }
}

impl fmt::Debug for MemoryBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBroker").field("number", &self.number).finish_non_exhaustive()
    }
}
