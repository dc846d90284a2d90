//! Webhooks over REST: nine endpoints, each within the caller's tenant.

mod input;
mod views;

use std::time::Duration;

use hookswitch_protocol::{TenantId, Timestamp, WebhookId};
use hookswitch_webhooks::{Listed, LogEntry, LogFilter, LoggedAttempt, Page, WebhookError, WebhookInput, Webhooks};
use http::{Response, StatusCode};

use crate::http::{Answer, Body, PageMeta, Problem, Query};
pub(crate) use input::parse;
use views::{LogView, StatsView, TestView, WebhookView};

const LIST_LIMIT: u64 = 100;
const LOG_LIMIT: u64 = 50;
const MAX_LIMIT: u64 = 1_000;
const STATS_SINCE: Duration = Duration::from_hours(24);
const FAILED_SINCE: Duration = Duration::from_hours(1);

/// One call by one tenant.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WebhookCall<'a> {
    pub(crate) webhooks: &'a Webhooks,
    pub(crate) tenant: &'a TenantId,
    pub(crate) answer: &'a Answer,
    pub(crate) query: Query<'a>,
}

type Answered = Result<Response<Body>, Problem>;

/// The id in the path; anything but a positive number cannot be a webhook of anybody.
pub(crate) fn webhook_id(segment: Option<&str>) -> Result<WebhookId, Problem> {
    let id = segment.and_then(|id| id.parse().ok()).filter(|id| *id > 0);
    id.map(WebhookId).ok_or_else(|| Problem::not_found("there is no such webhook"))
}

impl WebhookCall<'_> {
    pub(crate) async fn create(self, input: WebhookInput) -> Answered {
        let webhook = self.webhooks.create(self.tenant, input).await.map_err(refusal)?;
        Ok(self.answer.success(StatusCode::CREATED, WebhookView(&webhook), None))
    }

    pub(crate) async fn list(self) -> Answered {
        let page = self.page(LIST_LIMIT)?;
        let found = self.webhooks.list(self.tenant, page).await.map_err(refusal)?;
        let rows: Vec<_> = found.rows.iter().map(WebhookView).collect();
        Ok(self.answer.success(StatusCode::OK, rows, Some(meta(page, found.total))))
    }

    pub(crate) async fn get(self, id: WebhookId) -> Answered {
        let webhook = self.webhooks.get(self.tenant, id).await.map_err(refusal)?;
        Ok(self.answer.success(StatusCode::OK, WebhookView(&webhook), None))
    }

    /// Whether the tenant has this webhook; asked before a body is looked at.
    pub(crate) async fn check_owner(self, id: WebhookId) -> Result<(), Problem> {
        self.webhooks.get(self.tenant, id).await.map(drop).map_err(refusal)
    }

    pub(crate) async fn update(self, id: WebhookId, input: WebhookInput) -> Answered {
        let webhook = self.webhooks.update(self.tenant, id, input).await.map_err(refusal)?;
        Ok(self.answer.success(StatusCode::OK, WebhookView(&webhook), None))
    }

    pub(crate) async fn delete(self, id: WebhookId) -> Answered {
        self.webhooks.delete(self.tenant, id).await.map_err(refusal)?;
        Ok(self.answer.success(StatusCode::OK, (), None))
    }

    pub(crate) async fn test(self, id: WebhookId) -> Answered {
        let report = self.webhooks.test(self.tenant, id).await.map_err(refusal)?;
        Ok(self.answer.success(StatusCode::OK, TestView::from(report), None))
    }

    pub(crate) async fn logs(self, id: WebhookId) -> Answered {
        self.check_owner(id).await?;
        let page = self.page(LOG_LIMIT)?;
        let found = self.webhooks.logs(self.tenant, id, &LogFilter::default(), page).await.map_err(refusal)?;
        let attempts = found.rows.into_iter().filter_map(|entry| match entry {
            LogEntry::Attempt(logged) => Some(logged),
            LogEntry::Skip(_) => None,
        });
        Ok(self.attempts(page, &Listed { rows: attempts.collect(), total: found.total }))
    }

    pub(crate) async fn failed(self) -> Answered {
        let page = self.page(LOG_LIMIT)?;
        let since = self.since(FAILED_SINCE)?;
        let found = self.webhooks.failed(self.tenant, since, page).await.map_err(refusal)?;
        Ok(self.attempts(page, &found))
    }

    pub(crate) async fn stats(self, id: WebhookId) -> Answered {
        self.check_owner(id).await?;
        let since = self.since(STATS_SINCE)?;
        let stats = self.webhooks.stats(self.tenant, id, since).await.map_err(refusal)?;
        Ok(self.answer.success(StatusCode::OK, StatsView::from(stats), None))
    }

    fn attempts(self, page: Page, found: &Listed<LoggedAttempt>) -> Response<Body> {
        let rows: Vec<_> = found.rows.iter().map(LogView).collect();
        self.answer.success(StatusCode::OK, rows, Some(meta(page, found.total)))
    }

    /// `limit` with `offset`, or with `page` counted from 1.
    fn page(self, default_limit: u64) -> Result<Page, Problem> {
        let limit = self.query.number("limit", default_limit, 1..=MAX_LIMIT)?;
        let page = self.query.number("page", 1, 1..=1_000_000)?;
        let offset = self.query.number("offset", (page - 1) * limit, 0..=1_000_000_000)?;
        Ok(Page { offset, limit: limit as u32 })
    }

    fn since(self, default: Duration) -> Result<Timestamp, Problem> {
        self.query.moment("since", self.answer.now.before(default))
    }
}

const fn meta(page: Page, total: u64) -> PageMeta {
    PageMeta { total, limit: page.limit, offset: page.offset }
}

fn refusal(error: WebhookError) -> Problem {
    if let WebhookError::Directory(source) = &error {
        tracing::warn!(error = %source, "webhooks cannot be read or changed");
    }
    let problem = Problem::new(error.code(), error.to_string());
    match error {
        WebhookError::Invalid(invalid) => problem.with_details(serde_json::json!({ "field": invalid.field })),
        _ => problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_positive_numbers_are_ids() {
        assert_eq!(webhook_id(Some("42")), Ok(WebhookId(42)));
        for bad in [None, Some(""), Some("0"), Some("-1"), Some("x"), Some("9223372036854775808")] {
            assert!(webhook_id(bad).is_err(), "{bad:?}");
        }
    }
}
