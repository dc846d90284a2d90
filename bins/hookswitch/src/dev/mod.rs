//! `hookswitch dev`: everything without configuration, and a simulated call centre.

mod dir;
mod sim;
mod welcome;

pub(crate) use self::dir::DevDir;
