//! The masters of a cluster, each with its own state: one that hangs is no reason to doubt the others.

use std::collections::BTreeMap;
use std::sync::Arc;

use fred::error::{Error, ErrorKind};
use fred::interfaces::ClientLike as _;
use fred::types::cluster::ClusterRouting;
use fred::types::config::Server;
use fred::types::{CustomCommand, Value};
use fred::util::redis_keyslot;
use futures_util::future::{join_all, select_ok};

use super::{Link, LinkError};
use crate::config::Topology;
use crate::script::Script;

/// Tags tried to find a key of each master; with so many, one that owns a hundredth of the slots has one.
const TAGS: u32 = 4_096;

/// Servers that are asked at the same time who owns which slot: the first answer counts.
const ASKED_AT_ONCE: usize = 2;

const SLOTS_OPERATION: &str = "say which master owns which slot";

impl Link {
    /// The masters of the cluster as last heard of; one `None` where there is one server.
    pub(crate) fn servers(&self) -> Vec<Option<Server>> {
        match self.config().topology {
            Topology::Single(_) | Topology::Sentinel { .. } => vec![None],
            Topology::Cluster(_) => {
                let known = self.clients().slots().map(|slots| slots.unique_primary_nodes());
                known.unwrap_or_default().into_iter().map(Some).collect()
            }
        }
    }

    /// Asks the cluster anew which master owns which slot: those first that answer otherwise too.
    ///
    /// # Errors
    /// When no server of it answers, or not in words that are understood.
    pub(crate) async fn slots(&self) -> Result<Arc<ClusterRouting>, LinkError> {
        let (well, others): (Vec<_>, Vec<_>) =
            self.clients().knowing().into_iter().partition(|server| self.0.shards.is_well(&server.to_string()));
        let mut last = LinkError::Away { problem: "no server of the cluster is known".to_owned() };
        for some in [well, others].concat().chunks(ASKED_AT_ONCE) {
            match select_ok(some.iter().map(|server| Box::pin(self.slots_by(server)))).await {
                Ok((slots, _others)) => return Ok(slots),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// What this server says of who owns which slot.
    pub(super) async fn slots_by(&self, server: &Server) -> Result<Arc<ClusterRouting>, LinkError> {
        let asked = async {
            let client = self.client_at(Some(server))?;
            client.wait_for_connect().await?;
            let command = CustomCommand::new_static("CLUSTER", None, false);
            let said: Value = client.custom(command, vec!["SLOTS"]).await?;
            ClusterRouting::from_cluster_slots(said, server.host.clone())
        };
        let said = tokio::time::timeout(self.config().command_timeout, asked).await;
        let said = said.unwrap_or_else(|_| Err(Error::new(ErrorKind::Timeout, "no answer in time")));
        match said {
            Ok(slots) if slots.len() > 0 => Ok(self.clients().note(slots)),
            Ok(_none) => {
                let error = Error::new(ErrorKind::Cluster, "it knows of no slots");
                Err(self.failed(SLOTS_OPERATION, &server.to_string(), error))
            }
            Err(error) => Err(self.failed(SLOTS_OPERATION, &server.to_string(), error)),
        }
    }

    /// A probe through this master came back, or why it did not. How many in a row have not.
    pub(crate) fn note_shard(&self, server: &Server, problem: Option<String>, patience: u32) -> u32 {
        self.0.shards.note(&server.to_string(), problem, patience)
    }

    /// Why shard channels are not listened to, if some are not.
    pub(crate) fn note_deaf(&self, problem: Option<String>) {
        self.0.shards.note_deaf(problem);
    }

    /// Forgets masters that are none any more.
    pub(crate) fn keep_shards(&self, servers: &[Option<Server>]) {
        let names: Vec<String> = servers.iter().flatten().map(ToString::to_string).collect();
        self.0.shards.keep(&names);
    }

    /// Whether the way is open, every master takes events, and each carries out a script that writes.
    pub(crate) async fn check_all(&self) -> Result<(), String> {
        self.check()?;
        self.0.shards.check()?;
        let keys = self.check_keys()?;
        let checked = join_all(keys.into_iter().map(|(server, key)| self.check_writing(server, key))).await;
        let failed: Vec<String> = checked.into_iter().filter_map(Result::err).collect();
        if failed.is_empty() { Ok(()) } else { Err(failed.join("; ")) }
    }

    /// Each master, and a key of its.
    fn check_keys(&self) -> Result<Vec<(String, String)>, String> {
        let key = |tag: u32| self.keys().check(self.node(), tag);
        let Topology::Cluster(_) = self.config().topology else {
            return Ok(vec![(self.config().topology.to_string(), key(0))]);
        };
        let known = self.clients().slots().ok_or("the cluster's masters are not known")?;
        let mut keys: BTreeMap<&Server, String> = BTreeMap::new();
        let n_masters = known.unique_primary_nodes().len();
        for name in (0..TAGS).map(key) {
            if keys.len() == n_masters {
                break;
            }
            if let Some(owner) = known.get_server(redis_keyslot(name.as_bytes())) {
                keys.entry(owner).or_insert(name);
            }
        }
        Ok(keys.into_iter().map(|(server, key)| (server.to_string(), key)).collect())
    }

    async fn check_writing(&self, server: String, key: String) -> Result<(), String> {
        let script = Script::new(include_str!("../scripts/check.lua"));
        let wrote: Result<i64, _> = script.run(self, "write for a check", &[key], Vec::new()).await;
        wrote.map(drop).map_err(|error| format!("{server}: {}", error.summary()))
    }
}
