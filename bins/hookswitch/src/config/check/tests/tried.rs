//! Values that look right and could not do what they are for.

use std::time::Duration;

use hookswitch::gateway::AllowedOrigins;

use super::*;

#[test]
fn a_database_file_is_tried() {
    let dir = tempfile::TempDir::new().expect("a directory");
    let at = |name: &str| format!("sqlite://{}", dir.path().join(name).display());
    let check = |name: &str, expected: &str| {
        let error = load([GOOD_SECRET, ("DATABASE_URL", &at(name))]).expect_err(name);
        assert_eq!(error.problems.len(), 1, "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    };
    std::fs::write(dir.path().join("notes.txt"), "dear diary").expect("written");
    std::fs::write(dir.path().join("empty.db"), "").expect("written");
    std::fs::write(dir.path().join("old.db"), "SQLite format 3\0 and so on").expect("written");
    check("notes.txt", "is no SQLite database");
    check("h.db\n", "DATABASE_URL: has a line break");
    check("h.db?mode=ro", "has options after ?");
    for good in ["empty.db", "old.db", "new.db"] {
        assert!(load([GOOD_SECRET, ("DATABASE_URL", &at(good))]).is_ok(), "{good}");
    }
    assert_eq!(std::fs::read_dir(dir.path()).expect("a directory").count(), 3, "nothing was left behind");
}

#[test]
fn authorities_of_a_database_server_are_read() {
    let with = |options: &str| load([GOOD_SECRET, ("DATABASE_URL", &format!("mysql://h@db/x?{options}"))]);
    let error = with("tls_ca=Cargo.toml").expect_err("no certificate").to_string();
    assert!(error.contains("its tls_ca \"Cargo.toml\" holds no authorities"), "{error}");
    assert!(with("tls_ca=Cargo.toml&tls=false").expect_err("dead").to_string().contains("tls=false after it"));
    assert!(with("tls=true").is_ok());
    assert_eq!(problems([GOOD_SECRET, ("DATABASE_URL", "mysql://h@db/x%0A")]), ["DATABASE_URL"]);
}

#[test]
fn an_address_of_another_machine_is_refused() {
    // From the range for documentation.
    assert_eq!(problems([GOOD_SECRET, ("SERVER_HOST", "192.0.2.1")]), ["SERVER_HOST"]);
    assert!(load([GOOD_SECRET, ("SERVER_HOST", "127.0.0.1")]).is_ok());
}

#[test]
fn origins_that_no_page_has_are_refused() {
    let origins = |list: &str| load([GOOD_SECRET, ("WS_ALLOWED_ORIGINS", list)]).map(|config| config.websocket.origins);
    for bad in
        ["https://*.com", "https://a*.example.com", "wss://a.example", "https://a.example#x", "http://localhost:*"]
    {
        let error = origins(bad).expect_err(bad).to_string();
        assert!(error.contains("WS_ALLOWED_ORIGINS: "), "{error}");
    }
    let list = "https://*.example.com,capacitor://localhost,chrome-extension://abcdef,null";
    assert!(matches!(origins(list), Ok(AllowedOrigins::List(list)) if list.len() == 4));
}

#[test]
fn a_range_that_no_address_lies_in_is_refused() {
    let problem = |cidr: &str| problems([GOOD_SECRET, ("WEBHOOK_ALLOW_CIDRS", cidr)]);
    assert_eq!(problem("::ffff:10.0.0.0/104"), ["WEBHOOK_ALLOW_CIDRS"]);
    assert!(load([GOOD_SECRET, ("WEBHOOK_ALLOW_CIDRS", "10.1.2.3/8,fd00::/8,::1,0.0.0.0/0")]).is_ok());
}

#[test]
fn service_links_of_kubernetes_are_taken_as_not_set() {
    let link = "tcp://10.0.0.11:6379";
    let config = load([
        GOOD_SECRET,
        ("DB_PORT", link),
        ("REDIS_PORT", link),
        ("SERVER_PORT", link),
        ("REDIS_SERVICE_HOST", "10.0.0.11"),
        ("REDIS_PORT_6379_TCP", link),
        ("REDIS_PORT_6379_TCP_ADDR", "10.0.0.11"),
    ])
    .expect("good");
    assert_eq!((config.server.port, config.redis.is_none()), (8000, true));
    assert!(matches!(config.database, Database::Sqlite(_)));
    assert_eq!(config.warnings.len(), 1, "{:?}", config.warnings);
    for expected in ["SERVER_PORT", "DB_PORT", "REDIS_PORT", "enableServiceLinks: false"] {
        assert!(config.warnings[0].contains(expected), "{:?}", config.warnings);
    }
    assert_eq!(problems([GOOD_SECRET, ("DB_PORT", "http://x")]), ["DB_PORT"], "a mistake of somebody's");
}

#[test]
fn white_space_around_a_value_is_told() {
    assert_eq!(problems([GOOD_SECRET, ("HOOKSWITCH_LOG_FORMAT", "json\n")]), ["HOOKSWITCH_LOG_FORMAT"]);
    assert_eq!(problems([GOOD_SECRET, ("DB_HOST", "db"), ("DB_USER", "hub\n"), ("DB_NAME", "x")]), ["DB_USER"]);
    let config = load([("JWT_SECRET", "0123456789abcdef0123456789abcdef\n")]).expect("may be meant");
    assert!(config.warnings[0].starts_with("JWT_SECRET has a line break"), "{:?}", config.warnings);
    assert!(load([GOOD_SECRET, ("WS_ALLOWED_ORIGINS", "https://a.example,\nhttps://b.example\n")]).is_ok());
}

#[test]
fn a_key_that_no_algorithm_is_allowed_for_is_told() {
    let dir = tempfile::TempDir::new().expect("a directory");
    let (good, p_384) = (dir.path().join("good.pem"), dir.path().join("p384.pem"));
    std::fs::write(&good, "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAMVq6ztieK1krPwLrgPE8xrSJ9lySaJb6x5g8p8R2HCQ=\n-----END PUBLIC KEY-----\n").expect("written");
    std::fs::write(&p_384, P_384).expect("written");
    let (good, p_384) = (good.display().to_string(), p_384.display().to_string());
    let warnings = |algorithm: &str| {
        let given = [GOOD_SECRET, ("JWT_PUBLIC_KEY_FILE", good.as_str()), ("JWT_ALGORITHMS", algorithm)];
        load(given).expect("good").warnings
    };
    assert_eq!(warnings("EdDSA"), ["JWT_SECRET has no effect: JWT_ALGORITHMS allows no algorithm for it"]);
    assert_eq!(warnings("HS256"), ["JWT_PUBLIC_KEY_FILE has no effect: JWT_ALGORITHMS allows no algorithm for it"]);
    assert_eq!(warnings("HS256,EdDSA"), Vec::<String>::new());
    let error = load([("JWT_PUBLIC_KEY_FILE", p_384.as_str())]).expect_err("no token").to_string();
    assert!(error.contains("JWT_PUBLIC_KEY_FILE: the public key can verify no token"), "{error}");
}

const P_384: &str = "-----BEGIN PUBLIC KEY-----\n\
MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEEkeXbWP1PwBSZq/e6h6UKi1njGRVVWVB\n\
7wFbxKfJji4yDkIjGtRwXPcpgsMgwIUcY3KhWTMgxSpKtPYpmRVvABfRPOZq1oLx\n\
W4fN2qA0mIhi0oOhIii5A5IcZrogbsO+\n\
-----END PUBLIC KEY-----\n";

#[test]
fn a_key_in_the_place_of_a_secret_is_refused_and_so_are_two_keys() {
    let problem = |pairs: &[(&str, &str)]| {
        let error = Config::load(&Environment::from_pairs(pairs), None).expect_err("bad");
        assert_eq!(error.problems.len(), 1, "{error}");
        error.problems[0].to_string()
    };
    assert!(problem(&[("JWT_SECRET", P_384)]).starts_with("JWT_SECRET: holds a key in PEM form"));
    let dir = tempfile::TempDir::new().expect("a directory");
    let two = dir.path().join("two.pem");
    std::fs::write(&two, P_384.repeat(2)).expect("written");
    let two = two.display().to_string();
    let problem = problem(&[GOOD_SECRET, ("JWT_PUBLIC_KEY_FILE", &two)]);
    assert!(problem.starts_with("JWT_PUBLIC_KEY_FILE: holds more than one key"), "{problem}");
}

#[test]
fn connections_have_caps_that_can_be_set() {
    let caps = |pairs: &[(&str, &str)]| {
        let environment = Environment::from_pairs(&[&[GOOD_SECRET], pairs].concat());
        let config = Config::load(&environment, None).expect("good");
        let caps = config.server.connection_caps;
        (config.server.max_connections, caps.per_tenant, caps.per_user, caps.per_session)
    };
    assert_eq!(caps(&[]), (200_000, 100_000, 50, 20));
    assert_eq!(caps(&[("SERVER_MAX_CONNECTIONS", "100")]), (100, 50, 50, 20));
    let given =
        [("WS_CONNECTIONS_PER_TENANT", "7"), ("WS_CONNECTIONS_PER_USER", "3"), ("WS_CONNECTIONS_PER_SESSION", "2")];
    assert_eq!(caps(&given), (200_000, 7, 3, 2));
    let above = load([GOOD_SECRET, ("SERVER_MAX_CONNECTIONS", "100"), ("WS_CONNECTIONS_PER_TENANT", "101")]);
    assert_eq!(
        above.expect("good").warnings,
        ["WS_CONNECTIONS_PER_TENANT has no effect: it is above SERVER_MAX_CONNECTIONS"]
    );
    let idle = load([GOOD_SECRET, ("SERVER_IDLE_TIMEOUT", "90s"), ("SERVER_HEADER_BYTES", "65536")]).expect("good");
    assert_eq!((idle.server.idle_timeout, idle.server.header_bytes), (Duration::from_secs(90), 65_536));
    let server = load([GOOD_SECRET]).expect("good").server;
    assert_eq!((server.idle_timeout, server.header_bytes), (Duration::from_secs(75), 32_768));
}
