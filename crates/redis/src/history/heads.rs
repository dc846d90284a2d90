//! The last position of each tenant's history.

use std::sync::Arc;

use futures_util::future::join_all;
use hookswitch_protocol::TenantId;

use super::error::HistoryError;
use super::position::Position;
use super::{HEAD_EXPIRY_SECS, History};

const OPERATION: &str = "read the head of recent history";

/// Heads that are asked for together.
const HEADS_AT_ONCE: usize = 256;

/// The last position that a history gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The position.
    pub position: Position,
    /// Whether it was given by the server that was asked, as it runs now. Otherwise positions above may have been given
    /// that are lost, and the next append begins a new epoch.
    pub is_current: bool,
}

impl History {
    /// The heads of many tenants, in order, `None` for one without a history; each then lasts another day at least. Asked for in
    /// pipelined pages, each command within the time that it has (1 s). A dropped future leaves nothing behind.
    pub async fn heads(&self, tenants: &[TenantId]) -> Vec<Result<Option<Head>, HistoryError>> {
        let mut heads = Vec::with_capacity(tenants.len());
        for page in tenants.chunks(HEADS_AT_ONCE) {
            heads.extend(join_all(page.iter().map(|tenant| self.head(tenant))).await);
        }
        heads
    }

    async fn head(&self, tenant: &TenantId) -> Result<Option<Head>, HistoryError> {
        let [key, _] = self.keys(tenant);
        let asked = self.connections.fields(OPERATION, &key, ["epoch", "offset", "run"], HEAD_EXPIRY_SECS).await;
        let (values, connection) = asked.map_err(|error| HistoryError::new(OPERATION, &key, &Arc::new(error)))?;
        let number = |place: usize| values.get(place)?.as_ref()?.parse().ok();
        let Some((epoch, offset)) = number(0).zip(number(1)) else { return Ok(None) };
        let run_id = values.get(2).and_then(Option::as_deref);
        Ok(Some(Head { position: Position { epoch, offset }, is_current: run_id == Some(connection.run_id()) }))
    }
}
