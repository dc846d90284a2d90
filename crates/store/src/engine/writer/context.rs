//! What the queries of a group need beside their connection.

use std::sync::Arc;

use super::dialect::RowNumbers;
use crate::webhook_columns::WebhookColumns;

/// Shared by the writers of one store.
#[derive(Debug)]
pub(crate) struct WriterContext {
    pub(crate) columns: Arc<WebhookColumns>,
    pub(crate) row_numbers: RowNumbers,
}
