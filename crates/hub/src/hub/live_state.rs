//! One thing with [`hub`](super): what a tenant's events add up to.

use hookswitch_protocol::TenantId;
use hookswitch_state::StateSubscription;

use super::Hub;

/// The body of [`Hub::read_state`].
pub(super) fn read_state(hub: &Hub, tenant: &TenantId, wanted: &StateSubscription) -> Option<String> {
    let history = &hub.0.fanout.shared.history;
    let fold = history.fold(tenant)?;
    let read = fold.read(history.now(), |state| state.read(wanted));
    history.check_folds();
    Some(read)
}
