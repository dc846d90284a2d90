//! Where a publisher best runs, as far as it depends on what its events mean.

use hookswitch_hub::ShardId;
use hookswitch_protocol::{NewEvent, TenantId};

use crate::checked::check;
use crate::prepared_batch::PreparedBatch;
use crate::switchboard::Switchboard;

impl Switchboard {
    /// Assigns a publisher of events like this one its place, `now` being where it runs so far: see
    /// [`hookswitch_hub::Hub::assign_place`]. `None` when a store has to be asked about such events, for
    /// that is done on the switchboard's own runtime.
    ///
    /// Looks at what the event means as its acceptance does, so it is not for every event.
    pub fn assign_place(&self, tenant: &TenantId, event: &NewEvent, now: Option<ShardId>) -> Option<ShardId> {
        let batch = check(vec![event.clone()]).ok()?;
        let is_live_only = PreparedBatch::new(&self.0, tenant, batch).is_live_only();
        if is_live_only { self.hub().assign_place(tenant, event, now) } else { None }
    }
}
