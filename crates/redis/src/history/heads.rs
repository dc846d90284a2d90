//! The last position of each tenant's history.

use std::sync::Arc;

use fred::error::{Error, ErrorKind};
use fred::types::Value;
use futures_util::future::join_all;
use hookswitch_protocol::TenantId;

use super::Position;
use super::connections::Connection;
use super::error::HistoryError;
use super::{HEAD_EXPIRY_SECS, HistoryStream, items, number};

const OPERATION: &str = "read the head of recent history";

const BEGIN: &str = "begin recent history";

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

impl HistoryStream {
    /// The heads of many tenants, in order, `None` for one without a history; each then lasts another day at least. Asked for in
    /// pipelined pages, each command within the time that it has (1 s). A dropped future leaves nothing behind.
    pub async fn heads(&self, tenants: &[TenantId]) -> Vec<Result<Option<Head>, HistoryError>> {
        let mut heads = Vec::with_capacity(tenants.len());
        for page in tenants.chunks(HEADS_AT_ONCE) {
            let asked: Vec<_> = page.iter().map(|tenant| self.head(tenant)).collect();
            heads.extend(join_all(asked).await);
        }
        heads
    }

    /// Begins the history of a tenant that has none; gives the place behind which its first event will stand, or where
    /// it ends if somebody else has begun it. A dropped future leaves it begun or not.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub async fn begin(&self, tenant: &TenantId, seen: Option<Position>) -> Result<Head, HistoryError> {
        let keys = self.keys(tenant);
        let (node, random) = (self.link.node().as_str(), self.random());
        let seen = seen.map_or(0, |seen| seen.epoch);
        let args = |connection: &Connection| -> Vec<Value> {
            vec![node.into(), connection.run_id().into(), format!("{random:03}").into(), seen.to_string().into()]
        };
        let failed = |error| HistoryError::new(BEGIN, &keys[0], &Arc::new(error));
        let (said, _connection) = self.connections.run(&self.begin, BEGIN, &keys, args).await.map_err(failed)?;
        let said = items(said);
        match said.first().and_then(number).zip(said.get(1).and_then(number)) {
            Some((epoch, offset)) => Ok(Head { position: Position { epoch, offset }, is_current: true }),
            None => Err(failed(self.link.failed(BEGIN, &keys[0], Error::new(ErrorKind::Parse, "no position")))),
        }
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
