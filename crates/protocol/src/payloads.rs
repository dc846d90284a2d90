//! The payloads of the contract as structs.
