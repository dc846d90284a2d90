//! What a database answers about the backlog, and about the nodes that share it.

use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Bool, Nullable, Text};

/// One webhook's share of the backlog.
#[derive(Debug, QueryableByName)]
pub(crate) struct BacklogRow {
    /// Which webhook.
    #[diesel(sql_type = BigInt)]
    pub(crate) webhook_id: i64,
    /// First attempts or retries.
    #[diesel(sql_type = Bool)]
    pub(crate) is_retry: bool,
    /// Whose; `None` when nothing of this kind is due now.
    #[diesel(sql_type = Nullable<Text>)]
    pub(crate) tenant_id: Option<String>,
    /// The first one that is not due yet.
    #[diesel(sql_type = Nullable<BigInt>)]
    pub(crate) next_due: Option<i64>,
}

/// What a sweep finds of the other nodes.
#[derive(Debug, Default)]
pub(crate) struct PeerNodes {
    /// Those that have fallen silent.
    pub(crate) dead: Vec<String>,
    /// Those that live.
    pub(crate) alive: Vec<String>,
}
