//! From a publisher to the shards: quotas, preparation, who may want it, and what became of it.

pub(crate) mod affinity;
pub(crate) mod batch;
pub(crate) mod by_position;
pub(crate) mod connection_counts;
pub(crate) mod fanout;
pub(crate) mod local_order;
pub(crate) mod pending_gaps;
pub(crate) mod receipt;
pub(crate) mod shard_interest;
pub(crate) mod tenant_quota;
pub(crate) mod weight;
pub(crate) mod wire_form;
