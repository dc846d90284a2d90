//! What tells this process from all others on one database, and which of those have certainly ended.
//!
//! What a process held when it was killed is waited for, since nobody can know whether it lives on behind a broken
//! line. But a process that follows it on the same machine can: the other one's number is free, or its address is.

use std::fmt;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::ErrorKind;
use std::net::SocketAddr;

/// A process, as others can look for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProcessName {
    /// The machine since it was started.
    boot: String,
    /// The namespace in which the number of the process holds.
    pid_namespace: u64,
    /// The one in which the address holds.
    net_namespace: u64,
    /// The address that it listens on, as a digest: nobody else does as long as it lives.
    address: u32,
    pid: u32,
    /// When the process began, in the machine's ticks: numbers are used again.
    began: u64,
}

impl ProcessName {
    /// This process, which listens there; `None` where the system does not say.
    pub(crate) fn here(address: SocketAddr) -> Option<Self> {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        let boot: String = boot.chars().filter(char::is_ascii_hexdigit).take(10).collect();
        let namespace = |name: &str| {
            let link = fs::read_link(format!("/proc/self/ns/{name}")).ok()?;
            link.to_str()?.split_once('[')?.1.strip_suffix(']')?.parse().ok()
        };
        let (began, _) = began("self").ok()??;
        let (pid_namespace, net_namespace) = (namespace("pid")?, namespace("net")?);
        let address = digest(address);
        Some(Self { boot, pid_namespace, net_namespace, address, pid: std::process::id(), began })
    }

    /// Whether the process that had this name has certainly ended.
    pub(crate) fn knows_ended(&self, name: &str) -> bool {
        let Some(other) = Self::parse(name).filter(|other| other.boot == self.boot && other != self) else {
            return false;
        };
        if other.pid_namespace == self.pid_namespace {
            return other.is_gone();
        }
        other.net_namespace == self.net_namespace && other.address == self.address
    }

    /// Whether no such process is there; asked in its own namespace.
    fn is_gone(&self) -> bool {
        match began(&self.pid.to_string()) {
            Ok(Some((began, has_ended))) => began != self.began || has_ended,
            // Others' processes may be hidden: then they are not found either.
            Ok(None) => fs::read_to_string("/proc/1/stat").is_ok(),
            Err(_) => false,
        }
    }

    fn parse(name: &str) -> Option<Self> {
        let mut parts = name.split('.');
        let mut next = || parts.next();
        let name = Self {
            boot: next()?.to_owned(),
            pid_namespace: next()?.parse().ok()?,
            net_namespace: next()?.parse().ok()?,
            address: next()?.parse().ok()?,
            pid: next()?.parse().ok()?,
            began: next()?.parse().ok()?,
        };
        Some(name).filter(|_| next().is_none())
    }
}

/// As a node's name: at most 64 characters.
impl fmt::Display for ProcessName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { boot, pid_namespace, net_namespace, address, pid, began } = self;
        write!(f, "{boot}.{pid_namespace}.{net_namespace}.{address}.{pid}.{began}")
    }
}

/// The same in every process of this version.
fn digest(address: SocketAddr) -> u32 {
    let mut hasher = DefaultHasher::new();
    address.hash(&mut hasher);
    hasher.finish() as u32
}

/// When a process began, and whether it has ended but for its parent's taking note; `None` when there is none.
fn began(pid: &str) -> std::io::Result<Option<(u64, bool)>> {
    let stat = match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => stat,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    // The name in parentheses may hold anything.
    let fields: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_ascii_whitespace().collect();
    let began = fields.get(19).and_then(|ticks| ticks.parse().ok());
    let has_ended = matches!(fields.first(), Some(&("Z" | "X")));
    began.map(|began| Some((began, has_ended))).ok_or_else(|| std::io::Error::from(ErrorKind::InvalidData))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn at(port: u16) -> ProcessName {
        ProcessName::here(SocketAddr::from(([127, 0, 0, 1], port))).expect("a system that says so")
    }

    fn here() -> ProcessName {
        at(8_000)
    }

    #[test]
    fn its_name_fits_and_is_read_again() {
        let name = here().to_string();
        assert!(name.len() <= 64, "{name}");
        assert_eq!(ProcessName::parse(&name), Some(here()));
        let widest = ProcessName { address: u32::MAX, pid: 4_194_304, began: 99_999_999_999, ..here() };
        assert!(widest.to_string().len() <= 64, "{widest}");
    }

    #[test]
    fn only_what_has_certainly_ended_counts_as_ended() {
        let mut child = Command::new("sleep").arg("60").spawn().expect("starts");
        let (began, _) = began(&child.id().to_string()).expect("reads").expect("is there");
        let other = ProcessName { pid: child.id(), began, ..at(8_001) };
        assert!(!here().knows_ended(&here().to_string()), "this one lives");
        assert!(!here().knows_ended(&other.to_string()), "another one lives");
        assert!(
            here().knows_ended(&ProcessName { began: began + 1, ..other.clone() }.to_string()),
            "another's number now"
        );
        child.kill().expect("kills");
        child.wait().expect("ends");
        assert!(here().knows_ended(&other.to_string()));
        let elsewhere = ProcessName { pid_namespace: 1, ..other.clone() };
        assert!(!here().knows_ended(&elsewhere.to_string()), "its number says nothing here");
        let same_address = ProcessName { address: here().address, ..elsewhere };
        assert!(here().knows_ended(&same_address.to_string()), "we have its address");
        let other_machine = ProcessName { boot: "other".to_owned(), ..other };
        assert!(!here().knows_ended(&other_machine.to_string()));
        for name in ["", "0193c2f6a0a07e2b8d3c4f5a6b7c8d9e", "a.b.c.d.e.f", "a.1.2.3.4.5.6"] {
            assert!(!here().knows_ended(name), "{name}");
        }
    }
}
