//! The ways of reading: none can hold another up.

use std::time::Duration;

use hookswitch_runtime::Sharing;

use super::reader::ReadBounds;
use super::{Connector, Readers};
use crate::metrics::StoreMetrics;

/// Reads of one tenant that may wait for their turn, in each class.
const REPORTS_WAITING: u64 = 256;
const LOOK_UPS_WAITING: u64 = 1_024;

/// Connections beside those for reports.
const N_OWNERSHIP: usize = 2;
const N_EVENT_IDS: usize = 3;
const N_UPKEEP: usize = 2;

/// How the reading connections are bounded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReadLimits {
    /// Reports that run at once; half of them of one tenant.
    pub(crate) n_reports: usize,
    /// How long one may take.
    pub(crate) report_limit: Duration,
    /// How long anything else may take.
    pub(crate) limit: Duration,
    /// How long a caller waits for its turn.
    pub(crate) wait: Duration,
}

/// Readers by what they are for, each with connections and permits of its own.
#[derive(Debug, Clone)]
pub(crate) struct ReaderClasses {
    /// Lists and figures, which may take as long as a tenant has rows.
    pub(crate) reports: Readers,
    /// Whose a webhook is: one row.
    pub(crate) ownership: Readers,
    /// Which event ids are known: publishers wait for it.
    pub(crate) event_ids: Readers,
    /// What the node itself follows: registrations and backlog.
    pub(crate) upkeep: Readers,
}

impl ReaderClasses {
    /// `connector` makes what connects for reads that may take so long.
    pub(crate) fn new(connector: impl Fn(Duration) -> Connector, limits: ReadLimits, metrics: &StoreMetrics) -> Self {
        let readers = |n_connections: usize, (alpha, waiting), limit| {
            let sharing = Sharing { alpha, waiting };
            let bounds = ReadBounds { n_connections: n_connections.max(1), sharing, wait: limits.wait, limit };
            Readers::new(connector(limit), bounds, metrics.clone())
        };
        Self {
            reports: readers(limits.n_reports, (1, REPORTS_WAITING), limits.report_limit),
            ownership: readers(N_OWNERSHIP, (1, LOOK_UPS_WAITING), limits.limit),
            event_ids: readers(N_EVENT_IDS, (2, LOOK_UPS_WAITING), limits.limit),
            // The node alone reads here: both at once.
            upkeep: readers(N_UPKEEP, (u64::from(u32::MAX), LOOK_UPS_WAITING), limits.limit),
        }
    }

    fn all(&self) -> [&Readers; 4] {
        [&self.reports, &self.ownership, &self.event_ids, &self.upkeep]
    }

    /// Reads that wait for their turn.
    pub(crate) fn n_waiting(&self) -> usize {
        self.all().map(Readers::n_waiting).into_iter().sum()
    }

    /// Reads that run or still end.
    pub(crate) fn n_running(&self) -> u64 {
        self.all().map(Readers::n_running).into_iter().sum()
    }
}
