//! Recent history: positions, what is held, and what happens when Redis loses some of it.

mod appending;
mod bounds;
mod cluster;
mod epochs;
mod faults;
mod property;
mod rig;
