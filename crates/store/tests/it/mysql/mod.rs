//! The same promises on MariaDB, and those that only a database of several nodes has to keep.

mod by_hand;
mod contracts;
mod locks;
mod nodes;
mod outages;
mod plans;
mod rig;
mod schema;
mod seals;
