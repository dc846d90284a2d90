//! The keepers over real servers.

mod broker;
mod chat;
mod ending;
mod foreign;
mod loss;
mod offline;
mod offline_owners;
mod outage;
mod presence;
mod presence_faults;
mod presence_listener;
mod rig;
mod stores;
