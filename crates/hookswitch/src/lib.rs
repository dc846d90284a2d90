//! hookswitch
