//! Why a node could not start.

/// Which part of a node could not start; its source says why.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store could not be opened.
    #[cfg(any(feature = "mysql", feature = "sqlite"))]
    #[error("cannot open the store")]
    Store(#[from] hookswitch_store::StoreError),
    /// The settings of Redis cannot be worked with; that it is away is no reason.
    #[cfg(feature = "redis")]
    #[error("cannot set up Redis")]
    Redis(#[from] hookswitch_redis::RedisSetupError),
    /// The hub could not start.
    #[error("cannot start the hub")]
    Hub(#[from] hookswitch_hub::StartError),
    /// The webhooks could not start.
    #[error("cannot start the webhooks")]
    Webhooks(#[from] hookswitch_webhooks::StartError),
}
