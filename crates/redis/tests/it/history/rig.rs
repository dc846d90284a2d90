//! Nodes with a history, which remember the last position they have seen.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hookswitch_protocol::TenantId;
use hookswitch_redis::RedisConfig;
use hookswitch_redis::history::{
    AppendEvent, Appended, Batch, HistoryError, HistoryEvent, HistoryPage, HistoryRead, HistoryStream, Marks,
    PageBounds, Position, StreamLimits,
};

use crate::rig::{Node, event, tenant};

pub(super) const HEAD: &str = "callcenter:history-head:{callcenter:online:t}";
pub(super) const STREAM: &str = "callcenter:history:{callcenter:online:t}";
pub(super) const WIDE: PageBounds = PageBounds { events: 100_000, bytes: 1 << 30 };

/// One node's way to the history of tenant `t`.
pub(super) struct HistoryNode {
    pub(super) node: Node,
    pub(super) history: HistoryStream,
    seen: Mutex<Option<Position>>,
}

pub(super) fn config(url: &str) -> RedisConfig {
    let mut config = RedisConfig::parse_url(url).expect("a URL");
    // The cores may be shared with a compiler.
    config.command_timeout = Duration::from_secs(10);
    config
}

/// An event on its tenant's channel.
pub(super) fn ordinary(of: &str, id: &str) -> AppendEvent {
    let channel = Some(format!("callcenter:tenant:{of}").into());
    AppendEvent { envelope: event(of, "alert", id).encode().into(), channel, marks: Marks::default() }
}

/// One of a type that clients have to ask for.
pub(super) fn opt_in(of: &str, id: &str) -> AppendEvent {
    AppendEvent { marks: Marks { is_opt_in: true, is_kept: false }, ..ordinary(of, id) }
}

pub(super) fn id_of(event: &HistoryEvent) -> String {
    let envelope: serde_json::Value = serde_json::from_slice(&event.envelope).expect("an envelope");
    envelope["id"].as_str().expect("with an id").to_owned()
}

impl HistoryNode {
    pub(super) async fn start(url: &str) -> Self {
        Self::bounded(url, StreamLimits::default()).await
    }

    pub(super) async fn bounded(url: &str, bounds: StreamLimits) -> Self {
        Self::with(config(url), bounds).await
    }

    pub(super) async fn with(config: RedisConfig, bounds: StreamLimits) -> Self {
        let node = Node::with(config).await;
        let history = HistoryStream::new(node.keepers.link.clone(), bounds);
        Self { node, history, seen: Mutex::default() }
    }

    pub(super) fn seen(&self) -> Option<Position> {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn batch(&self, ids: &[&str]) -> Batch {
        self.history.batch(ids.iter().map(|id| ordinary("t", id)).collect())
    }

    pub(super) async fn send(&self, batch: &Batch) -> Result<Appended, HistoryError> {
        let appended = self.history.append(&tenant("t"), self.seen(), batch).await?;
        let last = Position { epoch: appended.epoch, offset: *appended.offsets.end() };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        *seen = (*seen).max(Some(last));
        Ok(appended)
    }

    pub(super) async fn append(&self, ids: &[&str]) -> Appended {
        self.send(&self.batch(ids)).await.expect("appended")
    }

    pub(super) async fn append_opt_in(&self, id: &str) -> Appended {
        self.send(&self.history.batch(vec![opt_in("t", id)])).await.expect("appended")
    }

    pub(super) async fn head(&self) -> Option<Position> {
        let heads = self.history.heads(&[tenant("t")]).await;
        heads.into_iter().next().expect("one").expect("read").map(|head| head.position)
    }

    /// Everything of the present epoch behind an offset, as one page.
    pub(super) async fn page_after(&self, offset: u64) -> HistoryPage {
        let head = self.head().await.expect("a history");
        let after = Position { offset, ..head };
        page(self.history.read_after(&tenant("t"), after, WIDE).await.expect("read"))
    }

    /// What is held, in order.
    pub(super) async fn ids(&self) -> Vec<String> {
        self.page_after(0).await.events.iter().map(id_of).collect()
    }
}

pub(super) fn page(read: HistoryRead) -> HistoryPage {
    match read {
        HistoryRead::Page(page) => page,
        HistoryRead::Unknown { head } => panic!("the position is unknown, the head is {head:?}"),
    }
}

/// All events of a tenant, page by page.
pub(super) async fn read_all(history: &HistoryStream, of: &TenantId, bounds: PageBounds) -> Vec<HistoryEvent> {
    let heads = history.heads(std::slice::from_ref(of)).await;
    let head = heads.into_iter().next().expect("one").expect("read").expect("a history").position;
    let (mut after, mut events) = (Position { offset: 0, ..head }, Vec::new());
    while after.offset < head.offset {
        let page = page(history.read_after(of, after, bounds).await.expect("read"));
        assert!(page.through > after.offset, "it goes on");
        after.offset = page.through;
        events.extend(page.events);
    }
    events
}
