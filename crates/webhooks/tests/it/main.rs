//! Webhooks from outside: the memory keeper's promises, and deliveries to receivers that behave and misbehave.

mod contract;
mod delivery;
mod guard;
mod isolation;
mod ledger_away;
mod node;
mod registration;
mod resending;
mod sending;
mod stopping;
