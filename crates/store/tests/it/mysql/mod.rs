//! The same promises on MariaDB, and those that only a database of several nodes has to keep.

mod by_hand;
mod collations;
mod contracts;
mod locks;
mod logins;
mod nodes;
mod outages;
mod plans;
mod reports;
mod rig;
mod schema;
mod seals;
