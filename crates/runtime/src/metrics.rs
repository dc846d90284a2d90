//! Metrics: what a part counts, under one name, and the registry it is read from.
//!
//! Each crate owns its metrics: it declares them once, with [`counters!`](crate::counters), and registers
//! them in the [`Registry`] that it is given. Names are written without the registry's prefix and without
//! `_total`.

use std::fmt;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::family::Family;

pub use prometheus_client::metrics::counter::Counter;
pub use prometheus_client::registry::Registry;

/// What stands in front of every metric's name.
const PREFIX: &str = "hookswitch";

/// An empty registry; everything in it is printed with the product's name in front.
pub fn registry() -> Registry {
    Registry::with_prefix(PREFIX)
}

/// Counters that differ in one label, whose values come from a closed set.
#[derive(Debug, Clone)]
pub struct LabelledCounter {
    label: &'static str,
    rows: Family<[(&'static str, &'static str); 1], Counter>,
    /// The rows that were there from the start: found without a lock.
    known: Vec<(&'static str, Counter)>,
}

impl LabelledCounter {
    /// With a row for each of these values from the start, so that a rate over it has a zero to start
    /// from; other rows come when they are first counted.
    pub fn new(label: &'static str, values: impl IntoIterator<Item = &'static str>) -> Self {
        let rows = Family::default();
        let row = |value| (value, Counter::clone(&rows.get_or_create(&[(label, value)])));
        let known = values.into_iter().map(row).collect();
        Self { label, rows, known }
    }

    /// Counts one.
    pub fn inc(&self, value: &'static str) {
        self.row(value).inc();
    }

    /// How many there were.
    pub fn get(&self, value: &'static str) -> u64 {
        self.row(value).get()
    }

    fn row(&self, value: &'static str) -> Counter {
        let known = self.known.iter().find(|(known, _)| *known == value).map(|(_, counter)| counter.clone());
        known.unwrap_or_else(|| self.rows.get_or_create(&[(self.label, value)]).clone())
    }

    /// Registers all rows under one name; the registry shares them.
    pub fn register(&self, registry: &mut Registry, name: &str, help: &str) {
        registry.register(name, help, self.rows.clone());
    }
}

/// Registers a gauge whose value is read whenever somebody looks.
pub fn register_gauge(registry: &mut Registry, name: &str, help: &str, read: impl Fn() -> u64 + Send + Sync + 'static) {
    registry.register(name, help, Gauge(Box::new(read)));
}

struct Gauge(Box<dyn Fn() -> u64 + Send + Sync>);

impl fmt::Debug for Gauge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Gauge").finish_non_exhaustive()
    }
}

impl EncodeMetric for Gauge {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        encoder.encode_gauge(&((self.0)() as i64))
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Gauge
    }
}

/// Declares a struct of [`Counter`]s, each with its help, and with the name under which it is registered
/// where that is not the field's; behind `by` stand counters with one label, with the values that it has
/// from the start. `register` puts all of them into a registry; a counter that is declared cannot be
/// forgotten there.
///
/// ```
/// use hookswitch_runtime::metrics::registry;
///
/// hookswitch_runtime::counters! {
///     /// What a queue counts.
///     pub struct QueueMetrics {
///         pushed: "Items pushed",
///         lost as "queue_lost": "Items dropped, the queue being full",
///     }
///     by {
///         refused as "queue_refused" "reason" (["full", "closed"]): "Items refused, by reason",
///     }
/// }
///
/// let metrics = QueueMetrics::default();
/// metrics.register(&mut registry());
/// metrics.lost.inc();
/// metrics.refused.inc("full");
/// assert_eq!((metrics.lost.get(), metrics.refused.get("full")), (1, 1));
/// ```
#[macro_export]
macro_rules! counters {
    (@name $field:ident) => { stringify!($field) };
    (@name $field:ident $name:literal) => { $name };
    (
        $(#[$meta:meta])*
        $vis:vis struct $struct:ident { $($field:ident $(as $name:literal)?: $help:literal,)* }
        $(by { $($family:ident $(as $family_name:literal)? $label:literal ($values:expr): $family_help:literal,)* })?
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone)]
        $vis struct $struct {
            $(
                #[doc = $help]
                $vis $field: $crate::metrics::Counter,
            )*
            $($(
                #[doc = $family_help]
                $vis $family: $crate::metrics::LabelledCounter,
            )*)?
        }

        impl Default for $struct {
            fn default() -> Self {
                Self {
                    $($field: $crate::metrics::Counter::default(),)*
                    $($($family: $crate::metrics::LabelledCounter::new($label, $values),)*)?
                }
            }
        }

        impl $struct {
            /// Registers every counter under its name; the registry shares them.
            $vis fn register(&self, registry: &mut $crate::metrics::Registry) {
                $(registry.register($crate::counters!(@name $field $($name)?), $help, self.$field.clone());)*
                $($(
                    let name = $crate::counters!(@name $family $($family_name)?);
                    self.$family.register(registry, name, $family_help);
                )*)?
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;

    use super::*;

    crate::counters! {
        /// Two counters, and a labelled one.
        pub(crate) struct Two {
            first: "The first",
            other as "second": "The other",
        }
        by {
            closed "reason" (["a", "b"]): "Closed",
        }
    }

    #[test]
    fn what_is_declared_is_printed_under_its_name() {
        let (two, mut registry) = (Two::default(), Registry::with_prefix("x"));
        two.register(&mut registry);
        register_gauge(&mut registry, "open", "Open now", || 7);
        two.other.inc_by(2);
        two.closed.inc("b");
        let mut text = String::new();
        encode(&mut text, &registry).expect("a string takes everything");
        for line in [
            "# HELP x_first The first.",
            "x_first_total 0",
            "x_second_total 2",
            "x_closed_total{reason=\"a\"} 0",
            "x_closed_total{reason=\"b\"} 1",
            "# TYPE x_open gauge",
            "x_open 7",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in:\n{text}");
        }
    }
}
