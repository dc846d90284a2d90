//! The process environment: read here and nowhere else.

use std::collections::BTreeMap;
use std::ffi::OsString;

/// The environment as it was when the process started.
#[derive(Debug, Clone, Default)]
pub(crate) struct Environment {
    variables: BTreeMap<String, OsString>,
}

/// A variable that holds something else than text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotText;

impl Environment {
    /// The environment of this process.
    pub(crate) fn of_process() -> Self {
        let variables = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
        Self { variables: variables.collect() }
    }

    /// The text of a variable. Empty counts as not set: compose files write `REDIS_HOST=` for "none".
    pub(crate) fn text(&self, name: &str) -> Result<Option<&str>, NotText> {
        let Some(value) = self.variables.get(name) else { return Ok(None) };
        let text = value.to_str().ok_or(NotText)?;
        Ok(if text.is_empty() { None } else { Some(text) })
    }

    /// The names that begin with one of `prefixes`, sorted.
    pub(crate) fn names_with<'a>(&'a self, prefixes: &'a [&str]) -> impl Iterator<Item = &'a str> {
        let names = self.variables.keys().map(String::as_str);
        names.filter(|name| prefixes.iter().any(|prefix| name.starts_with(prefix)))
    }
}

#[cfg(test)]
impl Environment {
    pub(super) fn from_pairs(pairs: &[(&str, &str)]) -> Self {
        Self { variables: pairs.iter().map(|&(name, value)| (name.to_owned(), value.into())).collect() }
    }
}

#[cfg(test)]
impl<const N: usize> From<[(&str, &str); N]> for Environment {
    fn from(pairs: [(&str, &str); N]) -> Self {
        Self::from_pairs(&pairs)
    }
}
