//! The keepers over real servers.

mod broker;
mod chat;
mod cluster_commands;
mod cluster_links;
mod ending;
mod foreign;
mod health;
mod history;
mod loss;
mod offline;
mod offline_owners;
mod outage;
mod peers;
mod presence;
mod presence_audit;
mod presence_faults;
mod presence_holds;
mod presence_listener;
mod rig;
mod stores;
mod streams;
