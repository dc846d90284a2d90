//! Live state: the folds of the tenants whose state somebody asked for.

pub(crate) mod fold;
pub(crate) mod limits;
