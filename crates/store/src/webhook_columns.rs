//! How secrets and options stand in the columns of `webhooks`: sealed where there is a key, and as JSON.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::{Mutex, PoisonError};

use hookswitch_protocol::{Secret, TenantId};
use hookswitch_webhooks::{CustomHeader, OrderedBy, RETRYABLE_STATUSES, RetryProfile, Webhook, WebhookOptions};
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

/// Writes and reads those columns, and warns once about each value that cannot be read.
pub(crate) struct WebhookColumns {
    keys: SecretKeys,
    reported: Mutex<HashSet<(i64, &'static str)>>,
}

impl fmt::Debug for WebhookColumns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookColumns").field("keys", &self.keys).finish_non_exhaustive()
    }
}

impl WebhookColumns {
    pub(crate) fn new(keys: SecretKeys) -> Self {
        Self { keys, reported: Mutex::default() }
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

    /// What is no text counts for nothing, as names do that are no event types.
    pub(crate) fn read_events(&self, id: i64, tenant: &TenantId, text: &str) -> Vec<String> {
        let Ok(entries) = serde_json::from_str::<Vec<Value>>(text) else {
            self.warn_once(id, tenant.as_str(), "events", "no list of texts");
            return Vec::new();
        };
        let n_entries = entries.len();
        let names = entries.into_iter().filter_map(|entry| match entry {
            Value::String(name) => Some(name),
            _ => None,
        });
        let names: Vec<String> = names.collect();
        if names.len() < n_entries {
            self.warn_once(id, tenant.as_str(), "entry of events", "no text");
        }
        names
    }

    /// A value made by hand that cannot be read counts as its default. The options come without
    /// headers when one of those cannot be opened.
    pub(crate) fn read_options(
        &self,
        id: i64,
        tenant: &TenantId,
        text: Option<&str>,
    ) -> (WebhookOptions, Result<(), BadSeal>) {
        let Some(text) = text else { return (WebhookOptions::default(), Ok(())) };
        let Ok(mut object) = serde_json::from_str::<Map<String, Value>>(text) else {
            self.warn_once(id, tenant.as_str(), "options", "no JSON object");
            return (WebhookOptions::default(), Ok(()));
        };
        let mut take = |name| object.remove(name).filter(|value| !value.is_null());
        let number = |value: &Value| value.as_u64().and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0);
        let profile = |value: &Value| value.as_str().and_then(RetryProfile::parse);
        let order = |value: &Value| value.as_str().and_then(OrderedBy::parse);
        let headers = self.read_headers(id, tenant, take("headers"));
        let read_as = Reading { columns: self, id, tenant };
        let options = WebhookOptions {
            retry_profile: read_as.value("retry_profile", take("retry_profile"), profile).unwrap_or_default(),
            retry_statuses: read_as.value("retry_statuses", take("retry_statuses"), statuses).unwrap_or_default(),
            max_in_flight: read_as.value("max_in_flight", take("max_in_flight"), number),
            rate_limit: read_as.value("rate_limit", take("rate_limit"), number),
            expiry: read_as.value("expiry", take("expiry"), expiry).unwrap_or_default(),
            ordered_by: read_as.value("ordered_by", take("ordered_by"), order),
            headers: headers.as_ref().cloned().unwrap_or_default(),
        };
        (options, headers.map(drop))
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
                    self.warn_once(id, tenant.as_str(), "headers", "not what can stand there");
                    continue;
                }
            };
            let name = text("name").unwrap_or_default().to_owned();
            headers.push(CustomHeader { name, value: Secret::new(value) });
        }
        Ok(headers)
    }

    /// Says once that a value of a row means nothing.
    pub(crate) fn warn_once(&self, id: i64, tenant: &str, what: &'static str, problem: &str) {
        if self.is_first_report(id, what) {
            tracing::warn!(
                tenant,
                webhook = id,
                "the webhook's {what} cannot be read ({problem}) and counts as not set"
            );
        }
    }

    /// Says once that this node cannot send to a webhook.
    pub(crate) fn report_sealed(&self, webhook: &Webhook, why: BadSeal) {
        let (id, tenant) = (webhook.id, &webhook.tenant);
        let what = match why {
            BadSeal::UnknownKey => "a webhook's secrets cannot be opened here: its events wait for a node with the key",
            BadSeal::Forged => "a webhook's secrets cannot be opened: it gets no events until they are set anew",
        };
        if self.is_first_report(id.0, what) {
            tracing::error!(%tenant, webhook = %id, error = %why, "{what}");
        }
    }

    fn is_first_report(&self, id: i64, what: &'static str) -> bool {
        self.reported.lock().unwrap_or_else(PoisonError::into_inner).insert((id, what))
    }
}

/// Whose options are read.
struct Reading<'a> {
    columns: &'a WebhookColumns,
    id: i64,
    tenant: &'a TenantId,
}

impl Reading<'_> {
    fn value<T>(&self, name: &'static str, value: Option<Value>, parse: impl Fn(&Value) -> Option<T>) -> Option<T> {
        let read = parse(&value?);
        if read.is_none() {
            self.columns.warn_once(self.id, self.tenant.as_str(), name, "not what can stand there");
        }
        read
    }
}

fn statuses(value: &Value) -> Option<Vec<u16>> {
    let statuses: Option<Vec<u16>> =
        value.as_array()?.iter().map(|one| one.as_u64().and_then(|n| u16::try_from(n).ok())).collect();
    statuses.filter(|statuses| statuses.iter().all(|status| RETRYABLE_STATUSES.contains(status)))
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

    fn both_columns() -> [WebhookColumns; 2] {
        [SecretKeys::default(), SecretKeys::parse(KEY).expect("good")].map(WebhookColumns::new)
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
        for (columns, is_sealed) in both_columns().into_iter().zip([false, true]) {
            let text = columns.write_options(&tenant(), &options).expect("not the default");
            assert_eq!(text.contains("sealed") && !text.contains("hun"), is_sealed, "{text}");
            assert_eq!(columns.read_options(1, &tenant(), Some(&text)), (options.clone(), Ok(())));
            assert_eq!(columns.write_options(&tenant(), &WebhookOptions::default()), None);
        }
    }

    #[test]
    fn what_was_made_by_hand_and_cannot_be_read_counts_as_default() {
        let [columns, _] = both_columns();
        let text = r#"{"rate_limit": 5, "max_in_flight": "many", "retry_profile": "never", "retry_statuses": [500],
                       "expiry": {"x": -1}, "ordered_by": null, "headers": [{"name": 1}, {"name": "a", "value": "b"}]}"#;
        let read = columns.read_options(1, &tenant(), Some(text)).0;
        let header = CustomHeader { name: "a".to_owned(), value: Secret::new("b") };
        let wanted = WebhookOptions { rate_limit: Some(5), headers: vec![header], ..WebhookOptions::default() };
        assert_eq!(read, wanted);
        for text in ["[]", "soon", "{}"] {
            assert_eq!(columns.read_options(1, &tenant(), Some(text)).0, WebhookOptions::default(), "{text}");
        }
    }

    #[test]
    fn what_is_no_text_among_events_counts_for_nothing() {
        let columns = WebhookColumns::new(SecretKeys::default());
        let cases: [(&str, &[&str]); 4] =
            [(r#"["call.*"]"#, &["call.*"]), (r#"["a",5,null,"B"]"#, &["a", "B"]), ("{}", &[]), ("call.*", &[])];
        for (text, wanted) in cases {
            assert_eq!(columns.read_events(1, &tenant(), text), wanted, "{text}");
        }
    }

    #[test]
    fn a_secret_written_by_hand_wins_over_a_sealed_one() {
        let [_, columns] = both_columns();
        let written = columns.write_secret("a", Column::Secret, Some(&Secret::new("old")));
        assert_eq!(written.clear, None);
        let by_hand = SecretColumns {
            clear: Some("new".to_owned()),
            ..SecretColumns { clear: None, sealed: written.sealed.clone() }
        };
        let read = |stored| columns.read_secret(&tenant(), Column::Secret, stored);
        assert_eq!(read(by_hand), Ok(Some(Secret::new("new"))));
        assert_eq!(read(written), Ok(Some(Secret::new("old"))));
        assert_eq!(read(SecretColumns::default()), Ok(None));
    }
}
