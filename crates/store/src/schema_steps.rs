//! The steps of a schema: those this program knows, and those a database has.

use std::collections::BTreeMap;

use diesel::migration::{Migration, MigrationSource as _};
use diesel_migrations::EmbeddedMigrations;

use crate::error::Cause;

/// One step of the schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its folder below `migrations/`, or the bare version of a step that this program does not know.
    pub name: String,
    /// Whether the database has it.
    pub is_applied: bool,
    /// Whether this program knows it.
    pub is_known: bool,
}

/// The names of the steps we know, by version.
pub(crate) fn names<DB: diesel::backend::Backend>(
    source: &EmbeddedMigrations,
) -> Result<BTreeMap<String, String>, Cause> {
    let all: Vec<Box<dyn Migration<DB>>> = source.migrations()?;
    Ok(all.iter().map(|step| (step.name().version().to_string(), step.name().to_string())).collect())
}

/// The steps we know and those that a database has, together.
pub(crate) fn steps(known: &BTreeMap<String, String>, applied: &[String]) -> Vec<Step> {
    let mut steps: BTreeMap<&str, Step> = known
        .iter()
        .map(|(version, name)| (version.as_str(), Step { name: name.clone(), is_applied: false, is_known: true }))
        .collect();
    for version in applied {
        let unknown = || Step { name: version.clone(), is_applied: true, is_known: false };
        steps.entry(version).or_insert_with(unknown).is_applied = true;
    }
    steps.into_values().collect()
}

/// The first step of a database that is newer than this program.
pub(crate) fn first_unknown(steps: &[Step]) -> Option<&str> {
    steps.iter().find(|step| !step.is_known).map(|step| step.name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_and_applied_steps_are_told_in_order() {
        let known = BTreeMap::from([("1".to_owned(), "1_a".to_owned()), ("2".to_owned(), "2_b".to_owned())]);
        let told = steps(&known, &["3".to_owned(), "1".to_owned()]);
        let step = |name: &str, is_applied, is_known| Step { name: name.to_owned(), is_applied, is_known };
        assert_eq!(told, [step("1_a", true, true), step("2_b", false, true), step("3", true, false)]);
        assert_eq!(first_unknown(&told), Some("3"));
    }
}
