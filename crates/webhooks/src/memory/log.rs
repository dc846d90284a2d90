//! The log in memory.

use hookswitch_protocol::{TenantId, Timestamp, WebhookId};

use super::{LOG_ROWS, MemoryWebhooks, State};
use crate::seams::attempt_log::{
    AttemptLog, AttemptRow, DeliveryStats, LogEntry, LogFilter, LogOutcome, LoggedAttempt, LoggedSkip, SkipRow,
};
use crate::seams::directory::{DirectoryError, Listed, Page};
use hookswitch_runtime::BoxFuture;

impl AttemptLog for MemoryWebhooks {
    fn append(&self, row: AttemptRow) -> BoxFuture<'_, Result<(), DirectoryError>> {
        self.locked(|state, _| {
            state.log(row);
            Ok(())
        })
    }

    fn append_skip(&self, row: SkipRow) -> BoxFuture<'_, Result<(), DirectoryError>> {
        self.locked(|state, _| {
            state.log_skip(row);
            Ok(())
        })
    }

    fn entries<'a>(
        &'a self,
        webhook: WebhookId,
        filter: &'a LogFilter,
        page: Page,
    ) -> BoxFuture<'a, Result<Listed<LogEntry>, DirectoryError>> {
        self.locked(move |state, _| {
            let attempts = state.rows.values().filter(|l| l.row.webhook == webhook && filter.wants(&l.row));
            let mut all: Vec<LogEntry> = attempts.cloned().map(LogEntry::Attempt).collect();
            let skips = state.skips.values().filter(|l| l.row.webhook == webhook && filter.wants_skip(&l.row));
            all.extend(skips.cloned().map(LogEntry::Skip));
            all.sort_by_key(|entry| std::cmp::Reverse(entry.rank()));
            let total = all.len() as u64;
            let rows = all.into_iter().skip(page.offset as usize).take(page.limit as usize).collect();
            Ok(Listed { rows, total })
        })
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

impl LogEntry {
    /// Newest first, attempts before skips: the higher rank comes first.
    fn rank(&self) -> (Timestamp, bool, i64) {
        match self {
            Self::Attempt(logged) => (logged.row.at, true, logged.id),
            Self::Skip(logged) => (logged.row.at, false, logged.id),
        }
    }
}

impl LogFilter {
    fn wants(&self, row: &AttemptRow) -> bool {
        let is_outcome = match self.outcome {
            None => true,
            Some(LogOutcome::Success) => is_success(row),
            Some(LogOutcome::Failure) => !is_success(row),
            Some(LogOutcome::Status(status)) => row.response_code == Some(status),
        };
        is_outcome
            && self.event_type.as_ref().is_none_or(|wanted| *wanted == row.event_type)
            && self.since.is_none_or(|since| row.at >= since)
            && (self.delivery.is_none() || self.delivery == row.delivery)
    }

    fn wants_skip(&self, row: &SkipRow) -> bool {
        self.with_skips
            && self.outcome.is_none()
            && (self.event_type.is_none() || self.event_type == row.event_type)
            && self.since.is_none_or(|since| row.at >= since)
            && (self.delivery.is_none() || self.delivery == row.delivery)
    }
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

    /// Whether there is a row of this very attempt.
    pub(super) fn has_logged(&self, row: &AttemptRow) -> bool {
        row.delivery.is_some() && self.rows.values().any(|logged| logged.row == *row)
    }

    /// Adds a skip row, likewise.
    pub(super) fn log_skip(&mut self, row: SkipRow) {
        self.last_skip += 1;
        self.skips.insert(self.last_skip, LoggedSkip { id: self.last_skip, row });
        if self.skips.len() > LOG_ROWS {
            self.skips.pop_first();
        }
    }

    fn listed(&self, page: Page, is_wanted: impl Fn(&AttemptRow) -> bool) -> Listed<LoggedAttempt> {
        let mut all: Vec<&LoggedAttempt> = self.rows.values().filter(|logged| is_wanted(&logged.row)).collect();
        all.sort_by_key(|logged| std::cmp::Reverse((logged.row.at, logged.id)));
        let rows = all.iter().skip(page.offset as usize).take(page.limit as usize).map(|l| (*l).clone()).collect();
        Listed { rows, total: all.len() as u64 }
    }
}
