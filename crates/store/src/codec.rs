//! How secrets and options stand in the columns of `webhooks`: sealed where there is a key, and as JSON.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::{Mutex, PoisonError};

use hookswitch_protocol::{Secret, TenantId};
use hookswitch_webhooks::{CustomHeader, OrderedBy, RetryProfile, WebhookOptions};
use serde_json::{Map, Value, json};

use crate::secret_keys::{BadSeal, SecretKeys};

/// A column that holds something sealed; part of what a sealed text is bound to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Column {
    Secret,
    PreviousSecret,
}

impl Column {
    const fn name(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::PreviousSecret => "previous_secret",
        }
    }
}

/// What goes into the two columns of one secret.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct SecretColumns {
    pub(crate) clear: Option<String>,
    pub(crate) sealed: Option<String>,
}

/// Writes and reads those columns, and complains once about each value that cannot be read.
pub(crate) struct Codec {
    keys: SecretKeys,
    told: Mutex<HashSet<(i64, &'static str)>>,
}

impl fmt::Debug for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Codec").field("keys", &self.keys).finish_non_exhaustive()
    }
}

impl Codec {
    pub(crate) fn new(keys: SecretKeys) -> Self {
        Self { keys, told: Mutex::default() }
    }

    /// Whether what is written is sealed.
    pub(crate) fn seals(&self) -> bool {
        !self.keys.is_empty()
    }

    pub(crate) fn write_secret(&self, tenant: &str, column: Column, secret: Option<&Secret>) -> SecretColumns {
        let Some(secret) = secret.map(Secret::reveal) else { return SecretColumns::default() };
        match self.keys.seal(&place(tenant, column), secret) {
            Some(sealed) => SecretColumns { clear: None, sealed: Some(sealed) },
            None => SecretColumns { clear: Some(secret.to_owned()), sealed: None },
        }
    }

    /// A secret in clear wins: whoever wrote it by hand did so after the other was sealed.
    pub(crate) fn read_secret(
        &self,
        tenant: &TenantId,
        column: Column,
        columns: SecretColumns,
    ) -> Result<Option<Secret>, BadSeal> {
        let clear = columns.clear.filter(|clear| !clear.is_empty());
        match (clear, columns.sealed) {
            (Some(clear), _) => Ok(Some(Secret::new(clear))),
            (None, Some(sealed)) => {
                self.keys.open(&place(tenant.as_str(), column), &sealed).map(|opened| Some(Secret::new(opened)))
            }
            (None, None) => Ok(None),
        }
    }

    /// `None` when everything is as by default.
    pub(crate) fn write_options(&self, tenant: &TenantId, options: &WebhookOptions) -> Option<String> {
        let WebhookOptions { retry_profile, retry_statuses, max_in_flight, rate_limit, expiry, ordered_by, headers } =
            options;
        let mut object = Map::new();
        let mut put = |name: &str, is_default: bool, value: Value| {
            if !is_default {
                object.insert(name.to_owned(), value);
            }
        };
        put("retry_profile", *retry_profile == RetryProfile::default(), json!(retry_profile.label()));
        put("retry_statuses", retry_statuses.is_empty(), json!(retry_statuses));
        put("max_in_flight", max_in_flight.is_none(), json!(max_in_flight));
        put("rate_limit", rate_limit.is_none(), json!(rate_limit));
        put("expiry", expiry.is_empty(), json!(expiry));
        put("ordered_by", ordered_by.is_none(), json!(ordered_by.map(OrderedBy::label)));
        let headers: Vec<Value> = headers.iter().map(|header| self.write_header(tenant, header)).collect();
        put("headers", headers.is_empty(), Value::Array(headers));
        (!object.is_empty()).then(|| Value::Object(object).to_string())
    }

    fn write_header(&self, tenant: &TenantId, header: &CustomHeader) -> Value {
        match self.keys.seal(&header_place(tenant, &header.name), header.value.reveal()) {
            Some(sealed) => json!({"name": header.name, "sealed": sealed}),
            None => json!({"name": header.name, "value": header.value.reveal()}),
        }
    }

    /// A value made by hand that cannot be read counts as its default.
    pub(crate) fn read_options(
        &self,
        id: i64,
        tenant: &TenantId,
        text: Option<&str>,
    ) -> Result<WebhookOptions, BadSeal> {
        let Some(text) = text else { return Ok(WebhookOptions::default()) };
        let Ok(mut object) = serde_json::from_str::<Map<String, Value>>(text) else {
            self.complain(id, "options", "no JSON object");
            return Ok(WebhookOptions::default());
        };
        let mut take = |name| object.remove(name).filter(|value| !value.is_null());
        let number = |value: &Value| value.as_u64().and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0);
        let profile = |value: &Value| value.as_str().and_then(RetryProfile::parse);
        let order = |value: &Value| value.as_str().and_then(OrderedBy::parse);
        Ok(WebhookOptions {
            retry_profile: self.read(id, "retry_profile", take("retry_profile"), profile).unwrap_or_default(),
            retry_statuses: self.read(id, "retry_statuses", take("retry_statuses"), statuses).unwrap_or_default(),
            max_in_flight: self.read(id, "max_in_flight", take("max_in_flight"), number),
            rate_limit: self.read(id, "rate_limit", take("rate_limit"), number),
            expiry: self.read(id, "expiry", take("expiry"), expiry).unwrap_or_default(),
            ordered_by: self.read(id, "ordered_by", take("ordered_by"), order),
            headers: self.read_headers(id, tenant, take("headers"))?,
        })
    }

    fn read<T>(
        &self,
        id: i64,
        name: &'static str,
        value: Option<Value>,
        parse: impl Fn(&Value) -> Option<T>,
    ) -> Option<T> {
        let value = value?;
        let read = parse(&value);
        if read.is_none() {
            self.complain(id, name, "not what can stand there");
        }
        read
    }

    fn read_headers(&self, id: i64, tenant: &TenantId, value: Option<Value>) -> Result<Vec<CustomHeader>, BadSeal> {
        let Some(value) = value else { return Ok(Vec::new()) };
        let mut headers = Vec::new();
        for header in value.as_array().into_iter().flatten() {
            let text = |name: &str| header.get(name).and_then(Value::as_str);
            let value = match (text("name"), text("value"), text("sealed")) {
                (Some(_), Some(clear), _) => clear.to_owned(),
                (Some(name), None, Some(sealed)) => self.keys.open(&header_place(tenant, name), sealed)?,
                _ => {
                    self.complain(id, "headers", "not what can stand there");
                    continue;
                }
            };
            let name = text("name").unwrap_or_default().to_owned();
            headers.push(CustomHeader { name, value: Secret::new(value) });
        }
        Ok(headers)
    }

    /// Says once that a value of a row means nothing.
    pub(crate) fn complain(&self, id: i64, what: &'static str, problem: &str) {
        if self.told.lock().unwrap_or_else(PoisonError::into_inner).insert((id, what)) {
            tracing::warn!(webhook = id, "the webhook's {what} cannot be read ({problem}) and counts as not set");
        }
    }
}

fn statuses(value: &Value) -> Option<Vec<u16>> {
    let statuses: Option<Vec<u16>> =
        value.as_array()?.iter().map(|one| one.as_u64().and_then(|n| u16::try_from(n).ok())).collect();
    statuses.filter(|statuses| statuses.iter().all(|status| matches!(status, 408 | 425 | 429)))
}

fn expiry(value: &Value) -> Option<BTreeMap<String, u32>> {
    let seconds = |(name, value): (&String, &Value)| Some((name.clone(), u32::try_from(value.as_u64()?).ok()?));
    value.as_object()?.iter().map(seconds).collect()
}

fn place(tenant: &str, column: Column) -> String {
    format!("{tenant}/{}", column.name())
}

fn header_place(tenant: &TenantId, name: &str) -> String {
    format!("{tenant}/options/{}", name.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f";

    fn tenant() -> TenantId {
        TenantId::parse("a").expect("legal")
    }

    fn codecs() -> [Codec; 2] {
        [SecretKeys::default(), SecretKeys::parse(KEY).expect("good")].map(Codec::new)
    }

    #[test]
    fn options_come_back_and_header_values_are_sealed() {
        let header = CustomHeader { name: "X-Key".to_owned(), value: Secret::new("hun\"ter2") };
        let options = WebhookOptions {
            retry_profile: RetryProfile::Durable,
            retry_statuses: vec![429],
            max_in_flight: Some(3),
            rate_limit: Some(9),
            expiry: [("queue.*".to_owned(), 0)].into(),
            ordered_by: Some(OrderedBy::Call),
            headers: vec![header],
        };
        for (codec, is_sealed) in codecs().into_iter().zip([false, true]) {
            let text = codec.write_options(&tenant(), &options).expect("not the default");
            assert_eq!(text.contains("sealed") && !text.contains("hun"), is_sealed, "{text}");
            assert_eq!(codec.read_options(1, &tenant(), Some(&text)), Ok(options.clone()));
            assert_eq!(codec.write_options(&tenant(), &WebhookOptions::default()), None);
        }
    }

    #[test]
    fn what_was_made_by_hand_and_cannot_be_read_counts_as_default() {
        let [codec, _] = codecs();
        let text = r#"{"rate_limit": 5, "max_in_flight": "many", "retry_profile": "never", "retry_statuses": [500],
                       "expiry": {"x": -1}, "ordered_by": null, "headers": [{"name": 1}, {"name": "a", "value": "b"}]}"#;
        let read = codec.read_options(1, &tenant(), Some(text)).expect("nothing is sealed");
        let header = CustomHeader { name: "a".to_owned(), value: Secret::new("b") };
        let wanted = WebhookOptions { rate_limit: Some(5), headers: vec![header], ..WebhookOptions::default() };
        assert_eq!(read, wanted);
        for text in ["[]", "soon", "{}"] {
            assert_eq!(codec.read_options(1, &tenant(), Some(text)), Ok(WebhookOptions::default()), "{text}");
        }
    }

    #[test]
    fn a_secret_written_by_hand_wins_over_a_sealed_one() {
        let [_, codec] = codecs();
        let written = codec.write_secret("a", Column::Secret, Some(&Secret::new("old")));
        assert_eq!(written.clear, None);
        let by_hand = SecretColumns {
            clear: Some("new".to_owned()),
            ..SecretColumns { clear: None, sealed: written.sealed.clone() }
        };
        let read = |columns| codec.read_secret(&tenant(), Column::Secret, columns);
        assert_eq!(read(by_hand), Ok(Some(Secret::new("new"))));
        assert_eq!(read(written), Ok(Some(Secret::new("old"))));
        assert_eq!(read(SecretColumns::default()), Ok(None));
    }
}
