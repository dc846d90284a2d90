//! The log in memory.

use hookswitch_protocol::{TenantId, Timestamp, WebhookId};

use super::{LOG_BYTES, LOG_ROWS, MemoryWebhooks, State, counted};
use crate::seams::attempt_log::{
    AttemptLog, AttemptRow, DeliveryStats, LogEntry, LogFilter, LogOutcome, LoggedAttempt, LoggedSkip, SkipRow,
};
use crate::seams::directory::{Cursor, DirectoryError, Listed, Page};
use crate::seams::paging::PageBudget;
use hookswitch_runtime::BoxFuture;

/// What a skip weighs in a list, about.
const SKIP_BYTES: usize = 200;

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
        _tenant: &'a TenantId,
        webhook: WebhookId,
        filter: &'a LogFilter,
        page: Page,
    ) -> BoxFuture<'a, Result<Listed<LogEntry>, DirectoryError>> {
        self.locked(move |state, _| {
            let attempts = state.rows.values().filter(|l| l.row.webhook == webhook && filter.wants(&l.row));
            let mut all: Vec<EntryRef<'_>> = attempts.map(EntryRef::Attempt).collect();
            let skips = state.skips.values().filter(|l| l.row.webhook == webhook && filter.wants_skip(&l.row));
            all.extend(skips.map(EntryRef::Skip));
            Ok(window(all, page))
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
            let is_wanted = |row: &AttemptRow| row.at >= since && !is_success(row) && is_theirs(row.webhook);
            let wanted = state.rows.values().filter(|logged| is_wanted(&logged.row));
            let listed = window(wanted.map(EntryRef::Attempt).collect(), page);
            let attempts = listed.rows.into_iter().filter_map(|entry| match entry {
                LogEntry::Attempt(logged) => Some(logged),
                LogEntry::Skip(_) => None,
            });
            Ok(Listed { rows: attempts.collect(), total: listed.total, next: listed.next })
        })
    }

    fn stats<'a>(
        &'a self,
        _tenant: &'a TenantId,
        webhook: WebhookId,
        since: Timestamp,
    ) -> BoxFuture<'a, Result<DeliveryStats, DirectoryError>> {
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

/// An entry that is looked at and not copied yet.
#[derive(Clone, Copy)]
enum EntryRef<'a> {
    Attempt(&'a LoggedAttempt),
    Skip(&'a LoggedSkip),
}

impl EntryRef<'_> {
    /// Newest first, attempts before skips: the higher rank comes first.
    fn rank(self) -> (Timestamp, bool, i64) {
        match self {
            Self::Attempt(logged) => (logged.row.at, true, logged.id),
            Self::Skip(logged) => (logged.row.at, false, logged.id),
        }
    }

    fn weight(self) -> usize {
        match self {
            Self::Attempt(logged) => logged.row.weight(),
            Self::Skip(_) => SKIP_BYTES,
        }
    }

    fn cursor(self) -> Cursor {
        match self {
            Self::Attempt(LoggedAttempt { id, row }) => Cursor::Attempt { at: row.at, id: *id },
            Self::Skip(LoggedSkip { id, row }) => Cursor::Skip { at: row.at, id: *id },
        }
    }

    fn copied(self) -> LogEntry {
        match self {
            Self::Attempt(logged) => LogEntry::Attempt(logged.clone()),
            Self::Skip(logged) => LogEntry::Skip(logged.clone()),
        }
    }
}

/// The window of a log, of all that is wanted.
fn window(mut all: Vec<EntryRef<'_>>, page: Page) -> Listed<LogEntry> {
    all.sort_by_key(|entry| std::cmp::Reverse(entry.rank()));
    let total = counted(all.len());
    let end = match page.after {
        Some(Cursor::Attempt { at, id }) => Some((at, true, id)),
        Some(Cursor::Skip { at, id }) => Some((at, false, id)),
        Some(Cursor::Webhook(_)) | None => None,
    };
    let mut rest = all
        .into_iter()
        .filter(|entry| end.is_none_or(|end| entry.rank() < end))
        .skip(usize::try_from(page.offset).unwrap_or(usize::MAX))
        .peekable();
    let mut room = PageBudget::new(&page);
    let taken: Vec<EntryRef<'_>> = std::iter::from_fn(|| rest.next_if(|entry| room.take(entry.weight()))).collect();
    let next = rest.peek().and_then(|_| taken.last()).map(|last| last.cursor());
    Listed { rows: taken.into_iter().map(EntryRef::copied).collect(), total, next }
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
    /// Adds a row; the oldest go when there are too many, or they weigh too much.
    pub(super) fn log(&mut self, row: AttemptRow) {
        self.last_row += 1;
        self.row_bytes += row.weight();
        self.rows.insert(self.last_row, LoggedAttempt { id: self.last_row, row });
        while self.rows.len() > LOG_ROWS || (self.row_bytes > LOG_BYTES && self.rows.len() > 1) {
            let Some((_, oldest)) = self.rows.pop_first() else { break };
            self.row_bytes -= oldest.row.weight();
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
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use hookswitch_egress::Timings;
    use hookswitch_protocol::EventType;

    use super::*;

    #[test]
    fn the_log_is_bounded_by_what_its_rows_weigh() {
        let mut state = State::default();
        let row = |attempt| AttemptRow {
            webhook: WebhookId(1),
            event_type: EventType::ALERT,
            body: Bytes::from(vec![b' '; 1024 * 1024]),
            response_code: None,
            response_body: None,
            error: None,
            duration_ms: 1,
            attempt,
            delivery: None,
            timings: Timings::default(),
            at: Timestamp::from_millis(0),
        };
        for attempt in 1..=100 {
            state.log(row(attempt));
        }
        let attempts: Vec<u32> = state.rows.values().map(|logged| logged.row.attempt).collect();
        assert_eq!(attempts, (38..=100).collect::<Vec<_>>(), "the newest, 63 with what they weigh beside their bodies");
        assert!(state.row_bytes <= LOG_BYTES);
    }
}
