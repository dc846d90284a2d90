//! Verdicts for people and programs, and medians.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

/// A bar, what was measured against it, and whether it holds.
#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    pub(crate) about: String,
    pub(crate) measured: f64,
    pub(crate) bound: Bound,
}

/// On which side of a number a figure has to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Verdict {
    /// Nothing of that kind may happen.
    pub(crate) fn none_of(about: String, happened: u64) -> Self {
        Self { about, measured: happened as f64, bound: Bound::AtMost(0.0) }
    }

    pub(crate) fn holds(&self) -> bool {
        match self.bound {
            Bound::AtMost(limit) => self.measured <= limit,
            Bound::AtLeast(limit) => self.measured >= limit,
        }
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        let (side, limit) = self.bound.parts();
        json!({"about": self.about, "measured": self.measured, side.replace(' ', "_"): limit, "holds": self.holds()})
    }

    /// One line for people.
    pub(crate) fn line(&self) -> String {
        let word = if self.holds() { "PASS" } else { "FAIL" };
        let (side, limit) = self.bound.parts();
        format!("{word}  {:10.2}  {side} {limit:8.2}  {}", self.measured, self.about)
    }
}

impl Bound {
    fn parts(self) -> (&'static str, f64) {
        match self {
            Self::AtMost(limit) => ("at most", limit),
            Self::AtLeast(limit) => ("at least", limit),
        }
    }
}

/// Shows verdicts and fails when one of them does.
pub(crate) fn judge(verdicts: &[Verdict]) -> Result<()> {
    for verdict in verdicts {
        println!("{}", verdict.line());
    }
    let failed = verdicts.iter().filter(|verdict| !verdict.holds()).count();
    if failed > 0 {
        bail!("{failed} of {} bars do not hold", verdicts.len());
    }
    Ok(())
}

/// Writes figures for programs into `target/bench`.
pub(crate) fn keep(target: &Path, name: &str, figures: &Value) -> Result<()> {
    let folder = target.join("bench");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join(name), serde_json::to_string_pretty(figures)?).context("cannot keep the figures")
}

/// The middle one, or the mean of the two in the middle.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_even_and_odd_counts() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0]), Some(2.5));
    }
}
