//! The hub from outside: connections come, subscribe, read or do not, and get what is theirs.

mod backlog;
mod chat_sessions;
mod cluster;
mod coming_and_going;
mod drain;
mod elsewhere;
mod embedded;
mod fairness;
mod homes;
mod keepers;
mod model;
mod order;
mod presence_load;
mod receipts;
mod resume;
mod resume_edges;
mod resume_model;
mod rig;
mod silence;
mod slow;
mod subscribed;
mod subscriptions;
mod traces;
mod transitions;
mod unfit_messages;
mod visitors;
