//! Which webhooks want an event: an index in memory, read without a lock.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use hookswitch_egress::Target;
use hookswitch_protocol::{EventType, Payload, TenantId, Timestamp, WebhookId};
use tokio::time::Instant;

use crate::match_index::{TenantIndex, Wants};
use crate::options::{OrderedBy, WebhookOptions, most_exact};
use crate::receiver_version::ReceiverVersion;
use crate::seams::directory::{DirectoryError, DirectoryVersion, Webhook, WebhookDirectory};
use crate::seams::ledger::DeliveryTarget;
use crate::{rules, sign};

/// Longest order key, in bytes, as wide as its column.
const ORDER_KEY_BYTES: usize = 128;

/// How often one refresh reads the directory while changes keep coming through us; those are in the
/// table anyway, and the next refresh tries again.
const READINGS: usize = 3;

/// A reading that took longer than this is followed by a pause so many times as long: with very many webhooks, steady
/// changes of a few would keep the database and a processor busy with all.
const DEAR_READING: Duration = Duration::from_millis(50);
const PAUSE_FACTOR: u32 = 10;

/// The match table. Readers take a snapshot; writers replace it. It follows the directory: at once
/// after changes made through it, within one interval after changes made elsewhere or by hand, or later while
/// reading all webhooks takes long and changes keep coming.
///
/// It holds webhooks that are switched off too: what they miss can be delivered later, see
/// `docs/decisions/0013-missed-deliveries-are-rows.md`.
#[derive(Debug)]
pub(crate) struct MatchTable {
    index: ArcSwap<Index>,
    writer: Mutex<Writer>,
    /// The node's own rule, for webhooks that have none of their own.
    expiry: BTreeMap<String, u32>,
    /// Of the rows of a tenant so many are in force, the oldest ones.
    max_per_tenant: usize,
}

/// A webhook's own limits, as its options say, and its receiver.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) max_in_flight: Option<u32>,
    pub(crate) rate_limit: Option<u32>,
    pub(crate) receiver: Option<ReceiverVersion>,
}

type Index = HashMap<TenantId, Arc<TenantIndex>>;

#[derive(Debug, Default)]
struct Writer {
    /// Counts changes, so that a list read before one of them is not installed over it.
    n_changes: u64,
    /// What the directory was at the last full reading.
    version: Option<DirectoryVersion>,
    /// Not before then is the directory read again.
    pause_until: Option<Instant>,
    /// Rows that were already complained about.
    reported: HashSet<WebhookId>,
    /// Tenants with more rows than are in force, which was said already.
    over_limit: HashSet<TenantId>,
}

impl MatchTable {
    /// An empty table; `expiry` is the node's own rule, and so many webhooks of a tenant are in force.
    pub(crate) fn new(expiry: BTreeMap<String, u32>, max_per_tenant: usize) -> Self {
        Self { index: ArcSwap::default(), writer: Mutex::default(), expiry, max_per_tenant }
    }

    /// How many webhooks of the tenant want events of this type, or more where some want it by several names.
    pub(crate) fn n_wanting(&self, tenant: &TenantId, event_type: &EventType) -> usize {
        self.index.load().get(tenant).map_or(0, |tenant| tenant.n_wanting(event_type))
    }

    /// The tenant's webhooks that want this event, each once, in the order of their ids, and on which terms.
    pub(crate) fn targets(
        &self,
        tenant: &TenantId,
        event_type: &EventType,
        payload: &Payload,
        accepted_at: Timestamp,
    ) -> Vec<DeliveryTarget> {
        let index = self.index.load();
        let Some(tenant) = index.get(tenant) else { return Vec::new() };
        let (mut call, mut node_expiry) = (None, None);
        let found = tenant.matching(event_type).into_iter();
        found
            .map(|wants| {
                let is_ordered = wants.options.ordered_by == Some(OrderedBy::Call);
                // Looked for once, and only where somebody wants to know; so is the node's own rule.
                let order_key = is_ordered
                    .then(|| call.get_or_insert_with(|| payload.unique_id().map(|id| order_key(&id))).clone())
                    .flatten();
                let node_expiry = || *node_expiry.get_or_insert_with(|| most_exact(&self.expiry, event_type).copied());
                let secs = wants.options.expiry_of(event_type).or_else(node_expiry).filter(|secs| *secs > 0);
                let expires_at = secs.map(|secs| accepted_at.after(Duration::from_secs(u64::from(secs))));
                DeliveryTarget { webhook: wants.id, expires_at, order_key, is_missed: !wants.is_active }
            })
            .collect()
    }

    /// What the owner of a webhook allows at once and per second, and which receiver it has now; no bounds
    /// for one that is not there.
    pub(crate) fn bounds(&self, tenant: &TenantId, webhook: WebhookId) -> Bounds {
        self.wants(tenant, webhook).map_or_else(Bounds::default, |wants| Bounds {
            max_in_flight: wants.options.max_in_flight,
            rate_limit: wants.options.rate_limit,
            receiver: Some(wants.receiver),
        })
    }

    /// Whether a webhook is there, switched on and within its tenant's limit.
    pub(crate) fn is_active(&self, tenant: &TenantId, webhook: WebhookId) -> bool {
        self.wants(tenant, webhook).is_some_and(|wants| wants.is_active)
    }

    /// What a webhook in force wants.
    fn wants(&self, tenant: &TenantId, webhook: WebhookId) -> Option<Arc<Wants>> {
        self.index.load().get(tenant)?.get(webhook).cloned()
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

    /// The next refresh reads the directory, changed or not.
    pub(crate) fn read_again(&self) {
        self.lock().version = None;
    }

    /// Reads the directory again if it changed since the last time.
    pub(crate) async fn refresh(&self, directory: &dyn WebhookDirectory) -> Result<(), DirectoryError> {
        // The version first: a change after it makes the next round read again.
        let version = directory.version().await?;
        if !self.lock().is_due(&version) {
            return Ok(());
        }
        for _ in 0..READINGS {
            let (n_changes, began) = (self.lock().n_changes, Instant::now());
            let all = directory.all().await?;
            let mut writer = self.lock();
            writer.has_read(began.elapsed());
            // Changed through us while the list was on its way: it may be older than the change.
            if writer.n_changes == n_changes {
                self.index.store(Arc::new(writer.index_of(&all, self.max_per_tenant)));
                writer.version = Some(version);
                break;
            }
        }
        Ok(())
    }

    fn replace(&self, writer: &mut Writer, tenant: &TenantId, id: WebhookId, wants: Option<Wants>) {
        writer.n_changes += 1;
        let mut index = Index::clone(&self.index.load());
        let entry = index.get(tenant).map(|known| TenantIndex::clone(known)).unwrap_or_default();
        let entry = entry.with(id, wants).in_force(self.max_per_tenant);
        writer.report_excess(tenant, &entry);
        if entry.is_empty() {
            index.remove(tenant);
        } else {
            index.insert(tenant.clone(), Arc::new(entry));
        }
        self.index.store(Arc::new(index));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Writer {
    /// Whether the directory is to be read for this version of it.
    fn is_due(&self, version: &DirectoryVersion) -> bool {
        let is_pausing = self.pause_until.is_some_and(|until| Instant::now() < until);
        self.version.as_ref() != Some(version) && !is_pausing
    }

    /// Reading all webhooks took so long.
    fn has_read(&mut self, took: Duration) {
        self.pause_until = (took > DEAR_READING).then(|| Instant::now() + took * PAUSE_FACTOR);
    }

    fn index_of(&mut self, all: &[Webhook], max_per_tenant: usize) -> Index {
        let mut tenants: HashMap<TenantId, TenantIndex> = HashMap::new();
        for webhook in all {
            if let Some(wants) = self.wants_of(webhook) {
                tenants.entry(webhook.tenant.clone()).or_default().add(wants);
            }
        }
        self.over_limit.retain(|tenant| tenants.contains_key(tenant));
        let mut index = Index::with_capacity(tenants.len());
        for (tenant, entry) in tenants {
            let entry = entry.in_force(max_per_tenant);
            self.report_excess(&tenant, &entry);
            index.insert(tenant, Arc::new(entry));
        }
        index
    }

    /// Says once that a tenant has more rows than are in force, until it has not.
    fn report_excess(&mut self, tenant: &TenantId, entry: &TenantIndex) {
        let n_excess = entry.n_excess();
        if n_excess == 0 {
            self.over_limit.remove(tenant);
        } else if self.over_limit.insert(tenant.clone()) {
            tracing::warn!(
                %tenant,
                n_excess,
                "a tenant has more webhooks than WEBHOOK_MAX_PER_TENANT allows, the newest are not in force"
            );
        }
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
        (!names.is_empty()).then(|| Wants {
            id: webhook.id,
            names,
            is_active: webhook.is_active,
            receiver: ReceiverVersion::of(webhook),
            // Matching needs no secrets, so they are not kept here.
            options: WebhookOptions { headers: Vec::new(), ..webhook.options.clone() },
        })
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

/// Fits the column: a longer id, which no telephone system makes, is cut and shares its line.
fn order_key(id: &str) -> String {
    id[..id.floor_char_boundary(ORDER_KEY_BYTES)].to_owned()
}

#[cfg(test)]
#[path = "match_table_tests.rs"]
mod tests;
