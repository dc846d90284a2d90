//! Webhooks from outside: the memory keeper's promises, and deliveries to receivers that behave and misbehave.

mod contract;
mod delivery;
mod disabled;
mod guard;
mod isolation;
mod ledger_away;
mod limits;
mod node;
mod order;
mod registration;
mod resending;
mod sending;
mod stopping;
