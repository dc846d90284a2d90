//! What a store counts, under its outward names.

hookswitch_runtime::counters! {
    /// What a store counts, all its writers together.
    pub struct StoreMetrics {
        writes as "store_writes": "Calls that the database's writers ran",
        commits as "store_commits": "Transactions committed; fewer than the calls where these shared one",
        reads_refused as "store_reads_refused": "Reads refused because no connection became free for their tenant in time",
        reads_ended as "store_reads_ended": "Reads that took too long and were ended",
        unlogged as "store_attempts_unlogged": "Attempts settled without a row in the attempt log, which could not be written",
        failures as "store_failures": "Transactions that failed and changed nothing",
    }
}
