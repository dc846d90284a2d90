//! The store on real files: its promises, its operators' habits, and its accidents.

mod by_hand;
mod contracts;
mod crash;
mod group;
mod opening;
mod plans;
mod rig;
