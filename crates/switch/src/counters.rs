//! Figures of the switchboard, for metrics.

use std::sync::atomic::{AtomicU64, Ordering};

use hookswitch_protocol::ErrorCode;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Counts since the start.
        #[derive(Debug, Clone, Default, PartialEq, Eq)]
        pub struct SwitchCounters {
            $($(#[$doc])* pub $name: u64,)*
            /// Calls refused, by code; codes that never occurred are left out.
            pub refused: Vec<(ErrorCode, u64)>,
        }

        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $(pub(crate) $name: AtomicU64,)*
            refused: [AtomicU64; ErrorCode::ALL.len()],
        }

        impl Counters {
            pub(crate) fn snapshot(&self) -> SwitchCounters {
                let counts = ErrorCode::ALL.iter().zip(&self.refused);
                SwitchCounters {
                    $($name: self.$name.load(Ordering::Relaxed),)*
                    refused: counts.map(|(code, n)| (*code, n.load(Ordering::Relaxed))).filter(|(_, n)| *n > 0).collect(),
                }
            }
        }
    };
}

counters! {
    /// Events accepted, repetitions not counted.
    accepted,
    /// Events whose id had been accepted before with the same content.
    repeated,
    /// Deliveries to webhooks stored.
    deliveries,
    /// Messages kept for absent users.
    kept_offline,
    /// Accepted events that touched no store.
    live_only,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64, n: usize) {
        counter.fetch_add(n as u64, Ordering::Relaxed);
    }

    pub(crate) fn refuse(&self, code: ErrorCode) {
        if let Some(at) = ErrorCode::ALL.iter().position(|known| *known == code) {
            self.refused[at].fetch_add(1, Ordering::Relaxed);
        }
    }
}
