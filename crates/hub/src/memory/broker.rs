//! Moves events between hubs of one process.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hookswitch_protocol::TenantId;

use crate::seams::broker::{Broker, BrokerError, BrokerSink, Origin, Publication, Received};
use crate::seams::user_key::UserKey;
use hookswitch_runtime::BoxFuture;

/// One hub's place on a bus inside the process. A hub on its own has a bus to itself.
pub struct MemoryBroker {
    bus: Arc<Bus>,
    number: usize,
    is_alone: bool,
}

#[derive(Default)]
struct Bus {
    members: Mutex<Vec<Member>>,
    /// What was published and is still to be handed over, with the publisher's number. Apart from the
    /// members: whoever publishes holds its tenant's turn, which handing over takes at another hub.
    pending: Mutex<VecDeque<(usize, Publication)>>,
    /// One hands over at a time, or their order would be lost again.
    handing_over: Mutex<()>,
}

impl Bus {
    fn members(&self) -> MutexGuard<'_, Vec<Member>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pending(&self) -> MutexGuard<'_, VecDeque<(usize, Publication)>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hand_over(&self) {
        let _alone = self.handing_over.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let Some((from, Publication { event, .. })) = self.pending().pop_front() else { return };
            for member in self.members().iter().filter(|member| member.number != from) {
                if member.watched.contains(&event.tenant) {
                    // Presence in memory knows of no holders elsewhere, so nobody is answerable.
                    let origin = Origin::Node { answerable_with: None };
                    member.sink.on_events(&event.tenant, vec![Received::live(Arc::clone(event.event()), origin)]);
                }
            }
        }
    }
}

struct Member {
    number: usize,
    sink: Arc<dyn BrokerSink>,
    watched: HashSet<TenantId>,
}

impl MemoryBroker {
    /// A bus nobody else is on.
    pub fn alone() -> Self {
        Self { bus: Arc::default(), number: 0, is_alone: true }
    }

    /// Another place on the same bus, for the hub with this sink.
    #[must_use]
    pub fn join(&self, sink: Arc<dyn BrokerSink>) -> Self {
        let mut members = self.bus.members();
        let number = members.iter().map(|member| member.number).max().unwrap_or(0) + 1;
        members.push(Member { number, sink, watched: HashSet::new() });
        Self { bus: Arc::clone(&self.bus), number, is_alone: false }
    }

    fn with_member(&self, change: impl FnOnce(&mut Member)) {
        let mut members = self.bus.members();
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

    fn publish<'a>(&'a self, publications: &'a [Publication]) -> BoxFuture<'a, Result<(), BrokerError>> {
        self.bus.pending().extend(publications.iter().map(|publication| (self.number, publication.clone())));
        Box::pin(async {
            self.bus.hand_over();
            Ok(())
        })
    }

    fn is_alone(&self) -> bool {
        self.is_alone
    }

    fn backlog_kept<'a>(&'a self, user: &'a UserKey) -> BoxFuture<'a, Result<(), BrokerError>> {
        let members = self.bus.members();
        for member in members.iter().filter(|member| member.number != self.number) {
            if member.watched.contains(&user.tenant) {
                member.sink.on_backlog(user.clone());
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
