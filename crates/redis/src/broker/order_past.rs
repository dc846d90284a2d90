//! What came before a node's interest in a tenant, for clients that come back to it.

use std::time::Duration;

use hookswitch_hub::{Past, Received};
use hookswitch_protocol::{Chain, Position, TenantId};

use super::orders::{Orders, locked};
use crate::history::{HistoryPage, HistoryRead, PageBounds};

/// How often it is looked whether what is missing has come.
const LOOK: Duration = Duration::from_millis(5);

impl Orders {
    /// Gives everything of the tenant up to now, and what is held of what came before.
    pub(crate) async fn recover(&self, tenant: &TenantId, with_past: bool) {
        self.read_heads(std::slice::from_ref(tenant), false).await;
        let given = async {
            while locked(&self.of(tenant)).hole().is_some() {
                tokio::time::sleep(LOOK).await;
            }
        };
        // What does not come is given up by then.
        let _given = tokio::time::timeout(self.link.config().command_timeout * 2, given).await;
        if with_past {
            self.read_past(tenant).await;
        }
    }

    /// One reading of all that is held.
    async fn read_past(&self, tenant: &TenantId) {
        let Some(at) = locked(&self.of(tenant)).seen() else { return };
        let bounds = self.link.config().history;
        let after = Position { offset: 0, ..at };
        let read =
            self.history.read_after(tenant, after, PageBounds { events: bounds.events * 2, bytes: bounds.bytes * 2 });
        match read.await {
            Ok(HistoryRead::Page(page)) => self.give_past(tenant, after, page),
            Ok(HistoryRead::Unknown { .. }) => {}
            Err(error) => {
                tracing::warn!(%tenant, error = %Chain(&error), "recent history could not be read for a client that came back");
            }
        }
    }

    fn give_past(&self, tenant: &TenantId, after: Position, page: HistoryPage) {
        let event = |event: crate::history::HistoryEvent| -> Option<Received> {
            let position = Position { offset: event.offset, ..after };
            let (_, received) = self.read_event(tenant, &event.envelope, position)?;
            Some(Received { is_known: true, ..received })
        };
        let at = |offset: u64| Position { offset: offset.saturating_sub(1), ..after };
        self.metrics.fetched.inc_by(page.events.len() as u64);
        self.sink.on_past(
            tenant,
            Past {
                events: page.events.into_iter().filter_map(event).collect(),
                held_after: at(page.held_from),
                opt_in_held_after: at(page.opt_in_held_from),
            },
        );
    }
}
