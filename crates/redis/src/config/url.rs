//! `REDIS_URL`: `redis[s]://`, `redis[s]-cluster://` and `redis[s]-sentinel://`.

use std::borrow::Cow;

use hookswitch_protocol::Secret;
use percent_encoding::percent_decode_str;
use url::{Host, Url};

use super::{HostPort, RedisConfig, Tls, Topology};

const DEFAULT_PORT: u16 = 6379;
const DEFAULT_SENTINEL_PORT: u16 = 26379;

/// Why a text is no Redis URL. The text itself is not repeated: it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("REDIS_URL {problem}")]
pub struct InvalidRedisUrl {
    /// What is wrong, and what would be right.
    pub problem: String,
}

fn invalid(problem: impl Into<String>) -> InvalidRedisUrl {
    InvalidRedisUrl { problem: problem.into() }
}

/// What stands behind the question mark.
#[derive(Default)]
struct Query {
    nodes: Vec<HostPort>,
    service: Option<String>,
    sentinel_password: Option<Secret>,
}

impl RedisConfig {
    /// Reads `redis[s]://[[user]:password@]host[:port][/db]`, or the forms with `-cluster` and
    /// `-sentinel`, which take further servers as `?node=host:port` and the latter the master's name
    /// as `?service=name`.
    ///
    /// # Errors
    /// [`InvalidRedisUrl`] saying what is wrong with it.
    pub fn parse_url(text: &str) -> Result<Self, InvalidRedisUrl> {
        let url = Url::parse(text).map_err(|error| invalid(format!("is no URL: {error}")))?;
        let (scheme, is_tls) = scheme(url.scheme())?;
        if url.fragment().is_some() {
            return Err(invalid("has a #, write %23 where it belongs to the password"));
        }
        let default_port = if scheme == Scheme::Sentinel { DEFAULT_SENTINEL_PORT } else { DEFAULT_PORT };
        let first = HostPort { host: host(&url)?, port: url.port().unwrap_or(default_port) };
        let query = query(&url, default_port)?;
        let database = database(&url)?;
        let mut config = Self::new(topology(scheme, first, query)?);
        if database != 0 && scheme == Scheme::Cluster {
            return Err(invalid("names a database, but a cluster has only number 0"));
        }
        config.database = database;
        config.username = Some(decoded(url.username())?).filter(|name| !name.is_empty());
        config.password = url.password().map(decoded).transpose()?.filter(|word| !word.is_empty()).map(Secret::new);
        config.tls = is_tls.then(Tls::default);
        Ok(config)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Single,
    Cluster,
    Sentinel,
}

fn scheme(text: &str) -> Result<(Scheme, bool), InvalidRedisUrl> {
    let (base, is_tls) = match text.strip_prefix("rediss") {
        Some(rest) => (rest, true),
        None => (text.strip_prefix("redis").unwrap_or("?"), false),
    };
    match base {
        "" => Ok((Scheme::Single, is_tls)),
        "-cluster" => Ok((Scheme::Cluster, is_tls)),
        "-sentinel" => Ok((Scheme::Sentinel, is_tls)),
        _ => Err(invalid("must begin with redis://, redis-cluster:// or redis-sentinel://, or with rediss for TLS")),
    }
}

fn topology(scheme: Scheme, first: HostPort, query: Query) -> Result<Topology, InvalidRedisUrl> {
    let Query { nodes, service, sentinel_password } = query;
    if scheme == Scheme::Single && !nodes.is_empty() {
        return Err(invalid("has node=, which only redis-cluster:// and redis-sentinel:// know"));
    }
    if scheme != Scheme::Sentinel && (service.is_some() || sentinel_password.is_some()) {
        return Err(invalid("has service= or sentinel_password=, which only redis-sentinel:// knows"));
    }
    let hosts = [vec![first.clone()], nodes].concat();
    match scheme {
        Scheme::Single => Ok(Topology::Single(first)),
        Scheme::Cluster => Ok(Topology::Cluster(hosts)),
        Scheme::Sentinel => {
            let service = service.ok_or_else(|| invalid("needs ?service=, the master's name at the sentinels"))?;
            Ok(Topology::Sentinel { hosts, service, password: sentinel_password })
        }
    }
}

fn host(url: &Url) -> Result<String, InvalidRedisUrl> {
    match url.host() {
        Some(Host::Ipv6(address)) => Ok(address.to_string()),
        Some(host) => Ok(host.to_string()),
        None => Err(invalid("names no host, write redis://host:6379")),
    }
}

fn query(url: &Url, default_port: u16) -> Result<Query, InvalidRedisUrl> {
    let mut query = Query::default();
    for (name, value) in url.query_pairs() {
        match &*name {
            "node" => query.nodes.push(node(&value, default_port)?),
            "service" => query.service = Some(value.into_owned()),
            "sentinel_password" => query.sentinel_password = Some(Secret::new(value.into_owned())),
            // Not repeated: in `redis://hub:12?34@host` it is part of a password.
            _ => return Err(invalid("has a parameter other than node, service and sentinel_password")),
        }
    }
    Ok(query)
}

fn node(text: &str, default_port: u16) -> Result<HostPort, InvalidRedisUrl> {
    let url = Url::parse(&format!("redis://{text}")).map_err(|_| invalid("has a node= that is not host:port"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(invalid("has a node= with a password, write it once, before the first host"));
    }
    Ok(HostPort { host: host(&url)?, port: url.port().unwrap_or(default_port) })
}

fn database(url: &Url) -> Result<u8, InvalidRedisUrl> {
    match url.path().trim_matches('/') {
        "" => Ok(0),
        number => number.parse().map_err(|_| invalid("has a path that is no database number from 0 to 255")),
    }
}

fn decoded(text: &str) -> Result<String, InvalidRedisUrl> {
    let text = percent_decode_str(text).decode_utf8();
    text.map(Cow::into_owned).map_err(|_| invalid("has a user or password that is not percent-encoded UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(host: &str, port: u16) -> HostPort {
        HostPort { host: host.to_owned(), port }
    }

    fn parse(text: &str) -> RedisConfig {
        RedisConfig::parse_url(text).expect(text)
    }

    #[test]
    fn every_form_of_the_contract_is_read() {
        assert_eq!(parse("redis://redis.example").topology, Topology::Single(at("redis.example", 6379)));
        let full = parse("rediss://hub:p%40ss+word@10.0.0.1:7000/3");
        assert_eq!((full.username.as_deref(), full.database), (Some("hub"), 3));
        assert_eq!(full.password.map(|word| word.reveal().to_owned()).as_deref(), Some("p@ss+word"));
        assert_eq!(full.tls, Some(Tls::default()));
        let cluster = parse("redis-cluster://a:7001?node=b:7002&node=c");
        assert_eq!(cluster.topology, Topology::Cluster(vec![at("a", 7001), at("b", 7002), at("c", 6379)]));
        let sentinel = parse("rediss-sentinel://:pw@s1:26380/2?service=mymaster&node=s2");
        let hosts = vec![at("s1", 26380), at("s2", 26379)];
        assert_eq!(sentinel.topology, Topology::Sentinel { hosts, service: "mymaster".to_owned(), password: None });
        assert_eq!((sentinel.database, sentinel.tls.is_some()), (2, true));
        assert_eq!(parse("redis://[::1]:6380").topology, Topology::Single(at("::1", 6380)));
    }

    #[test]
    fn anything_else_is_refused_with_its_reason_and_without_the_password() {
        let check = |text: &str, reason: &str| {
            let error = RedisConfig::parse_url(text).expect_err(text).to_string();
            assert!(error.contains(reason) && !error.contains("secret"), "{text}: {error}");
        };
        check("http://:secret@h", "must begin with redis://");
        check("secret:6379", "must begin with redis://");
        check("redis:///3", "names no host");
        check("redis://:secret@h/nine", "database number");
        check("redis-cluster://h/1", "only number 0");
        check("redis-sentinel://h", "needs ?service=");
        check("redis://h?service=x", "only redis-sentinel://");
        check("redis://h?node=b", "node=");
        check("redis-cluster://h?node=:secret@b", "node= with a password");
        check("redis://h#secret", "write %23");
        check("redis://h?frobnicate=1", "has a parameter other than");
        check("redis://hub:12?secret@h", "has a parameter other than");
    }
}
