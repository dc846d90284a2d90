//! The store on real files: its promises, its operators' habits, and its accidents.

mod by_hand;
mod contracts;
mod crash;
mod group;
mod lease_bytes;
#[cfg(feature = "mysql")]
mod mysql;
mod opening;
mod plans;
mod reports;
mod rig;
mod seals;
mod weight;
