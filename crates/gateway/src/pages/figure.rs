//! Figures of parts that the gateway does not know.

/// Reads the figures of one part of the node whenever somebody looks at the page.
pub type FigureSource = Box<dyn Fn() -> Vec<Figure> + Send + Sync>;

/// One figure without labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figure {
    /// Its name behind `hookswitch_`, without `_total`.
    pub name: &'static str,
    /// What it counts or measures.
    pub help: &'static str,
    /// Which of the two.
    pub kind: FigureKind,
    /// The figure now.
    pub value: u64,
}

/// What a figure does over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FigureKind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
}

impl Figure {
    /// One that only grows.
    pub const fn counter(name: &'static str, help: &'static str, value: u64) -> Self {
        Self { name, help, kind: FigureKind::Counter, value }
    }

    /// One that goes up and down.
    pub const fn gauge(name: &'static str, help: &'static str, value: u64) -> Self {
        Self { name, help, kind: FigureKind::Gauge, value }
    }
}
