//! The options, one check each; a default takes an option back.

use std::collections::BTreeMap;

use super::fields::{check_number, event_name};
use super::invalid::InvalidWebhook;
use crate::options::{OrderedBy, RetryProfile};
use crate::retry_policy::RETRYABLE_STATUSES;

const MAX_IN_FLIGHT: u32 = 100;
const MAX_RATE: u32 = 10_000;
/// A week.
const MAX_EXPIRY_SECS: u32 = 604_800;
const MAX_EXPIRIES: usize = 64;
/// How "no order" is written.
const UNORDERED: &str = "none";

pub(super) fn retry_profile(label: &str) -> Result<RetryProfile, InvalidWebhook> {
    RetryProfile::parse(label).ok_or_else(|| {
        InvalidWebhook::new("retry_profile", format!("is {label:?}, must be \"standard\" or \"durable\""))
    })
}

pub(super) fn retry_statuses(statuses: Vec<i64>) -> Result<Vec<u16>, InvalidWebhook> {
    let allowed = |n: i64| RETRYABLE_STATUSES.into_iter().find(|status| i64::from(*status) == n);
    let read = |n: i64| {
        let [first, second, last] = RETRYABLE_STATUSES;
        let problem = || format!("holds {n}, only {first}, {second} and {last} are allowed");
        allowed(n).ok_or_else(|| InvalidWebhook::new("retry_statuses", problem()))
    };
    let mut statuses = statuses.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
    statuses.sort_unstable();
    statuses.dedup();
    Ok(statuses)
}

pub(super) fn max_in_flight(n: i64) -> Result<Option<u32>, InvalidWebhook> {
    bound("max_in_flight", n, MAX_IN_FLIGHT, " (0 is the server's default)")
}

pub(super) fn rate_limit(n: i64) -> Result<Option<u32>, InvalidWebhook> {
    bound("rate_limit", n, MAX_RATE, " per second (0 is no limit)")
}

/// 0 is none.
fn bound(field: &'static str, n: i64, max: u32, unit: &str) -> Result<Option<u32>, InvalidWebhook> {
    Ok(Some(check_number(field, n, 0, max, unit)?).filter(|n| *n > 0))
}

pub(super) fn expiry(entries: BTreeMap<String, i64>) -> Result<BTreeMap<String, u32>, InvalidWebhook> {
    if entries.len() > MAX_EXPIRIES {
        let problem = format!("has {} entries, at most {MAX_EXPIRIES} are allowed", entries.len());
        return Err(InvalidWebhook::new("expiry", problem));
    }
    let read = |(name, n): (String, i64)| {
        event_name(&name).map_err(|problem| InvalidWebhook::new("expiry", format!("entry {name:?} {problem}")))?;
        let secs = u32::try_from(n).ok().filter(|secs| *secs <= MAX_EXPIRY_SECS);
        let problem = || format!("entry {name:?} is {n}, must be 0 to {MAX_EXPIRY_SECS} seconds");
        let secs = secs.ok_or_else(|| InvalidWebhook::new("expiry", problem()))?;
        Ok((name, secs))
    };
    entries.into_iter().map(read).collect()
}

pub(super) fn ordered_by(label: &str) -> Result<Option<OrderedBy>, InvalidWebhook> {
    if label == UNORDERED {
        return Ok(None);
    }
    let problem = || format!("is {label:?}, must be \"call\" or \"none\"");
    OrderedBy::parse(label).map(Some).ok_or_else(|| InvalidWebhook::new("ordered_by", problem()))
}
