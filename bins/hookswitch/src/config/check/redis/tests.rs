//! What counts, what is ignored with a word, and what is refused.

use super::super::tests::{GOOD_SECRET, load, with_file};
use super::*;
use crate::config::{Config, Environment};

/// An authority made for this test; its key was thrown away.
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----
MIIBdDCCARugAwIBAgIUDwodqIw0afQO4JkI154F2AC2EX4wCgYIKoZIzj0EAwIw
DzENMAsGA1UEAwwEdGVzdDAgFw0yNjExMjQyMzI5MTZaGA8yMTI2MTAzMTIzMjkx
NlowDzENMAsGA1UEAwwEdGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABHZM
m7vz7XUPkMv/ZOu47OOOoZAswbLl+HlxwpP/x8DBHyITVRSVDdzLqApyVGWf68+7
C1SoGes608fwdpj/FrSjUzBRMB0GA1UdDgQWBBSM5C8rG5P0EAnzd7Jf8n5fc8El
dDAfBgNVHSMEGDAWgBSM5C8rG5P0EAnzd7Jf8n5fc8EldDAPBgNVHRMBAf8EBTAD
AQH/MAoGCCqGSM49BAMCA0cAMEQCIH0WrgbgN7P8Fb+Ws0hHBuOa2JklEVOJD/7W
KqxthRuMAiAdpDHPfjxdLWqRPvixVIGIoBA2oVxvz6RFsNLrBUSG0A==
-----END CERTIFICATE-----
";

fn good(pairs: &[(&str, &str)]) -> Config {
    let environment = Environment::from_pairs(&[&[GOOD_SECRET], pairs].concat());
    Config::load(&environment, None).expect("good")
}

fn redis(pairs: &[(&str, &str)]) -> RedisConfig {
    let config = good(pairs);
    assert_eq!(config.warnings, Vec::<String>::new());
    config.redis.expect("several nodes")
}

/// The one problem of these settings.
fn problem<const N: usize>(pairs: [(&str, &str); N]) -> String {
    let environment = Environment::from_pairs(&[&[GOOD_SECRET], pairs.as_slice()].concat());
    let error = Config::load(&environment, None).expect_err("bad on purpose");
    assert_eq!(error.problems.len(), 1, "{error}");
    error.problems[0].to_string()
}

fn password(config: &RedisConfig) -> Option<&str> {
    config.password.as_ref().map(Secret::reveal)
}

#[test]
fn nothing_set_is_a_single_node() {
    assert!(load([GOOD_SECRET]).expect("good").redis.is_none());
    assert!(good(&[("REDIS_URL", ""), ("REDIS_HOST", "")]).redis.is_none(), "empty counts as not set");
}

#[test]
fn a_url_says_everything() {
    let config = redis(&[("REDIS_URL", "redis://hub:pass%20word@redis.example:7000/3")]);
    assert_eq!(config.topology.to_string(), "Redis at redis.example:7000");
    assert_eq!((config.username.as_deref(), password(&config), config.database), (Some("hub"), Some("pass word"), 3));
    assert_eq!((config.prefix.as_str(), config.sharded_pubsub, config.tls), ("callcenter", false, None));
    let cluster = redis(&[
        ("REDIS_URL", "redis-cluster://a?node=b"),
        ("REDIS_PREFIX", "desk-2:eu"),
        ("REDIS_SHARDED_PUBSUB", "true"),
    ]);
    assert_eq!(cluster.topology.to_string(), "Redis Cluster at a:6379, b:6379");
    assert_eq!((cluster.prefix.as_str(), cluster.sharded_pubsub), ("desk-2:eu", true));
}

#[test]
fn a_host_is_enough_and_its_password_is_taken_as_it_stands() {
    let config = redis(&[("REDIS_HOST", "redis")]);
    assert_eq!(config.topology.to_string(), "Redis at redis:6379");
    assert_eq!((password(&config), config.database), (None, 0));
    let all = [("REDIS_HOST", "[::1]"), ("REDIS_PORT", "7000"), ("REDIS_PASSWORD", "p%40/ss"), ("REDIS_DB", "2")];
    let config = redis(&all);
    assert_eq!(config.topology, Topology::Single(HostPort { host: "::1".to_owned(), port: 7000 }));
    assert_eq!((password(&config), config.database), (Some("p%40/ss"), 2));
}

#[test]
fn a_url_wins_and_each_ignored_setting_is_told() {
    let config = good(&[
        ("REDIS_URL", "redis://a"),
        ("REDIS_HOST", "not a host"),
        ("REDIS_PORT", "no port"),
        ("REDIS_PASSWORD", "hunter2"),
        ("REDIS_DB", "7"),
        ("REDIS_PREFIX", "desk"),
    ]);
    let ignored = ["REDIS_HOST", "REDIS_PORT", "REDIS_PASSWORD", "REDIS_DB"];
    assert_eq!(config.warnings, ignored.map(|name| format!("{name} is ignored because REDIS_URL is set")));
    let redis = config.redis.expect("several nodes");
    assert_eq!((redis.topology.to_string().as_str(), redis.database), ("Redis at a:6379", 0));
    assert_eq!(password(&redis), None);
}

#[test]
fn details_without_a_server_are_told() {
    let details = [
        ("REDIS_PORT", "7000"),
        ("REDIS_PASSWORD", "hunter2"),
        ("REDIS_DB", "1"),
        ("REDIS_PREFIX", "desk"),
        ("REDIS_CA_FILE", "no/such.pem"),
        ("REDIS_SHARDED_PUBSUB", "true"),
        ("REDIS_NODE_LEASE", "1s"),
    ];
    let config = good(&details);
    assert!(config.redis.is_none());
    let expected = details.map(|(name, _)| format!("{name} has no effect without REDIS_URL or REDIS_HOST"));
    assert_eq!(config.warnings, expected);
}

#[test]
fn what_is_wrong_is_named_with_a_remedy_and_never_quoted() {
    let check = |pair: (&str, &str), beginning: &str| {
        let problem = problem([pair]);
        assert!(problem.starts_with(beginning) && !problem.contains("hunter2"), "{problem}");
        assert!(problem.contains("; write "), "a remedy in {problem}");
    };
    check(("REDIS_URL", "redis://:hunter2@host/nine"), "REDIS_URL: has a path that is no database number");
    check(("REDIS_URL", "redis://hub:12?hunter2@host"), "REDIS_URL: has a parameter other than");
    check(("REDIS_URL", "http://:hunter2@host"), "REDIS_URL: must begin with redis://");
    check(("REDIS_URL", "hunter2@host"), "REDIS_URL: is no URL");
    check(("REDIS_HOST", "redis://:hunter2@host"), "REDIS_HOST: is no host name and no IP address");
    check(("REDIS_HOST", "redis:6379"), "REDIS_HOST: is no host name and no IP address");
    let by_host = |pair| problem([("REDIS_HOST", "redis"), pair]);
    assert!(by_host(("REDIS_PORT", "0")).starts_with("REDIS_PORT: \"0\" is not a whole number from 1 to 65535; "));
    assert!(by_host(("REDIS_DB", "256")).starts_with("REDIS_DB: \"256\" is not a whole number from 0 to 255; "));
    assert!(by_host(("REDIS_SHARDED_PUBSUB", "maybe")).starts_with("REDIS_SHARDED_PUBSUB: \"maybe\" is neither"));
}

#[test]
fn a_nodes_lease_has_bounds() {
    let url = ("REDIS_URL", "redis://a");
    let lease = |text| redis(&[url, ("REDIS_NODE_LEASE", text)]).node_lease;
    assert_eq!(redis(&[url]).node_lease, NodeLease::default());
    for (text, length) in [("5s", NodeLease::MIN), ("5m", NodeLease::MAX)] {
        assert_eq!(lease(text), NodeLease::new(length));
    }
    for bad in ["4s", "301s"] {
        let wanted = format!("REDIS_NODE_LEASE: {bad:?} is not between 5s and 5m; the default is 15s");
        assert_eq!(problem([url, ("REDIS_NODE_LEASE", bad)]), wanted);
    }
}

#[test]
fn a_prefix_fits_into_keys_and_patterns() {
    let check = |prefix: &str, wrong: &str| {
        let problem = problem([("REDIS_URL", "redis://a"), ("REDIS_PREFIX", prefix)]);
        assert!(problem.starts_with("REDIS_PREFIX: ") && problem.contains(wrong), "{problem}");
    };
    for bad in [' ', '\t', '\u{a0}', '\u{7}', '{', '}', '*', '?', '[', ']', '\\'] {
        check(&format!("call{bad}center"), &format!("holds {bad:?}"));
    }
    check(&"x".repeat(65), "has 65 characters, more than 64");
    assert_eq!(redis(&[("REDIS_HOST", "a"), ("REDIS_PREFIX", &"x".repeat(64))]).prefix.len(), 64);
}

#[test]
fn authorities_are_read_before_the_start() {
    let dir = tempfile::TempDir::new().expect("a directory");
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).expect("the file can be written");
        path.to_str().expect("UTF-8").to_owned()
    };
    let good_file = file("good.pem", CERTIFICATE);
    let tls = redis(&[("REDIS_URL", "rediss://a"), ("REDIS_CA_FILE", &good_file)]).tls.expect("TLS");
    assert_eq!(tls.ca_file, Some(PathBuf::from(&good_file)));
    let no_certificate = CERTIFICATE.replace("MIIB", "AAAA");
    for bad in ["no/such.pem".to_owned(), file("empty.pem", "nothing\n"), file("bad.pem", &no_certificate)] {
        let problem = problem([("REDIS_URL", "rediss-cluster://a"), ("REDIS_CA_FILE", &bad)]);
        assert!(problem.starts_with(&format!("REDIS_CA_FILE: {bad:?} holds no authorities: ")), "{problem}");
    }
    for plain in [("REDIS_URL", "redis://a"), ("REDIS_HOST", "a")] {
        let config = good(&[plain, ("REDIS_CA_FILE", "no/such.pem")]);
        assert_eq!(config.warnings, ["REDIS_CA_FILE has no effect without TLS, a REDIS_URL that begins with rediss"]);
        assert_eq!(config.redis.expect("several nodes").tls, None);
    }
}

#[test]
fn the_file_knows_them_too() {
    let config = with_file("[redis]\nhost = \"a\"\nport = 7000\npassword = \"hunter2\"\ndatabase = 3\n").expect("good");
    let redis = config.redis.expect("several nodes");
    assert_eq!((redis.topology.to_string().as_str(), redis.database), ("Redis at a:7000", 3));
    assert_eq!(password(&redis), Some("hunter2"));
    let both = with_file("[redis]\nurl = \"redis://b\"\nprefix = \"desk\"\nsharded_pubsub = true\nhost = \"a\"\n");
    let config = both.expect("good");
    let [warning] = config.warnings.as_slice() else { panic!("{:?}", config.warnings) };
    assert!(warning.starts_with("redis.host in ") && warning.contains("is ignored because redis.url in "), "{warning}");
    assert_eq!(config.redis.expect("several nodes").prefix, "desk");
    let bad = with_file("[redis]\nurl = \"redis://:hunter2@\"\n").expect_err("bad").to_string();
    assert!(bad.contains("redis.url in ") && !bad.contains("hunter2"), "{bad}");
}

#[test]
fn a_file_that_cannot_be_read_may_have_named_the_server() {
    let environment = Environment::from([GOOD_SECRET, ("REDIS_PASSWORD", "hunter2"), ("REDIS_CA_FILE", "x.pem")]);
    let error = Config::load(&environment, Some(PathBuf::from("no/such.toml"))).expect_err("no file");
    assert_eq!((error.problems.len(), error.warnings.len()), (1, 0), "{error}");
}
