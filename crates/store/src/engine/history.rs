//! Recent history over a restart, kept in `saved_history`.

use hookswitch_hub::{BoxFuture, HistoryError, HistoryStore, SavedPart};

use super::Store;
use super::queries::history;
use crate::error::Failure;
use crate::weight::{Caller, Weight};

impl HistoryStore for Store {
    fn save(&self, parts: Vec<SavedPart>) -> BoxFuture<'_, Result<(), HistoryError>> {
        let n_bytes = parts.iter().map(|part| part.body.len()).sum();
        let turn = (Caller::Node, Weight { n_rows: 2 * parts.len(), n_bytes });
        let work = move |conn: &mut _| history::save(conn, &parts);
        self.inner.acceptance.call_as(Failure::history, "save recent history", turn, work)
    }

    fn take(&self) -> BoxFuture<'_, Result<Vec<SavedPart>, HistoryError>> {
        let turn = (Caller::Node, Weight::LIGHT);
        self.inner.acceptance.call_as(Failure::history, "take recent history back", turn, history::take)
    }
}
