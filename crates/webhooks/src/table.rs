//! Which webhooks want an event: an index in memory, read without a lock.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use hookswitch_protocol::{EventType, SubscriptionName, TenantId, WebhookId};

use crate::directory::{DirectoryError, DirectoryVersion, Webhook, WebhookDirectory};
use crate::guard::Target;
use crate::{rules, sign};

/// How often one refresh reads the directory while changes keep coming through us; those are in the
/// table anyway, and the next refresh tries again.
const READINGS: usize = 3;

/// The match table. Readers take a snapshot; writers replace it. It follows the directory: at once
/// after changes made through it, within one interval after changes made elsewhere or by hand.
#[derive(Debug, Default)]
pub(crate) struct MatchTable {
    index: ArcSwap<Index>,
    writer: Mutex<Writer>,
}

type Index = HashMap<TenantId, Arc<TenantIndex>>;

/// What one tenant's webhooks want.
#[derive(Debug, Default, Clone)]
struct TenantIndex {
    webhooks: HashMap<WebhookId, Vec<SubscriptionName>>,
    exact: HashMap<Arc<str>, Vec<WebhookId>>,
    prefixes: Vec<(Arc<str>, WebhookId)>,
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
    /// The tenant's active webhooks that want this event type, each once.
    pub(crate) fn matching(&self, tenant: &TenantId, event_type: &EventType) -> Vec<WebhookId> {
        let index = self.index.load();
        let Some(tenant) = index.get(tenant) else { return Vec::new() };
        let mut found = tenant.exact.get(event_type.as_str()).cloned().unwrap_or_default();
        for (prefix, webhook) in &tenant.prefixes {
            if event_type.as_str().starts_with(&**prefix) && !found.contains(webhook) {
                found.push(*webhook);
            }
        }
        found
    }

    /// Puts one webhook in as it is now; an inactive one is taken out.
    pub(crate) fn put(&self, webhook: &Webhook) {
        let mut writer = self.lock();
        let names = if webhook.is_active { writer.names_of(webhook) } else { None };
        self.replace(&mut writer, &webhook.tenant, webhook.id, names);
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
            let active = directory.active().await?;
            let mut writer = self.lock();
            // Changed through us while the list was on its way: it may be older than the change.
            if writer.n_changes == n_changes {
                self.index.store(Arc::new(writer.index_of(&active)));
                writer.version = Some(version);
                break;
            }
        }
        Ok(())
    }

    fn replace(&self, writer: &mut Writer, tenant: &TenantId, id: WebhookId, names: Option<Vec<SubscriptionName>>) {
        writer.n_changes += 1;
        let mut index = Index::clone(&self.index.load());
        let mut entry = index.get(tenant).map(|known| TenantIndex::clone(known)).unwrap_or_default();
        entry.webhooks.remove(&id);
        entry.webhooks.extend(names.map(|names| (id, names)));
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
    fn index_of(&mut self, active: &[Webhook]) -> Index {
        let mut tenants: HashMap<TenantId, TenantIndex> = HashMap::new();
        for webhook in active {
            if let Some(names) = self.names_of(webhook) {
                tenants.entry(webhook.tenant.clone()).or_default().webhooks.insert(webhook.id, names);
            }
        }
        tenants.into_iter().map(|(tenant, entry)| (tenant, Arc::new(entry.rebuilt()))).collect()
    }

    /// What a row wants; nothing when it was inserted by hand without a single readable event type.
    /// A row that is not as it should be is reported once, until it is right again.
    fn names_of(&mut self, webhook: &Webhook) -> Option<Vec<SubscriptionName>> {
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
        (!names.is_empty()).then_some(names)
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
    fn rebuilt(mut self) -> Self {
        self.exact.clear();
        self.prefixes.clear();
        for (id, names) in &self.webhooks {
            for name in names {
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

#[cfg(test)]
mod tests {
    use hookswitch_protocol::Timestamp;

    use super::*;

    fn tenant(name: &str) -> TenantId {
        TenantId::parse(name).expect(name)
    }

    fn webhook(id: i64, of: &str, events: &[&str]) -> Webhook {
        Webhook {
            id: WebhookId(id),
            tenant: tenant(of),
            name: "n".to_owned(),
            url: "https://example.com/".to_owned(),
            events: events.iter().map(ToString::to_string).collect(),
            secret: None,
            is_active: true,
            retry_count: 3,
            timeout_secs: 30,
            created_at: Timestamp::from_millis(0),
            updated_at: Timestamp::from_millis(0),
        }
    }

    fn found(table: &MatchTable, of: &str, event_type: &str) -> Vec<i64> {
        let mut ids: Vec<i64> = table
            .matching(&tenant(of), &EventType::parse(event_type).expect(event_type))
            .into_iter()
            .map(|id| id.0)
            .collect();
        ids.sort_unstable();
        ids
    }

    #[test]
    fn each_webhook_is_found_once_and_only_under_its_tenant() {
        let table = MatchTable::default();
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
        let table = MatchTable::default();
        table.put(&webhook(1, "a", &["call.incoming"]));
        table.put(&webhook(1, "a", &["call.ended"]));
        assert_eq!((found(&table, "a", "call.incoming"), found(&table, "a", "call.ended")), (vec![], vec![1]));
        table.put(&Webhook { is_active: false, ..webhook(1, "a", &["call.ended"]) });
        assert_eq!(found(&table, "a", "call.ended"), [0; 0]);
        table.put(&webhook(1, "a", &["call.ended"]));
        table.remove(&tenant("a"), WebhookId(1));
        assert_eq!(found(&table, "a", "call.ended"), [0; 0]);
    }

    #[test]
    fn what_can_be_read_of_a_bad_row_counts() {
        let table = MatchTable::default();
        table.put(&webhook(1, "a", &["Call Incoming", "call.ended"]));
        table.put(&Webhook { url: "nonsense".to_owned(), ..webhook(2, "a", &["call.ended"]) });
        table.put(&webhook(3, "a", &[]));
        assert_eq!(found(&table, "a", "call.ended"), [1, 2], "a bad URL is told with each attempt");
    }
}
