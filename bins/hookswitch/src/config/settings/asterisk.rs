//! The settings of `[asterisk]`: a PBX whose events are ours.

use super::{Kind, Setting};

pub(crate) const ASTERISK_ADDRESS: Setting = Setting {
    env: "ASTERISK_ADDRESS",
    key: "asterisk.address",
    kind: Kind::Text,
    default: "",
    doc: "Where an Asterisk listens for its Manager Interface, as `host:port` (mostly 5038). With it this node follows \
          that PBX and publishes what happens there; see docs/asterisk.md. Several PBXs are several \
          `[[asterisk]]` tables in the TOML file, each with these names.",
};

pub(crate) const ASTERISK_USER: Setting = Setting {
    env: "ASTERISK_USER",
    key: "asterisk.user",
    kind: Kind::Text,
    default: "",
    doc: "The user of the PBX's `manager.conf`.",
};

pub(crate) const ASTERISK_SECRET: Setting = Setting {
    env: "ASTERISK_SECRET",
    key: "asterisk.secret",
    kind: Kind::Secret,
    default: "",
    doc: "That user's secret. Without TLS it is shown by MD5 challenge only, never sent as it is.",
};

pub(crate) const ASTERISK_SECRET_FILE: Setting = Setting {
    env: "ASTERISK_SECRET_FILE",
    key: "asterisk.secret_file",
    kind: Kind::Text,
    default: "",
    doc: "A file with the secret, instead of `ASTERISK_SECRET`; a line break at its end is no part of it.",
};

pub(crate) const ASTERISK_TENANT: Setting = Setting {
    env: "ASTERISK_TENANT",
    key: "asterisk.tenant",
    kind: Kind::Text,
    default: "",
    doc: "The tenant whose calls these are.",
};

pub(crate) const ASTERISK_AGENTS: Setting = Setting {
    env: "ASTERISK_AGENTS",
    key: "asterisk.agents",
    kind: Kind::Text,
    default: hookswitch_asterisk::DEFAULT_AGENTS,
    doc: "Whose phone a channel is: a regular expression with one group, the user id, held against a channel's name \
          without its last part, a queue member's interface, then its state interface.",
};

pub(crate) const ASTERISK_AGENTS_FILE: Setting = Setting {
    env: "ASTERISK_AGENTS_FILE",
    key: "asterisk.agents_file",
    kind: Kind::Text,
    default: "",
    doc: "A CSV file of `endpoint,user id`, one phone or interface a line (`PJSIP/alice,101`); it goes before the \
          pattern, and is read again within 5 s when it changes.",
};

pub(crate) const ASTERISK_OUTSIDE: Setting = Setting {
    env: "ASTERISK_OUTSIDE",
    key: "asterisk.outside",
    kind: Kind::List,
    default: hookswitch_asterisk::DEFAULT_OUTSIDE,
    doc: "What is outside: contexts in which calls from outside begin, and endpoints of trunks (with a slash, `*` and \
          `?` for anything), such as `from-trunk,PJSIP/trunk*`. Name the endpoints too: after a reconnect a channel \
          shows its present context only.",
};

pub(crate) const ASTERISK_TLS: Setting = Setting {
    env: "ASTERISK_TLS",
    key: "asterisk.tls",
    kind: Kind::Bool,
    default: "false",
    doc: "Whether to connect over TLS (mostly port 5039), to a certificate of a public authority.",
};

pub(crate) const ASTERISK_ALERT: Setting = Setting {
    env: "ASTERISK_ALERT",
    key: "asterisk.alert",
    kind: Kind::Bool,
    default: "false",
    doc: "Whether the tenant gets an `alert` when the PBX has been away for 30 s.",
};

pub(crate) const ASTERISK_NAME: Setting = Setting {
    env: "ASTERISK_NAME",
    key: "asterisk.name",
    kind: Kind::Text,
    default: "",
    doc: "The PBX's name, part of every event's id and its source in the state; by default its `systemname`, else \
          its address. Must be the same on every node that follows it.",
};
