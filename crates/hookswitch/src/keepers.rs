//! What keeps everything that may have to survive.

use hookswitch_hub::Seams;
#[cfg(feature = "redis")]
use hookswitch_redis::RedisKeepers;
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
