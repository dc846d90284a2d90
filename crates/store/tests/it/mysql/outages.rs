//! outages.
