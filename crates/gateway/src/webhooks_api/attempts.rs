//! What was sent, what was not, how it went, and sending it again.

use std::time::Duration;

use hookswitch_protocol::{DeliveryId, Timestamp, WebhookId};
use hookswitch_webhooks::{Cursor, LogEntry, LoggedAttempt};
use http::StatusCode;

use super::filter::log_filter;
use super::log_views::{AttemptView, LogEntryView, StatsView};
use super::views::ResentView;
use super::{Answered, Problem, WebhookCall, meta};

const LOG_LIMIT: u64 = 50;
const STATS_SINCE: Duration = Duration::from_hours(24);
const FAILED_SINCE: Duration = Duration::from_hours(1);

impl WebhookCall<'_> {
    pub(super) async fn logs(self, id: WebhookId) -> Answered {
        let is_of_list = |cursor: &Cursor| matches!(cursor, Cursor::Attempt { .. } | Cursor::Skip { .. });
        let asked = self.page(LOG_LIMIT, is_of_list).and_then(|page| Ok((page, log_filter(self.query)?)));
        let (page, filter) = self.owned(id, asked).await?;
        let found = self.webhooks.logs(self.tenant, id, &filter, page).await.map_err(|error| self.refusal(error))?;
        let n_bytes = found.rows.iter().map(entry_bytes).sum();
        let rows: Vec<_> = found.rows.iter().map(entry_view).collect();
        Ok(self.answer.list(rows, meta(page, &found), n_bytes))
    }

    pub(super) async fn failed(self) -> Answered {
        let page = self.page(LOG_LIMIT, |cursor| matches!(cursor, Cursor::Attempt { .. }))?;
        let since = self.since(FAILED_SINCE)?;
        let found = self.webhooks.failed(self.tenant, since, page).await.map_err(|error| self.refusal(error))?;
        let n_bytes = found.rows.iter().map(attempt_bytes).sum();
        let rows: Vec<_> = found.rows.iter().map(AttemptView::from).collect();
        Ok(self.answer.list(rows, meta(page, &found), n_bytes))
    }

    pub(super) async fn stats(self, id: WebhookId) -> Answered {
        let since = self.owned(id, self.since(STATS_SINCE)).await?;
        let stats = self.webhooks.stats(self.tenant, id, since).await.map_err(|error| self.refusal(error))?;
        Ok(self.answer.success(StatusCode::OK, StatsView::from(stats), None))
    }

    pub(super) async fn resend(self, id: WebhookId, since: Timestamp) -> Answered {
        let resent = self.webhooks.resend(self.tenant, id, since).await.map_err(|error| self.refusal(error))?;
        Ok(self.answer.success(StatusCode::OK, ResentView::from(resent), None))
    }

    pub(super) async fn resend_one(self, id: WebhookId, delivery: Option<&str>) -> Answered {
        let delivery = delivery.and_then(|id| DeliveryId::parse(id).ok());
        let delivery = delivery.ok_or_else(|| Problem::not_found("there is no such delivery"));
        let delivery = self.owned(id, delivery).await?;
        let resent = self.webhooks.resend_one(self.tenant, id, delivery).await.map_err(|error| self.refusal(error))?;
        Ok(self.answer.success(StatusCode::OK, ResentView::from(resent), None))
    }
}

/// What the names of a row's fields take in an answer, about.
const NAMES_BYTES: usize = 300;

fn entry_bytes(entry: &LogEntry) -> usize {
    match entry {
        LogEntry::Attempt(logged) => attempt_bytes(logged),
        LogEntry::Skip(_) => NAMES_BYTES,
    }
}

fn attempt_bytes(logged: &LoggedAttempt) -> usize {
    logged.row.weight() + NAMES_BYTES
}

fn entry_view(entry: &LogEntry) -> LogEntryView<'_> {
    match entry {
        LogEntry::Attempt(logged) => LogEntryView::Attempt(AttemptView::from(logged)),
        LogEntry::Skip(logged) => LogEntryView::Skip(logged.into()),
    }
}
