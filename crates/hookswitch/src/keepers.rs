//! What keeps everything that may have to survive.

use hookswitch_hub::Seams;
#[cfg(feature = "redis")]
use hookswitch_redis::RedisKeepers;
#[cfg(feature = "gateway")]
use hookswitch_runtime::metrics::Registry;
use hookswitch_webhooks::WebhookSeams;

/// The keepers of everything that may have to survive.
pub(crate) struct Keepers {
    pub(crate) hub: Seams,
    pub(crate) webhooks: WebhookSeams,
    /// `None` when all of it is kept in memory.
    #[cfg(all(feature = "gateway", any(feature = "mysql", feature = "sqlite")))]
    pub(crate) database: Option<crate::database::OpenDatabase>,
    /// `None` for a node on its own.
    #[cfg(feature = "redis")]
    pub(crate) redis: Option<RedisKeepers>,
}

#[cfg(feature = "gateway")]
impl Keepers {
    /// Registers what the keepers count.
    pub(crate) fn register_metrics(&self, registry: &mut Registry) {
        #[cfg(any(feature = "mysql", feature = "sqlite"))]
        if let Some(database) = &self.database {
            database.register_metrics(registry);
        }
        #[cfg(feature = "redis")]
        if let Some(redis) = &self.redis {
            redis.register_metrics(registry);
        }
        #[cfg(not(any(feature = "mysql", feature = "sqlite", feature = "redis")))]
        let _in_memory = registry;
    }
}
