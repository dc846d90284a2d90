//! What a webhook may look like: the check of every create, update and rotation.

mod fields;
mod headers;
mod input;
mod invalid;
mod options;
mod rotation;

use hookswitch_egress::AddressGuard;
use hookswitch_protocol::Secret;

use crate::options::{OptionsChange, RetryProfile, WebhookOptions};
use crate::retry_policy::MAX_RETRIES;
use crate::seams::directory::{NewWebhook, WebhookChange};
use crate::sign;
pub(crate) use fields::event_name;
use fields::{check_events, check_name, check_number, check_secret, check_url};
pub use headers::HEADER_MASK;
pub(crate) use headers::{MAX_HEADERS, is_reserved};
pub use input::{OptionsInput, WebhookInput};
pub use invalid::InvalidWebhook;
pub use rotation::Rotation;
pub(crate) use rotation::check_rotation;

/// The limits of `timeout`, in seconds, also for rows inserted by hand.
pub(crate) const TIMEOUT_SECS: std::ops::RangeInclusive<u32> = 1..=120;

const DEFAULT_RETRIES: u32 = 3;
/// A schedule that reaches over days is meant to be used up.
const DEFAULT_DURABLE_RETRIES: u32 = 10;
const DEFAULT_TIMEOUT_SECS: u32 = 30;

/// Checks a create, and resolves the URL's name.
pub(crate) async fn check_new(input: WebhookInput, guard: &AddressGuard) -> Result<NewWebhook, InvalidWebhook> {
    let missing = |field| InvalidWebhook::new(field, "is required");
    if input.is_active == Some(false) {
        return Err(InvalidWebhook::new("is_active", "can be set by an update only"));
    }
    let is_durable = input.options.retry_profile.as_deref() == Some(RetryProfile::Durable.label());
    let retries = if is_durable { DEFAULT_DURABLE_RETRIES } else { DEFAULT_RETRIES };
    let input = WebhookInput {
        name: Some(input.name.ok_or_else(|| missing("name"))?),
        url: Some(input.url.ok_or_else(|| missing("url"))?),
        events: Some(input.events.ok_or_else(|| missing("events"))?),
        ..input
    };
    let mut options = WebhookOptions::default();
    let change = check_change(input, &options, guard).await?;
    options.apply(change.options);
    Ok(NewWebhook {
        name: change.name.unwrap_or_default(),
        url: change.url.unwrap_or_default(),
        events: change.events.unwrap_or_default(),
        secret: change.secret,
        retry_count: change.retry_count.unwrap_or(retries),
        timeout_secs: change.timeout_secs.unwrap_or(DEFAULT_TIMEOUT_SECS),
        options,
    })
}

/// Checks an update of a webhook that has these options, field by field, and resolves the URL's name
/// when there is one.
pub(crate) async fn check_change(
    input: WebhookInput,
    present: &WebhookOptions,
    guard: &AddressGuard,
) -> Result<WebhookChange, InvalidWebhook> {
    let change = WebhookChange {
        name: input.name.map(check_name).transpose()?,
        events: input.events.map(check_events).transpose()?,
        secret: new_secret(input.secret, input.generate_secret)?,
        is_active: input.is_active,
        retry_count: input.retry_count.map(|n| check_number("retry_count", n, 0, MAX_RETRIES, "")).transpose()?,
        timeout_secs: input
            .timeout
            .map(|n| check_number("timeout", n, *TIMEOUT_SECS.start(), *TIMEOUT_SECS.end(), " seconds"))
            .transpose()?,
        url: None,
        options: check_options(input.options, present)?,
    };
    let Some(url) = input.url else { return Ok(change) };
    // Last, because only this one may take a while.
    check_url(&url, guard).await?;
    Ok(WebhookChange { url: Some(url), ..change })
}

/// The secret that was given, or one of our own if that was asked for.
fn new_secret(given: Option<Secret>, generate: Option<bool>) -> Result<Option<Secret>, InvalidWebhook> {
    match (given, generate) {
        (Some(_), Some(true)) => Err(InvalidWebhook::new("generate_secret", "cannot be true beside a secret")),
        (Some(secret), _) => check_secret(secret).map(Some),
        (None, Some(true)) => Ok(Some(sign::generate_secret())),
        (None, _) => Ok(None),
    }
}

fn check_options(input: OptionsInput, present: &WebhookOptions) -> Result<OptionsChange, InvalidWebhook> {
    Ok(OptionsChange {
        retry_profile: input.retry_profile.map(|label| options::retry_profile(&label)).transpose()?,
        retry_statuses: input.retry_statuses.map(options::retry_statuses).transpose()?,
        max_in_flight: input.max_in_flight.map(options::max_in_flight).transpose()?,
        rate_limit: input.rate_limit.map(options::rate_limit).transpose()?,
        expiry: input.expiry.map(options::expiry).transpose()?,
        ordered_by: input.ordered_by.map(|label| options::ordered_by(&label)).transpose()?,
        headers: input.headers.map(|headers| headers::check(headers, present)).transpose()?,
    })
}

#[cfg(test)]
mod tests;
