//! The fold as a whole.

mod bounds;
mod effects;
mod folder;
mod properties;
mod reading;
mod sync;
mod times;
