//! The address blocks that are not the public internet.
//!
//! Source: the IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890 and its updates), read
//! 2026-11, with multicast (RFC 5771) and the blocks reserved for future use. Of IPv6 only global
//! unicast (`2000::/3`) is open, the one part that is allocated at all: loopback, private and link
//! local addresses, multicast and every form that spells an IPv4 address in front of zeros lie
//! outside. The one exception is NAT64 (`64:ff9b::/96`), behind which IPv6-only networks see the
//! IPv4 internet. Blocks the registries call globally reachable stay reachable: 192.31.196.0/24,
//! 192.52.193.0/24, 192.175.48.0/24 and `2620:4f:8000::/48`. Inside 192.0.0.0/24 and `2001::/23` a
//! few single services are reachable too; nobody offers a service there, so the whole blocks are closed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Blocks of IPv4: first address and prefix length.
const V4: &[([u8; 4], u8)] = &[
    ([0, 0, 0, 0], 8),       // this network
    ([10, 0, 0, 0], 8),      // private use
    ([100, 64, 0, 0], 10),   // shared address space of carriers
    ([127, 0, 0, 0], 8),     // loopback
    ([169, 254, 0, 0], 16),  // link local, cloud metadata
    ([172, 16, 0, 0], 12),   // private use
    ([192, 0, 0, 0], 24),    // protocol assignments
    ([192, 0, 2, 0], 24),    // documentation
    ([192, 88, 99, 0], 24),  // 6to4 relay anycast, deprecated
    ([192, 168, 0, 0], 16),  // private use
    ([198, 18, 0, 0], 15),   // benchmarking
    ([198, 51, 100, 0], 24), // documentation
    ([203, 0, 113, 0], 24),  // documentation
    ([224, 0, 0, 0], 4),     // multicast
    ([240, 0, 0, 0], 4),     // reserved, with limited broadcast at its end
];

/// A block of IPv6: the first four groups of its first address (all further ones are zero), and the
/// prefix length.
type Block = ([u16; 4], u8);

/// All global unicast addresses.
const GLOBAL: Block = ([0x2000, 0, 0, 0], 3);

/// NAT64: the IPv4 address at its end is what is reached.
const NAT64: Block = ([0x64, 0xff9b, 0, 0], 96);

/// Closed blocks within global unicast.
const V6: &[Block] = &[
    ([0x2001, 0, 0, 0], 23),     // protocol assignments: Teredo, benchmarking, ORCHID
    ([0x2001, 0xdb8, 0, 0], 32), // documentation
    ([0x2002, 0, 0, 0], 16),     // 6to4
    ([0x3fff, 0, 0, 0], 20),     // documentation
];

/// Whether the address, and every IPv4 address it carries inside, is publicly routable.
pub(crate) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(mapped) => is_public_v4(mapped),
            None => is_public_v6(v6) && embedded_v4(v6).is_none_or(is_public_v4),
        },
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let bits = u32::from(address);
    !V4.iter().any(|(first, length)| bits >> (32 - length) == u32::from_be_bytes(*first) >> (32 - length))
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let is_open = is_in(address, GLOBAL) || is_in(address, NAT64);
    is_open && !V6.iter().any(|block| is_in(address, *block))
}

fn is_in(address: Ipv6Addr, (first, length): Block) -> bool {
    let [a, b, c, d] = first;
    let first = u128::from(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0));
    u128::from(address) >> (128 - length) == first >> (128 - length)
}

/// The IPv4 address an open IPv6 address leads to: NAT64, and ISATAP (RFC 5214), whose interface id
/// is `0:5efe` or `200:5efe` and the address, in any network. The mapped form is not one of them: it
/// *is* the IPv4 address.
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    // The two lowest bits of the interface id's first octet (universal, group) do not matter.
    const ISATAP: u128 = 0xfcff_ffff << 32;
    let is_isatap = u128::from(address) & ISATAP == 0x5efe << 32;
    let last_four = Ipv4Addr::from(u128::from(address) as u32);
    (is_isatap || is_in(address, NAT64)).then_some(last_four)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn public(text: &str) -> bool {
        is_public(text.parse().expect(text))
    }

    #[test]
    fn both_ends_of_every_block_are_closed_and_their_neighbours_open() {
        for (first, length) in V4 {
            let first = u32::from_be_bytes(*first);
            let last = first | (u32::MAX >> length);
            assert!(!is_public_v4(Ipv4Addr::from(first)) && !is_public_v4(Ipv4Addr::from(last)), "{first:x}");
        }
        for (first, length) in V6 {
            let [a, b, c, d] = *first;
            let first = u128::from(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0));
            let last = first | (u128::MAX >> length);
            assert!(!is_public_v6(Ipv6Addr::from(first)) && !is_public_v6(Ipv6Addr::from(last)), "{first:x}");
        }
    }

    #[test]
    fn the_public_internet_is_open() {
        for open in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.31.196.1",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "203.0.114.0",
            "223.255.255.255",
            "2606:4700:4700::1111",
            "2a00:1450:4001:81b::200e",
            "2001:200::1",
            "2001:4860:4860::8888",
            "64:ff9b::8.8.8.8",
            "::ffff:8.8.8.8",
            "2620:4f:8000::1",
            "2000::1",
            "3ffe:ffff::1",
            "2001:470::5efe:8.8.8.8",
            "2001:470::1:5efe:a00:1:1",
        ] {
            assert!(public(open), "{open}");
        }
    }

    #[test]
    fn private_addresses_do_not_hide_inside_public_ones() {
        for closed in [
            "::ffff:10.0.0.1",
            "::ffff:7f00:1",
            "::127.0.0.1",
            "::8.8.8.8",
            "::",
            "::1",
            "64:ff9b::10.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::8.8.8.8",
            "2002:7f00:1::",
            "2002:a00:1::1",
            "2002:808:808::",
            "2001:0:4136:e378:8000:63bf:f5ff:fffe",
            "2001:0:53aa:64c::80ff:fffe",
            "100:0:0:1::1",
            "fec0::1",
            "febf:ffff::1",
            "fd12:3456::1",
            "3fff::1",
            "5f00::1",
            "ff02::1",
            "::ffff:0:10.0.0.1",
            "::ffff:0:8.8.8.8",
            "1::1",
            "1fff:ffff::1",
            "4000::1",
            "8000::1",
            "64:ff9b:0:0:0:1:808:808",
            "2001:470::5efe:10.0.0.1",
            "2001:470::200:5efe:127.0.0.1",
            "2606:4700:0:1:100:5efe:a9fe:a9fe",
            "2606:4700:0:1:300:5efe:c0a8:101",
        ] {
            assert!(!public(closed), "{closed}");
        }
    }
}
