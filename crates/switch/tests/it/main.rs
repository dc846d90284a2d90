//! The switchboard over memory keepers that write down what is asked of them, fail and stall on command.

mod affinity;
mod batches;
mod broadcaster;
mod ids;
mod offline;
mod order;
mod script;
mod sessions;
mod stage;
mod steps;
mod strangers;
