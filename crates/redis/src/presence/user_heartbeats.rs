//! Heartbeats: the contract's presence keys, each in a slot of its own.

use fred::clients::{Client, WithOptions};
use fred::interfaces::{KeysInterface as _, SetsInterface as _};
use fred::types::Expiration;
use futures_util::future::join_all;
use hookswitch_hub::UserKey;
use hookswitch_protocol::{TenantId, Timestamp};
use tokio::time::sleep;

use super::RedisPresence;
use crate::link::{Link, LinkError};

/// Heartbeats sent at once.
const HEARTBEATS_AT_ONCE: usize = 200;

impl RedisPresence {
    /// Writes every user's heartbeat once per interval, a few at a time, spread over it.
    pub(super) async fn run_heartbeats(&self) {
        let interval = self.link.config().heartbeat_interval;
        loop {
            let users = self.local.present();
            let n_chunks = users.len().div_ceil(HEARTBEATS_AT_ONCE).max(1);
            for n in 0..n_chunks {
                sleep(interval / n_chunks as u32).await;
                let chunk = users.iter().skip(n * HEARTBEATS_AT_ONCE).take(HEARTBEATS_AT_ONCE);
                // Who has left since must not get one any more.
                let present: Vec<_> = chunk.filter(|user| self.local.is_present(user)).cloned().collect();
                if self.link.is_up()
                    && let Err(error) = write_all(&self.link, &present).await
                {
                    self.failed(&error, None);
                }
            }
        }
    }
}

/// Writes that the user was there just now.
pub(super) async fn write(link: &Link, tenant: &TenantId, user: &str) -> Result<(), LinkError> {
    let seconds = link.clock().now().as_secs();
    let expiry = Expiration::PX(link.config().heartbeat_expiry.as_millis() as i64);
    let key = link.keys().presence(tenant, user);
    let set = async |client: WithOptions<Client>| client.set(&key, seconds, Some(expiry.clone()), None, false).await;
    let written: Result<(), _> = link.at_key(&key, set).await;
    written.map_err(|source| link.failed("write a heartbeat", &key, source))
}

/// The same for many at once; the first failure, after all were tried.
pub(super) async fn write_all(link: &Link, users: &[UserKey]) -> Result<(), LinkError> {
    let written = users.iter().map(|key| {
        let user = key.user.to_string();
        async move { write(link, &key.tenant, &user).await }
    });
    join_all(written).await.into_iter().collect()
}

/// When the user was last there, by what anybody wrote.
pub(super) async fn read(link: &Link, key: &UserKey) -> Result<Option<Option<Timestamp>>, LinkError> {
    let name = link.keys().presence(&key.tenant, &key.user.to_string());
    let get = async |client: WithOptions<Client>| client.get(&name).await;
    let text: Option<String> =
        link.at_key(&name, get).await.map_err(|source| link.failed("read a heartbeat", &name, source))?;
    let as_time = |text: String| text.parse::<i64>().ok()?.checked_mul(1_000).map(Timestamp::from_millis);
    Ok(text.map(as_time))
}

/// Whether there is one.
pub(super) async fn exists(link: &Link, tenant: &TenantId, user: &str) -> Result<bool, LinkError> {
    let key = link.keys().presence(tenant, user);
    let exists = async |client: WithOptions<Client>| client.exists(&key).await;
    let found: Result<bool, _> = link.at_key(&key, exists).await;
    found.map_err(|source| link.failed("look for a heartbeat", &key, source))
}

/// Removes those of users who went offline. Another slot knows whether they are: one who came back on
/// another node meanwhile gets his back.
pub(super) async fn erase(link: &Link, tenant: &TenantId, users: &[String]) -> Result<(), LinkError> {
    join_all(users.iter().map(|user| erase_one(link, tenant, user))).await.into_iter().collect()
}

async fn erase_one(link: &Link, tenant: &TenantId, user: &str) -> Result<(), LinkError> {
    let (key, online) = (link.keys().presence(tenant, user), link.keys().online(tenant));
    let erased: Result<(), _> = link.at_key(&key, async |client: WithOptions<Client>| client.del(&key).await).await;
    erased.map_err(|source| link.failed("remove a heartbeat", &key, source))?;
    let is_member = async |client: WithOptions<Client>| client.sismember(&online, user).await;
    let is_back: Result<bool, _> = link.at_key(&online, is_member).await;
    if is_back.map_err(|source| link.failed("see whether a user is back", &online, source))? {
        write(link, tenant, user).await?;
    }
    Ok(())
}
