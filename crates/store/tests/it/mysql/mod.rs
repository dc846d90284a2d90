//! The same promises on MariaDB, and those that only a database of several nodes has to keep.

mod by_hand;
mod collations;
mod contracts;
mod following;
mod former_nodes;
mod locks;
mod logins;
mod nodes;
mod outages;
mod owed;
mod plans;
mod replaced;
mod reports;
mod rig;
mod schema;
mod seals;
