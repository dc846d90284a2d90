//! Whole nodes in this process, as an embedder runs them.

#[cfg(feature = "gateway")]
mod gateway_part;
mod life;
#[cfg(feature = "sqlite")]
mod neighbours;
mod offline_limits;
#[cfg(all(feature = "gateway", feature = "redis"))]
mod redis_part;
#[cfg(feature = "sqlite")]
mod restart;
