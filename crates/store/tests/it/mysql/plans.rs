//! plans.
