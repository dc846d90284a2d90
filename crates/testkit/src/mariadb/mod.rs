//! Real MariaDB for tests: a server of one's own, with as many databases as a test wants.
//!
//! The empty data directory that every server begins with takes seconds to make, so it is made once
//! per machine and user and copied. What an operator would do goes through the real `mariadb` client,
//! so that a test does not agree with the product by sharing its driver.

mod cli;
mod seed;
mod server;
mod spec;

pub use server::{MariaDb, MariaDbServer};
pub use spec::MariaDbSpec;
