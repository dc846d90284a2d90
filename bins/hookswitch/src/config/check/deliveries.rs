//! `[webhooks]` beside addresses: how fast, how long, and how secrets are kept.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use hookswitch::protocol::{EventType, SubscriptionName};
use hookswitch::store::SecretKeys;

use super::super::settings::{self, Setting};
use super::super::{Deliveries, values};
use super::Checker;

/// As a webhook's own.
const MAX_EXPIRY: Duration = Duration::from_hours(7 * 24);
/// What `0s` means where it stands for "never": longer than any receiver fails.
const NEVER: Duration = Duration::from_hours(100 * 365 * 24);

impl Checker<'_> {
    pub(super) fn deliveries(&mut self) -> Deliveries {
        let disable_after = self.duration(&settings::WEBHOOK_DISABLE_AFTER);
        Deliveries {
            per_webhook: self.number(&settings::WEBHOOK_PER_WEBHOOK) as usize,
            max_per_tenant: self.number(&settings::WEBHOOK_MAX_PER_TENANT) as usize,
            tenant_rate_limit: self.rate(&settings::WEBHOOK_TENANT_RATE_LIMIT),
            expiry: self.expiry(),
            disable_after: if disable_after.is_zero() { NEVER } else { disable_after },
            retention: self.duration(&settings::WEBHOOK_RETENTION),
            secret_keys: self.secret_keys(),
        }
    }

    /// A rate per second; 0 is none.
    pub(super) fn rate(&mut self, setting: &Setting) -> Option<NonZeroU32> {
        u32::try_from(self.number(setting)).ok().and_then(NonZeroU32::new)
    }

    fn expiry(&mut self) -> BTreeMap<String, u32> {
        let remedy = "write event types or patterns and durations, like queue.stats=30s,chat.*=1h";
        let entries = self.list(&settings::WEBHOOK_EXPIRY, expiry_entry, remedy);
        let mut expiry = BTreeMap::new();
        for (name, secs) in entries {
            if expiry.insert(name.clone(), secs).is_some() {
                self.refuse(&settings::WEBHOOK_EXPIRY, &format!("{name} stands there twice"), "keep one of them");
            }
        }
        expiry
    }

    /// Never quotes what was given.
    fn secret_keys(&mut self) -> SecretKeys {
        let Some(entry) = self.raw.get(&settings::WEBHOOK_SECRET_KEY) else { return SecretKeys::default() };
        let wrong = match SecretKeys::parse(&entry.text) {
            Ok(keys) if !keys.is_empty() => return keys,
            Ok(_none) => "there is no key in it".to_owned(),
            Err(error) => error.to_string(),
        };
        self.refuse(&settings::WEBHOOK_SECRET_KEY, &wrong, "make one by `openssl rand -hex 32`");
        SecretKeys::default()
    }
}

/// One `name=duration`.
fn expiry_entry(text: &str) -> Result<(String, u32), String> {
    let (name, after) = text.split_once('=').ok_or_else(|| format!("{text:?} has no ="))?;
    let (name, after) = (name.trim(), after.trim());
    check_name(name).map_err(|problem| format!("{name:?} {problem}"))?;
    let after = values::duration(after).ok_or_else(|| format!("{after:?} after {name}= is not a duration"))?;
    if after > MAX_EXPIRY || after.subsec_nanos() > 0 {
        return Err(format!("{} after {name}= is not 0s to 7d in whole seconds", values::print_duration(after)));
    }
    Ok((name.to_owned(), after.as_secs() as u32))
}

/// An event type, `call.*` or `*`.
fn check_name(name: &str) -> Result<(), String> {
    let letters = match SubscriptionName::parse(name).map_err(|error| error.problem)? {
        SubscriptionName::Prefix(prefix) if prefix.is_empty() => return Ok(()),
        SubscriptionName::Exact(letters) | SubscriptionName::Prefix(letters) => letters,
    };
    EventType::parse(&letters).map(drop).map_err(|error| error.problem)
}
