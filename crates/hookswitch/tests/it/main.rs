//! Whole nodes in this process, as an embedder runs them.

#[cfg(feature = "gateway")]
mod door;
mod life;
#[cfg(feature = "sqlite")]
mod restart;
