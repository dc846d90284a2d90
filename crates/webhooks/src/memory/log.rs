//! The attempt log in memory.

use hookswitch_protocol::{TenantId, Timestamp, WebhookId};

use super::{LOG_ROWS, MemoryWebhooks, State};
use crate::directory::{DirectoryError, Listed, Page};
use crate::log::{AttemptLog, AttemptRow, DeliveryStats, LoggedAttempt};
use crate::seam::BoxFuture;

impl AttemptLog for MemoryWebhooks {
    fn append(&self, row: AttemptRow) -> BoxFuture<'_, Result<(), DirectoryError>> {
        self.locked(|state, _| {
            state.log(row);
            Ok(())
        })
    }

    fn rows(&self, webhook: WebhookId, page: Page) -> BoxFuture<'_, Result<Listed<LoggedAttempt>, DirectoryError>> {
        self.locked(move |state, _| Ok(state.listed(page, |row| row.webhook == webhook)))
    }

    fn failed<'a>(
        &'a self,
        tenant: &'a TenantId,
        since: Timestamp,
        page: Page,
    ) -> BoxFuture<'a, Result<Listed<LoggedAttempt>, DirectoryError>> {
        self.locked(move |state, _| {
            let is_theirs = |id| state.webhooks.get(&id).is_some_and(|known| known.webhook.tenant == *tenant);
            Ok(state.listed(page, |row| row.at >= since && !is_success(row) && is_theirs(row.webhook)))
        })
    }

    fn stats(&self, webhook: WebhookId, since: Timestamp) -> BoxFuture<'_, Result<DeliveryStats, DirectoryError>> {
        self.locked(move |state, _| {
            let rows = || state.rows.values().map(|l| &l.row).filter(|row| row.webhook == webhook && row.at >= since);
            let total = rows().count() as u64;
            let sum: u64 = rows().map(|row| u64::from(row.duration_ms)).sum();
            let successful = rows().filter(|row| is_success(row)).count() as u64;
            Ok(DeliveryStats { total, successful, avg_latency_ms: sum as f64 / total.max(1) as f64 })
        })
    }
}

fn is_success(row: &AttemptRow) -> bool {
    row.response_code.is_some_and(|code| (200..300).contains(&code))
}

impl State {
    /// Adds a row; the oldest goes when there are too many.
    pub(super) fn log(&mut self, row: AttemptRow) {
        self.last_row += 1;
        self.rows.insert(self.last_row, LoggedAttempt { id: self.last_row, row });
        if self.rows.len() > LOG_ROWS {
            self.rows.pop_first();
        }
    }

    fn listed(&self, page: Page, is_wanted: impl Fn(&AttemptRow) -> bool) -> Listed<LoggedAttempt> {
        let mut all: Vec<&LoggedAttempt> = self.rows.values().filter(|logged| is_wanted(&logged.row)).collect();
        all.sort_by_key(|logged| std::cmp::Reverse((logged.row.at, logged.id)));
        let rows = all.iter().skip(page.offset as usize).take(page.limit as usize).map(|l| (*l).clone()).collect();
        Listed { rows, total: all.len() as u64 }
    }
}
