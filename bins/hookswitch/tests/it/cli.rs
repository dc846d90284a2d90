//! The command line: help, tokens, and a refusal to start that names everything that is wrong.

use hookswitch_testkit::{NodeSpec, WsRequest};

use crate::stage::{Stage, spec};

fn program() -> NodeSpec {
    NodeSpec::new(env!("CARGO_BIN_EXE_hookswitch"))
}

#[tokio::test]
async fn help_names_the_commands() {
    let output = program().args(&["--help"]).run().await;
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    for command in ["dev", "serve", "receiver", "token", "check-config"] {
        assert!(output.stdout.contains(command), "{command} is not in the help:\n{}", output.stdout);
        let help = program().args(&[command, "--help"]).run().await;
        assert_eq!(help.code, Some(0), "{command} --help: {}", help.stderr);
    }
    assert_ne!(program().args(&["nonsense"]).run().await.code, Some(0));
    assert_eq!(program().args(&["--version"]).run().await.code, Some(0));
}

#[tokio::test]
async fn bad_configuration_is_listed_whole() {
    let bad = program()
        .env("SERVER_PORT", "eighty")
        .env("WS_PING_INTERVAL", "often")
        .env("WEBHOOK_ALLOW_CIDRS", "127.0.0.0/99")
        .env("DATABASE_URL", "postgres://nowhere/db")
        .env("REDIS_URL", "redis://:hunter2@redis.example/nine")
        .env("REDIS_PREFIX", "call*")
        .without_env("JWT_SECRET");
    for command in ["serve", "check-config"] {
        let output = bad.clone().args(&[command]).run().await;
        assert_eq!(output.code, Some(78), "{command}: the documented code of a bad configuration");
        let text = format!("{}{}", output.stdout, output.stderr);
        for name in [
            "SERVER_PORT",
            "WS_PING_INTERVAL",
            "WEBHOOK_ALLOW_CIDRS",
            "DATABASE_URL",
            "REDIS_URL",
            "REDIS_PREFIX",
            "JWT_SECRET",
        ] {
            assert!(text.contains(name), "{command} does not name {name}:\n{text}");
        }
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[tokio::test]
async fn a_database_that_could_not_be_opened_and_a_misspelt_secret_are_said_before_the_start() {
    let bad = program().env("DATABASE_URL", "sqlite://no/such/x.db").env("JWT_SECERT", "x").without_env("JWT_SECRET");
    let output = bad.args(&["check-config"]).run().await;
    assert_eq!(output.code, Some(78));
    for said in ["\"no/such\" does not exist", "JWT_SECRET: is not set", "warning: JWT_SECERT is set"] {
        assert!(output.stderr.contains(said), "{said} in {}", output.stderr);
    }
}

#[tokio::test]
async fn good_configuration_is_good_and_keeps_its_secrets() {
    let output = spec().env("JWT_SECRET", "a-rather-secret-value-of-decent-length").args(&["check-config"]).run().await;
    assert_eq!(output.code, Some(0), "{}{}", output.stdout, output.stderr);
    assert!(!format!("{}{}", output.stdout, output.stderr).contains("a-rather-secret-value"));
}

#[tokio::test]
async fn the_password_of_redis_is_never_printed() {
    let by_url = spec().env("REDIS_URL", "redis://hub:hunter2@redis.example/3").env("REDIS_PASSWORD", "hunter2");
    let by_host = spec().env("REDIS_HOST", "redis.example").env("REDIS_PASSWORD", "hunter2");
    for spec in [by_url, by_host] {
        for command in ["check-config", "print-config"] {
            let output = spec.clone().args(&[command]).run().await;
            assert_eq!(output.code, Some(0), "{}{}", output.stdout, output.stderr);
            assert!(!format!("{}{}", output.stdout, output.stderr).contains("hunter2"), "{}", output.stdout);
            assert!(command == "check-config" || output.stdout.contains("redis.example"), "{}", output.stdout);
        }
    }
}

#[tokio::test]
async fn a_file_configures_too_and_its_unknown_keys_are_errors() {
    let spec = program();
    let path = spec.dir().join("hookswitch.toml");
    std::fs::write(&path, "no_such_key = 1\n").expect("written");
    let output = spec.env("HOOKSWITCH_CONFIG", path.to_str().expect("UTF-8")).args(&["check-config"]).run().await;
    assert!(output.code.is_some_and(|code| code != 0));
    assert!(format!("{}{}", output.stdout, output.stderr).contains("no_such_key"), "{}", output.stderr);
}

#[tokio::test]
async fn a_misspelt_variable_is_a_warning() {
    let stage = Stage::with(&[("WEBHOOK_ALOW_HTTP", "true")]).await;
    stage.node.logged("WEBHOOK_ALOW_HTTP").await;
}

#[tokio::test]
async fn a_taken_port_is_an_error_not_a_hang() {
    let stage = Stage::start().await;
    let port = stage.addr().rsplit(':').next().expect("a port").to_owned();
    let output = program().env("SERVER_PORT", &port).run().await;
    assert!(output.code.is_some_and(|code| code != 0));
    assert!(format!("{}{}", output.stdout, output.stderr).contains(&port), "{}", output.stderr);
}

#[tokio::test]
async fn a_minted_token_opens_the_door() {
    let stage = Stage::start().await;
    let minter = program().args(&["token", "--tenant", "tenant-123", "--user", "456", "--role", "agent"]);
    let output = minter.env("JWT_SECRET", stage.node.secret()).run().await;
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let token = output.stdout.trim();
    assert_eq!(token.split('.').count(), 3, "nothing but the token on standard output: {}", output.stdout);
    WsRequest::new(stage.addr(), "/ws").bearer(token).open().await.expect_silence().await;
    let online = stage.node.api().with_token(token).get("/ws/users/456/online").await;
    assert_eq!(online.status, 200);
}
