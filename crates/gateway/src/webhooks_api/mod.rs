//! Webhooks over REST: every endpoint within the caller's tenant.

mod attempts;
#[cfg(test)]
pub(crate) mod described;
mod fields;
mod filter;
mod input;
mod log_views;
mod registrations;
mod requests;
mod views;

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use hookswitch_protocol::{Chain, TenantId, Timestamp, WebhookId};
use hookswitch_webhooks::{Cursor, DirectoryError, Listed, Page, WebhookError, Webhooks};
use http::Response;
use matchit::Params;

use crate::http::{Answer, Body, PageMeta, Problem, Query};
use crate::routes::Endpoint;

const MAX_LIMIT: u64 = 1_000;

/// One call by one tenant.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WebhookCall<'a> {
    pub(crate) webhooks: &'a Webhooks,
    pub(crate) tenant: &'a TenantId,
    pub(crate) answer: &'a Answer,
    pub(crate) query: Query<'a>,
}

type Answered = Result<Response<Body>, Problem>;

impl WebhookCall<'_> {
    /// Answers one request. What is not the tenant's is 404 whatever body and query say.
    pub(crate) async fn answered(
        self,
        endpoint: Endpoint,
        params: &Params<'_, '_>,
        body: impl Future<Output = Result<Bytes, Problem>>,
    ) -> Answered {
        match endpoint {
            Endpoint::WebhookCreate => self.create(input::parse(&body.await?)?).await,
            Endpoint::WebhookList => self.list().await,
            Endpoint::WebhookFailed => self.failed().await,
            _ => {
                let id = webhook_id(params.get("id"))?;
                self.about_one(endpoint, id, params.get("delivery_id"), body).await
            }
        }
    }

    /// One webhook of the tenant's.
    async fn about_one(
        self,
        endpoint: Endpoint,
        id: WebhookId,
        delivery: Option<&str>,
        body: impl Future<Output = Result<Bytes, Problem>>,
    ) -> Answered {
        match endpoint {
            Endpoint::WebhookGet => self.get(id).await,
            Endpoint::WebhookDelete => self.delete(id).await,
            Endpoint::WebhookTest => self.test(id).await,
            Endpoint::WebhookLogs => self.logs(id).await,
            Endpoint::WebhookStats => self.stats(id).await,
            Endpoint::WebhookUpdate => self.update(id, self.read(id, body, input::parse).await?).await,
            Endpoint::WebhookRotate => self.rotate(id, self.read(id, body, requests::rotation).await?).await,
            Endpoint::WebhookEnable => self.enable(id, self.read(id, body, requests::missed_since).await?).await,
            Endpoint::WebhookResend => self.resend(id, self.read(id, body, requests::failed_since).await?).await,
            Endpoint::DeliveryResend => self.resend_one(id, delivery).await,
            _ => Err(Problem::not_found("there is nothing at this path")),
        }
    }

    /// The body of a request about a webhook.
    async fn read<T>(
        self,
        id: WebhookId,
        body: impl Future<Output = Result<Bytes, Problem>>,
        parse: impl FnOnce(&[u8]) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        self.owned(id, body.await.and_then(|body| parse(&body))).await
    }

    /// What was asked about a webhook. A mistake in it is told to the webhook's owner only; where there is
    /// none, the call itself finds out whose it is, so that the row is read once.
    async fn owned<T>(self, id: WebhookId, asked: Result<T, Problem>) -> Result<T, Problem> {
        if asked.is_err() {
            self.webhooks.get(self.tenant, id).await.map_err(|error| self.refusal(error))?;
        }
        asked
    }

    /// `limit` with `offset`, or with `page` counted from 1, or with `cursor`, which has to be one of this list.
    fn page(self, default_limit: u64, is_of_list: fn(&Cursor) -> bool) -> Result<Page, Problem> {
        let limit = self.query.number("limit", default_limit, 1..=MAX_LIMIT)?;
        let page = self.query.number("page", 1, 1..=1_000_000)?;
        let offset = self.query.number("offset", (page - 1) * limit, 0..=1_000_000_000)?;
        let cursor = |text: Cow<'_, str>| {
            let cursor = Cursor::parse(&text).filter(is_of_list);
            cursor.ok_or_else(|| Problem::field("cursor", "must be the `next` of an answer's meta, of the same list"))
        };
        let after = self.query.get("cursor").map(cursor).transpose()?;
        Ok(Page { after, offset, limit: limit as u32 })
    }

    fn since(self, default: Duration) -> Result<Timestamp, Problem> {
        self.query.moment("since", self.answer.now.before(default))
    }

    fn refusal(self, error: WebhookError) -> Problem {
        // What a tenant asks too much of is told to the tenant, and counted.
        if matches!(error, WebhookError::Directory(DirectoryError::Unavailable { .. }) | WebhookError::Ledger(_)) {
            let (tenant, request_id) = (self.tenant, &self.answer.request_id);
            tracing::warn!(%tenant, %request_id, error = %Chain(&error), "webhooks cannot be read or changed");
        }
        let problem = Problem::new(error.code(), error.to_string());
        match error {
            WebhookError::Invalid(invalid) => problem.with_details(serde_json::json!({ "field": invalid.field })),
            _ => problem,
        }
    }
}

/// The id in the path; anything but a positive number cannot be a webhook of anybody.
fn webhook_id(segment: Option<&str>) -> Result<WebhookId, Problem> {
    let id = segment.and_then(|id| id.parse().ok()).filter(|id| *id > 0);
    id.map(WebhookId).ok_or_else(|| Problem::not_found("there is no such webhook"))
}

fn meta<T>(page: Page, listed: &Listed<T>) -> PageMeta {
    let next = listed.next.map(|cursor| cursor.to_string());
    PageMeta { total: listed.total, limit: page.limit, offset: page.offset, more: next.is_some(), next }
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
