//! Which webhooks want an event: an index in memory, read without a lock.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use hookswitch_egress::Target;
use hookswitch_protocol::{EventType, Payload, SubscriptionName, TenantId, Timestamp, WebhookId};

use crate::options::{OrderedBy, WebhookOptions, most_exact};
use crate::seams::directory::{DirectoryError, DirectoryVersion, Webhook, WebhookDirectory};
use crate::seams::ledger::DeliveryTarget;
use crate::{rules, sign};

/// Longest order key, in bytes, as wide as its column.
const ORDER_KEY_BYTES: usize = 128;

/// How often one refresh reads the directory while changes keep coming through us; those are in the
/// table anyway, and the next refresh tries again.
const READINGS: usize = 3;

/// The match table. Readers take a snapshot; writers replace it. It follows the directory: at once
/// after changes made through it, within one interval after changes made elsewhere or by hand.
///
/// It holds webhooks that are switched off too: what they miss can be delivered later, see
/// `docs/decisions/0013-missed-deliveries-are-rows.md`.
#[derive(Debug)]
pub(crate) struct MatchTable {
    index: ArcSwap<Index>,
    writer: Mutex<Writer>,
    /// The node's own rule, for webhooks that have none of their own.
    expiry: BTreeMap<String, u32>,
}

/// A webhook's own limits, as its options say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) max_in_flight: Option<u32>,
    pub(crate) rate_limit: Option<u32>,
}

type Index = HashMap<TenantId, Arc<TenantIndex>>;

/// What one tenant's webhooks want.
#[derive(Debug, Default, Clone)]
struct TenantIndex {
    webhooks: HashMap<WebhookId, Arc<Wants>>,
    exact: HashMap<Arc<str>, Vec<WebhookId>>,
    prefixes: Vec<(Arc<str>, WebhookId)>,
}

/// What one webhook wants, and on which terms.
#[derive(Debug)]
struct Wants {
    names: Vec<SubscriptionName>,
    is_active: bool,
    options: WebhookOptions,
}

#[derive(Debug, Default)]
struct Writer {
    /// Counts changes, so that a list read before one of them is not installed over it.
    n_changes: u64,
    /// What the directory was at the last full reading.
    version: Option<DirectoryVersion>,
    /// Rows that were already complained about.
    reported: HashSet<WebhookId>,
}

impl MatchTable {
    /// An empty table; `expiry` is the node's own rule.
    pub(crate) fn new(expiry: BTreeMap<String, u32>) -> Self {
        Self { index: ArcSwap::default(), writer: Mutex::default(), expiry }
    }

    /// The tenant's webhooks that want this event, each once, and on which terms.
    pub(crate) fn targets(
        &self,
        tenant: &TenantId,
        event_type: &EventType,
        payload: &Payload,
        accepted_at: Timestamp,
    ) -> Vec<DeliveryTarget> {
        let index = self.index.load();
        let Some(tenant) = index.get(tenant) else { return Vec::new() };
        let mut call = None;
        let found = tenant.matching(event_type).into_iter();
        found
            .filter_map(|webhook| {
                let wants = tenant.webhooks.get(&webhook)?;
                let is_ordered = wants.options.ordered_by == Some(OrderedBy::Call);
                // Looked for once, and only where somebody wants to know.
                let order_key = is_ordered
                    .then(|| call.get_or_insert_with(|| payload.unique_id().map(|id| order_key(&id))).clone())
                    .flatten();
                let expires_at = self.expires_at(&wants.options, event_type, accepted_at);
                Some(DeliveryTarget { webhook, expires_at, order_key, is_missed: !wants.is_active })
            })
            .collect()
    }

    fn expires_at(&self, options: &WebhookOptions, event_type: &EventType, from: Timestamp) -> Option<Timestamp> {
        let secs = options.expiry_of(event_type).or_else(|| most_exact(&self.expiry, event_type).copied());
        secs.filter(|secs| *secs > 0).map(|secs| from.after(Duration::from_secs(u64::from(secs))))
    }

    /// What the owner of a webhook allows at once and per second; no bounds for one that is not there.
    pub(crate) fn bounds(&self, tenant: &TenantId, webhook: WebhookId) -> Bounds {
        let index = self.index.load();
        let wants = index.get(tenant).and_then(|tenant| tenant.webhooks.get(&webhook));
        wants.map_or_else(Bounds::default, |wants| Bounds {
            max_in_flight: wants.options.max_in_flight,
            rate_limit: wants.options.rate_limit,
        })
    }

    /// Whether a webhook is there and switched on.
    pub(crate) fn is_active(&self, tenant: &TenantId, webhook: WebhookId) -> bool {
        let index = self.index.load();
        let wants = index.get(tenant).and_then(|tenant| tenant.webhooks.get(&webhook));
        wants.is_some_and(|wants| wants.is_active)
    }

    /// Puts one webhook in as it is now.
    pub(crate) fn put(&self, webhook: &Webhook) {
        let mut writer = self.lock();
        let wants = writer.wants_of(webhook);
        self.replace(&mut writer, &webhook.tenant, webhook.id, wants);
    }

    /// Takes one webhook out.
    pub(crate) fn remove(&self, tenant: &TenantId, id: WebhookId) {
        let mut writer = self.lock();
        self.replace(&mut writer, tenant, id, None);
    }

    /// Reads the directory again if it changed since the last time.
    pub(crate) async fn refresh(&self, directory: &dyn WebhookDirectory) -> Result<(), DirectoryError> {
        // The version first: a change after it makes the next round read again.
        let version = directory.version().await?;
        if self.lock().version.as_ref() == Some(&version) {
            return Ok(());
        }
        for _ in 0..READINGS {
            let n_changes = self.lock().n_changes;
            let all = directory.all().await?;
            let mut writer = self.lock();
            // Changed through us while the list was on its way: it may be older than the change.
            if writer.n_changes == n_changes {
                self.index.store(Arc::new(writer.index_of(&all)));
                writer.version = Some(version);
                break;
            }
        }
        Ok(())
    }

    fn replace(&self, writer: &mut Writer, tenant: &TenantId, id: WebhookId, wants: Option<Wants>) {
        writer.n_changes += 1;
        let mut index = Index::clone(&self.index.load());
        let mut entry = index.get(tenant).map(|known| TenantIndex::clone(known)).unwrap_or_default();
        entry.webhooks.remove(&id);
        entry.webhooks.extend(wants.map(|wants| (id, Arc::new(wants))));
        if entry.webhooks.is_empty() {
            index.remove(tenant);
        } else {
            index.insert(tenant.clone(), Arc::new(entry.rebuilt()));
        }
        self.index.store(Arc::new(index));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Writer {
    fn index_of(&mut self, all: &[Webhook]) -> Index {
        let mut tenants: HashMap<TenantId, TenantIndex> = HashMap::new();
        for webhook in all {
            if let Some(wants) = self.wants_of(webhook) {
                tenants.entry(webhook.tenant.clone()).or_default().webhooks.insert(webhook.id, Arc::new(wants));
            }
        }
        tenants.into_iter().map(|(tenant, entry)| (tenant, Arc::new(entry.rebuilt()))).collect()
    }

    /// What a row wants; nothing when it was inserted by hand without a single readable event type.
    /// A row that is not as it should be is reported once, until it is right again.
    fn wants_of(&mut self, webhook: &Webhook) -> Option<Wants> {
        let mut problems = Vec::new();
        let mut names = Vec::new();
        for text in &webhook.events {
            match rules::event_name(text) {
                Ok(name) => names.push(name),
                Err(problem) => problems.push(format!("events entry {text:?} {problem}")),
            }
        }
        if webhook.events.is_empty() {
            problems.push("events is empty or not an array of strings".to_owned());
        }
        if let Err(error) = Target::parse(&webhook.url) {
            // It matches all the same: the attempt that cannot be made is a row in the log.
            problems.push(format!("url {error}"));
        }
        if webhook.secret.as_ref().is_some_and(|secret| sign::standard_key(secret).is_err()) {
            problems
                .push("secret starts with whsec_ but the rest is empty or not base64, it is used as text".to_owned());
        }
        self.report(webhook, &problems);
        let (is_active, options) = (webhook.is_active, webhook.options.clone());
        (!names.is_empty()).then_some(Wants { names, is_active, options })
    }

    fn report(&mut self, webhook: &Webhook, problems: &[String]) {
        if problems.is_empty() {
            self.reported.remove(&webhook.id);
        } else if self.reported.insert(webhook.id) {
            let problems = problems.join("; ");
            tracing::warn!(tenant = %webhook.tenant, webhook = %webhook.id, problems, "a webhooks row is not as it should be");
        }
    }
}

impl TenantIndex {
    fn matching(&self, event_type: &EventType) -> Vec<WebhookId> {
        let mut found = self.exact.get(event_type.as_str()).cloned().unwrap_or_default();
        for (prefix, webhook) in &self.prefixes {
            if event_type.as_str().starts_with(&**prefix) && !found.contains(webhook) {
                found.push(*webhook);
            }
        }
        found
    }

    fn rebuilt(mut self) -> Self {
        self.exact.clear();
        self.prefixes.clear();
        for (id, wants) in &self.webhooks {
            for name in &wants.names {
                match name {
                    SubscriptionName::Exact(name) => {
                        let ids = self.exact.entry(Arc::clone(name)).or_default();
                        if !ids.contains(id) {
                            ids.push(*id);
                        }
                    }
                    SubscriptionName::Prefix(prefix) => self.prefixes.push((Arc::clone(prefix), *id)),
                }
            }
        }
        self
    }
}

/// Fits the column: a longer id, which no telephone system makes, is cut and shares its line.
fn order_key(id: &str) -> String {
    id[..id.floor_char_boundary(ORDER_KEY_BYTES)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seams::directory::NewWebhook;

    fn tenant(name: &str) -> TenantId {
        TenantId::parse(name).expect(name)
    }

    fn webhook(id: i64, of: &str, events: &[&str]) -> Webhook {
        let new = NewWebhook {
            name: "n".to_owned(),
            url: "https://example.com/".to_owned(),
            events: events.iter().map(ToString::to_string).collect(),
            secret: None,
            retry_count: 3,
            timeout_secs: 30,
            options: WebhookOptions::default(),
        };
        Webhook::new(WebhookId(id), tenant(of), new, Timestamp::from_millis(0))
    }

    fn targets(table: &MatchTable, of: &str, event_type: &str, payload: &str) -> Vec<DeliveryTarget> {
        let event_type = EventType::parse(event_type).expect(event_type);
        let payload = Payload::parse(payload).expect(payload);
        let mut found = table.targets(&tenant(of), &event_type, &payload, Timestamp::from_millis(1_000));
        found.sort_by_key(|target| target.webhook);
        found
    }

    fn found(table: &MatchTable, of: &str, event_type: &str) -> Vec<i64> {
        targets(table, of, event_type, "{}").iter().map(|target| target.webhook.0).collect()
    }

    #[test]
    fn the_terms_are_the_webhooks_own_or_the_nodes() {
        let table = MatchTable::new([("queue.*".to_owned(), 30)].into());
        let of = |id, options| Webhook { options, ..webhook(id, "a", &["*"]) };
        table.put(&of(1, WebhookOptions::default()));
        let expiry = [("queue.stats".to_owned(), 0), ("call.*".to_owned(), 5)].into();
        table.put(&of(2, WebhookOptions { ordered_by: Some(OrderedBy::Call), expiry, ..WebhookOptions::default() }));
        let expires = |event_type| {
            targets(&table, "a", event_type, "{}").iter().map(|t| t.expires_at.map(Timestamp::as_millis)).collect()
        };
        let wanted: [(&str, Vec<Option<i64>>); 3] = [
            ("queue.stats", vec![Some(31_000), None]),
            ("call.ended", vec![None, Some(6_000)]),
            ("alert", vec![None, None]),
        ];
        for (event_type, wanted) in wanted {
            let expires: Vec<Option<i64>> = expires(event_type);
            assert_eq!(expires, wanted, "{event_type}");
        }
        for (payload, wanted) in [(r#"{"unique_id":"1.2"}"#, Some("1.2")), ("{}", None)] {
            let keys: Vec<_> = targets(&table, "a", "call.ended", payload).into_iter().map(|t| t.order_key).collect();
            assert_eq!(keys, [None, wanted.map(str::to_owned)], "{payload}");
        }
        assert_eq!(order_key(&"é".repeat(100)).len(), ORDER_KEY_BYTES);
    }

    #[test]
    fn one_that_is_switched_off_misses_what_it_would_get() {
        let table = MatchTable::new(BTreeMap::new());
        table.put(&Webhook { is_active: false, ..webhook(1, "a", &["call.ended"]) });
        let found = targets(&table, "a", "call.ended", "{}");
        assert_eq!(found, [DeliveryTarget { is_missed: true, ..DeliveryTarget::new(WebhookId(1)) }]);
    }

    #[test]
    fn each_webhook_is_found_once_and_only_under_its_tenant() {
        let table = MatchTable::new(BTreeMap::new());
        table.put(&webhook(1, "a", &["call.incoming", "call.incoming", "call.*", "*"]));
        table.put(&webhook(2, "a", &["call.ended"]));
        table.put(&webhook(3, "b", &["*"]));
        assert_eq!(found(&table, "a", "call.incoming"), [1]);
        assert_eq!(found(&table, "a", "call.ended"), [1, 2]);
        assert_eq!(found(&table, "b", "call.ended"), [3]);
        assert_eq!(found(&table, "c", "call.ended"), [0; 0]);
    }

    #[test]
    fn changes_take_effect_at_once() {
        let table = MatchTable::new(BTreeMap::new());
        table.put(&webhook(1, "a", &["call.incoming"]));
        table.put(&webhook(1, "a", &["call.ended"]));
        assert_eq!((found(&table, "a", "call.incoming"), found(&table, "a", "call.ended")), (vec![], vec![1]));
        table.remove(&tenant("a"), WebhookId(1));
        assert_eq!(found(&table, "a", "call.ended"), [0; 0]);
    }

    #[test]
    fn what_can_be_read_of_a_bad_row_counts() {
        let table = MatchTable::new(BTreeMap::new());
        table.put(&webhook(1, "a", &["Call Incoming", "call.ended"]));
        table.put(&Webhook { url: "nonsense".to_owned(), ..webhook(2, "a", &["call.ended"]) });
        table.put(&webhook(3, "a", &[]));
        assert_eq!(found(&table, "a", "call.ended"), [1, 2], "a bad URL is told with each attempt");
    }
}
