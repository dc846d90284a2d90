//! How many chat sessions may be known.

/// Most chat sessions that may be known at once that were started here, and as many that were started elsewhere.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SessionLimits {
    /// Over all tenants.
    pub(crate) all: usize,
    /// Of one tenant; one that has any may not have more than are left either.
    pub(crate) per_tenant: usize,
}
