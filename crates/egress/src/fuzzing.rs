//! For the fuzz targets alone: what reads strangers' bytes, without any promise to stay.

use std::net::IpAddr;

use crate::AddressPolicy;
use crate::target::{Target, TargetHost};

/// Judges a URL. What passes leads where it was judged to lead: to an allowed address, or to a name that no parser takes
/// for an address.
///
/// # Panics
/// When it leads elsewhere.
pub fn address(bytes: &[u8]) {
    let policy = AddressPolicy::strict().allow_http();
    let Some(target) = std::str::from_utf8(bytes).ok().and_then(|url| Target::parse(url).ok()) else { return };
    if target.check(&policy).is_err() {
        return;
    }
    let called = target.uri().host().expect("a target has a host");
    let literal: Option<IpAddr> = called.trim_start_matches('[').trim_end_matches(']').parse().ok();
    match target.host {
        TargetHost::Literal(address) => assert!(policy.allows(address) && literal == Some(address), "{called}"),
        TargetHost::Name(_) => assert_eq!(literal, None, "{called}"),
    }
}
