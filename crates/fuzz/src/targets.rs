//! The targets. A name here is a folder of `seeds/` and an argument of `cargo xtask fuzz`.

use std::str;

use hookswitch_protocol::Command;

/// One reader of strangers' bytes.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) name: &'static str,
    /// Panics where a promise is broken, whatever the bytes.
    pub(crate) read: fn(&[u8]),
}

pub(crate) const ALL: &[Target] = &[
    // What a client sends, before it is taken apart.
    Target { name: "frames", read: hookswitch_gateway::fuzzing::frames },
    // The same, compressed.
    Target { name: "inflate", read: hookswitch_gateway::fuzzing::inflate },
    // What a client says.
    Target { name: "command", read: command },
    // What a back-end publishes.
    Target { name: "publish_body", read: hookswitch_gateway::fuzzing::publish_body },
    // What stands on a channel of Redis, where foreign programs write too.
    Target { name: "redis_message", read: hookswitch_redis::fuzzing::message },
    // What an Asterisk sends, and what its callers make it send.
    Target { name: "asterisk", read: hookswitch_asterisk::fuzzing::stream },
    // The URL of a webhook, which must not lead inside.
    Target { name: "address", read: hookswitch_egress::fuzzing::address },
];

fn command(bytes: &[u8]) {
    if let Ok(text) = str::from_utf8(bytes) {
        let error = Command::parse(text).err();
        assert!(error.is_none_or(|error| !error.message.is_empty()), "a client is told what is wrong");
    }
}
