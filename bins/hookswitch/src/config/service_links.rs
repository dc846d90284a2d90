//! Variables that Kubernetes sets in every container for the services of its namespace: a service `redis` makes
//! `REDIS_PORT=tcp://10.0.0.11:6379`, `REDIS_SERVICE_HOST` and others, which nobody meant for us.

use super::Environment;

/// What an address of a service begins with.
const SCHEMES: [&str; 3] = ["tcp://", "udp://", "sctp://"];
const PROTOCOLS: [&str; 3] = ["TCP", "UDP", "SCTP"];

/// Whether this variable is such a one.
pub(super) fn is_one(environment: &Environment, name: &str) -> bool {
    if name.ends_with("_SERVICE_HOST") || name.ends_with("_SERVICE_PORT") || name.contains("_SERVICE_PORT_") {
        return true;
    }
    let text = environment.text(name).ok().flatten().unwrap_or_default();
    let is_address = SCHEMES.iter().any(|scheme| text.starts_with(scheme));
    (name.ends_with("_PORT") && is_address) || names_a_port(name)
}

/// `…_PORT_6379_TCP`, or the same with `_PROTO`, `_PORT` or `_ADDR` behind it.
fn names_a_port(name: &str) -> bool {
    let Some((_, rest)) = name.split_once("_PORT_") else { return false };
    let mut parts = rest.split('_');
    let is_number = parts.next().is_some_and(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
    let is_protocol = parts.next().is_some_and(|part| PROTOCOLS.contains(&part));
    let last = parts.next();
    let is_last = last.is_none_or(|part| ["PROTO", "PORT", "ADDR"].contains(&part));
    is_number && is_protocol && is_last && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_kubernetes_sets_for_a_service_is_known() {
        let environment = Environment::from([
            ("REDIS_PORT", "tcp://10.0.0.11:6379"),
            ("DB_PORT", "3306"),
            ("WS_PORT", "udp://10.0.0.12:53"),
            ("REDIS_URL", "tcp://10.0.0.11:6379"),
        ]);
        for name in [
            "REDIS_PORT",
            "WS_PORT",
            "REDIS_SERVICE_HOST",
            "REDIS_SERVICE_PORT",
            "REDIS_SERVICE_PORT_CLIENT",
            "REDIS_PORT_6379_TCP",
            "REDIS_PORT_6379_TCP_PROTO",
            "REDIS_PORT_6379_TCP_PORT",
            "REDIS_PORT_6379_TCP_ADDR",
        ] {
            assert!(is_one(&environment, name), "{name}");
        }
        for name in ["DB_PORT", "REDIS_URL", "REDIS_HOST", "REDIS_PORT_X_TCP", "WS_PING_INTERVAL", "REDIS_PORT_1_TCP_X"]
        {
            assert!(!is_one(&environment, name), "{name}");
        }
    }
}
