//! The keepers over real servers.

mod broker;
mod chat;
mod ear;
mod ending;
mod foreign;
mod loss;
mod node;
mod offline;
mod offline_owners;
mod outage;
mod presence;
mod presence_faults;
mod rig;
