//! What each event does: a file per section, after the table of effects in `docs/state.md`.

mod agents;
mod calls;
mod chats;
mod members;
mod queues;
