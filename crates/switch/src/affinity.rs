//! Where a publisher best runs, as far as it depends on what its events mean.

use hookswitch_hub::ShardId;
use hookswitch_protocol::{Category, NewEvent, TenantId};

use crate::switch::Switch;

impl Switch {
    /// Assigns a publisher of events like this one its place, `now` being where it runs so far: see
    /// [`hookswitch_hub::Hub::assign_place`]. `None` when a store has to be asked about such events, for
    /// that is done on the switchboard's own runtime.
    ///
    /// Takes a short lock, so it is not for every event.
    pub fn assign_place(&self, tenant: &TenantId, event: &NewEvent, now: Option<ShardId>) -> Option<ShardId> {
        if self.may_ask_store(tenant, event) { None } else { self.hub().assign_place(tenant, event, now) }
    }

    fn may_ask_store(&self, tenant: &TenantId, event: &NewEvent) -> bool {
        let is_of_session = event.session.is_some() || event.event_type.category() == Category::Chat;
        let NewEvent { id, user, event_type, payload, .. } = event;
        let is_wanted = || !self.webhooks().targets(tenant, event_type, payload, self.0.clock.now()).is_empty();
        id.is_some() || user.is_some() || is_of_session || is_wanted()
    }
}
