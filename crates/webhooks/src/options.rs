//! What can be set for one webhook beside the contract's fields: each has a default that changes nothing.

use std::collections::BTreeMap;

use hookswitch_protocol::{EventType, Secret};

use crate::labels::labels;

/// Settings of one webhook.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WebhookOptions {
    /// When failed attempts are made again; the contract's schedule by default.
    pub retry_profile: RetryProfile,
    /// Statuses that are tried again beside 5xx: any of 408, 425 and 429. None by default.
    pub retry_statuses: Vec<u16>,
    /// Deliveries in flight at once; `None` is the node's default
    /// ([`WebhookConfig::per_webhook`](crate::WebhookConfig::per_webhook)).
    pub max_in_flight: Option<u32>,
    /// Most attempts started per second and node; `None` is no limit.
    pub rate_limit: Option<u32>,
    /// How many seconds after its acceptance an event of this type, or of this pattern such as
    /// `queue.*`, is still worth sending. What stands here wins over the node's own rule, 0 means for
    /// ever, and of several that match the most exact one counts.
    pub expiry: BTreeMap<String, u32>,
    /// Deliveries of one thing go in the order in which its events were accepted.
    pub ordered_by: Option<OrderedBy>,
    /// Sent with every attempt.
    pub headers: Vec<CustomHeader>,
}

/// When failed attempts are made again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum RetryProfile {
    /// After 2, 4, 8, … seconds.
    #[default]
    Standard,
    /// Minutes to days, with jitter, see [`retry_delay`](crate::retry_delay).
    Durable,
}

/// What deliveries are ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OrderedBy {
    /// The payload's `unique_id`; events without one are not held up by anything.
    Call,
}

/// A header that a webhook's owner wants with every attempt. Its value may be somebody's API key and
/// is treated like one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomHeader {
    /// The name, as the owner spelt it.
    pub name: String,
    /// The value.
    pub value: Secret,
}

/// A checked partial update of the options: `None` leaves one as it is, an empty or default value
/// takes it back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OptionsChange {
    /// New schedule.
    pub retry_profile: Option<RetryProfile>,
    /// New list.
    pub retry_statuses: Option<Vec<u16>>,
    /// New bound; the inner `None` is the node's default.
    pub max_in_flight: Option<Option<u32>>,
    /// New bound; the inner `None` is no limit.
    pub rate_limit: Option<Option<u32>>,
    /// New map.
    pub expiry: Option<BTreeMap<String, u32>>,
    /// New order; the inner `None` is none.
    pub ordered_by: Option<Option<OrderedBy>>,
    /// New list. A header whose value is `None` keeps the value it has under that name; see
    /// [`WebhookOptions::apply`].
    pub headers: Option<Vec<HeaderChange>>,
}

/// One header of a changed list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderChange {
    /// The name.
    pub name: String,
    /// The value; `None` keeps the present one.
    pub value: Option<Secret>,
}

impl WebhookOptions {
    /// Takes a change in. A header that is to keep its value and has none is left out: the rules have
    /// refused that before.
    pub fn apply(&mut self, change: OptionsChange) {
        let OptionsChange { retry_profile, retry_statuses, max_in_flight, rate_limit, expiry, ordered_by, headers } =
            change;
        self.retry_profile = retry_profile.unwrap_or(self.retry_profile);
        replace(&mut self.retry_statuses, retry_statuses);
        replace(&mut self.max_in_flight, max_in_flight);
        replace(&mut self.rate_limit, rate_limit);
        replace(&mut self.expiry, expiry);
        replace(&mut self.ordered_by, ordered_by);
        let headers = headers.map(|headers| headers.into_iter().filter_map(|header| self.kept(header)).collect());
        replace(&mut self.headers, headers);
    }

    fn kept(&self, HeaderChange { name, value }: HeaderChange) -> Option<CustomHeader> {
        let value = value.or_else(|| self.header(&name).cloned())?;
        Some(CustomHeader { name, value })
    }

    /// The value of one custom header.
    pub fn header(&self, name: &str) -> Option<&Secret> {
        self.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name)).map(|header| &header.value)
    }

    /// The seconds an event of this type is worth sending, where this webhook says so.
    pub fn expiry_of(&self, event_type: &EventType) -> Option<u32> {
        most_exact(&self.expiry, event_type).copied()
    }
}

/// The entry whose name matches the type most exactly: the type itself, else the longest pattern.
pub(crate) fn most_exact<'a, T>(entries: &'a BTreeMap<String, T>, event_type: &EventType) -> Option<&'a T> {
    let name = event_type.as_str();
    entries.get(name).or_else(|| {
        // As `SubscriptionName` reads patterns, without making one for each.
        let prefix_of = |pattern: &'a str| match pattern.strip_suffix('*')? {
            prefix if prefix.is_empty() || prefix.ends_with('.') => Some(prefix),
            _ => None,
        };
        let prefixes = entries.iter().filter_map(|(pattern, value)| Some((prefix_of(pattern)?, value)));
        let matching = prefixes.filter(|(prefix, _)| name.starts_with(prefix));
        matching.max_by_key(|(prefix, _)| prefix.len()).map(|(_, value)| value)
    })
}

fn replace<T>(old: &mut T, new: Option<T>) {
    if let Some(new) = new {
        *old = new;
    }
}

labels!(RetryProfile { Standard => "standard", Durable => "durable" });

labels!(OrderedBy { Call => "call" });

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_touches_what_it_names() {
        let header =
            |name: &str, value: Option<&str>| HeaderChange { name: name.into(), value: value.map(Secret::new) };
        let mut options = WebhookOptions { rate_limit: Some(5), ..WebhookOptions::default() };
        options.apply(OptionsChange {
            headers: Some(vec![header("X-Key", Some("k"))]),
            retry_statuses: Some(vec![429]),
            ..OptionsChange::default()
        });
        assert_eq!((options.rate_limit, options.retry_statuses.clone()), (Some(5), vec![429]));
        let kept = vec![header("x-key", None), header("Unknown", None), header("Other", Some("o"))];
        options.apply(OptionsChange { headers: Some(kept), rate_limit: Some(None), ..OptionsChange::default() });
        assert_eq!(options.rate_limit, None);
        let shown: Vec<_> = options.headers.iter().map(|h| (h.name.as_str(), h.value.reveal())).collect();
        assert_eq!(shown, [("x-key", "k"), ("Other", "o")]);
    }

    #[test]
    fn the_most_exact_expiry_counts() {
        let expiry = [("*", 1), ("queue.*", 2), ("queue.stats.*", 3), ("queue.stats", 4)];
        let expiry = expiry.into_iter().map(|(name, secs)| (name.to_owned(), secs)).collect();
        let options = WebhookOptions { expiry, ..WebhookOptions::default() };
        for (event_type, wanted) in
            [("queue.stats", 4), ("queue.stats.updated", 3), ("queue.joined", 2), ("call.ended", 1)]
        {
            let event_type = EventType::parse(event_type).expect("legal");
            assert_eq!(options.expiry_of(&event_type), Some(wanted), "{event_type}");
        }
        assert_eq!(WebhookOptions::default().expiry_of(&EventType::ALERT), None);
    }

    #[test]
    fn labels_are_read_as_they_are_written() {
        for profile in [RetryProfile::Standard, RetryProfile::Durable] {
            assert_eq!(RetryProfile::parse(profile.label()), Some(profile));
        }
        assert_eq!(OrderedBy::parse("call"), Some(OrderedBy::Call));
        assert_eq!(OrderedBy::parse("tenant"), None);
    }
}
