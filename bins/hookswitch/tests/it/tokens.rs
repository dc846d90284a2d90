//! Which tokens open the door, and what each role may do behind it.

use hookswitch_testkit::{NodeSpec, SigningKey, Token};
use serde_json::json;

use crate::stage::{Stage, TENANT, event, spec};

fn good() -> Token {
    Token::new(TENANT, 456)
}

#[tokio::test]
async fn good_tokens_of_every_shape_are_accepted() {
    let stage = Stage::start().await;
    for (what, token) in [
        ("integer user", good()),
        ("text user", Token::new(TENANT, "user-123")),
        ("no token_type", good().without("token_type")),
        ("no email", good().without("email")),
        ("no iat", good().without("iat")),
        ("unknown role", good().role("janitor")),
        ("no role", good().without("role")),
        ("valid since a minute", good().not_before_in(-60)),
        ("an unknown claim", good().claim("scope", json!(["a"]))),
    ] {
        let answer = stage.api(&token).get("/ws/stats").await;
        assert_eq!(answer.status, 200, "{what}: {}", answer.text());
    }
}

#[tokio::test]
async fn bad_tokens_are_refused_everywhere() {
    let stage = Stage::start().await;
    let secret = stage.node.secret().to_owned();
    for (what, token) in [
        ("wrong key", good().sign("another secret of decent length!")),
        ("alg none", good().unsigned()),
        ("alg none with a signature", good().sign_claiming("none", &secret)),
        ("claims RS256", good().sign_claiming("RS256", &secret)),
        ("claims HS512", good().sign_claiming("HS512", &secret)),
        ("refresh", good().claim("token_type", "refresh").sign(&secret)),
        ("no expiry", good().without("exp").sign(&secret)),
        ("not valid yet", good().not_before_in(300).sign(&secret)),
        ("no tenant", good().without("tenant_id").sign(&secret)),
        ("no user", good().without("user_id").sign(&secret)),
        ("tenant too long", Token::new(&"t".repeat(37), 1).sign(&secret)),
        ("tenant with a colon", Token::new("a:b", 1).sign(&secret)),
        ("empty tenant", Token::new("", 1).sign(&secret)),
        ("user too long", Token::new(TENANT, "u".repeat(65)).sign(&secret)),
        ("not a token", "abc".to_owned()),
        ("empty", String::new()),
    ] {
        let api = stage.node.api().with_token(&token);
        api.get("/ws/stats").await.expect_error(401, "unauthorized");
        api.get("/api/v1/webhooks").await.expect_error(401, "unauthorized");
        let upgrade = stage.node.api().upgrade(&format!("/ws?token={token}"), &[]).await;
        assert_eq!(upgrade.status, 401, "{what} on /ws: {}", upgrade.text());
    }
}

#[tokio::test]
async fn an_expired_token_is_told_apart_from_a_bad_one() {
    let stage = Stage::start().await;
    let expired = good().expires_in(-61);
    stage.api(&expired).get("/api/v1/webhooks").await.expect_error(401, "token_expired");
    stage.api(&expired).try_publish(event("alert")).await.expect_error(401, "token_expired");
}

#[tokio::test]
async fn publishing_is_for_services_and_admins() {
    let stage = Stage::start().await;
    for (role, may) in [("service", true), ("admin", true), ("supervisor", false), ("agent", false), ("boss", false)] {
        let answer = stage.api(&good().role(role)).try_publish(event("alert")).await;
        if may {
            assert_eq!(answer.status, 202, "{role}: {}", answer.text());
        } else {
            answer.expect_error(403, "forbidden");
        }
    }
    stage.node.api().try_publish(event("alert")).await.expect_error(401, "unauthorized");
}

#[tokio::test]
async fn any_role_may_listen() {
    let stage = Stage::start().await;
    for role in ["service", "admin", "supervisor", "agent", "janitor"] {
        let token = stage.sign(&good().role(role));
        let mut client = hookswitch_testkit::WsRequest::new(stage.addr(), "/ws").bearer(&token).open().await;
        client.expect_silence().await;
    }
}

/// A node that trusts this identity provider; the secret in its environment is another matter.
fn trusting(key: &SigningKey) -> NodeSpec {
    let spec = spec();
    let path = spec.dir().join("provider.pem");
    std::fs::write(&path, key.public_pem()).expect("written");
    spec.env("JWT_PUBLIC_KEY_FILE", path.to_str().expect("UTF-8")).env("JWT_ALGORITHMS", "EdDSA")
}

#[tokio::test]
async fn a_public_key_replaces_the_secret_and_the_algorithm_cannot_be_confused() {
    let key = SigningKey::generate();
    let stage = Stage { node: trusting(&key).start().await };
    let ask = async |token: String| stage.node.api().with_token(token).get("/ws/stats").await;
    assert_eq!(ask(good().sign_with(&key)).await.status, 200);
    for (what, token) in [
        ("another key", good().sign_with(&SigningKey::generate())),
        ("HS256 with the public key as the secret", good().sign(&key.public_pem())),
        ("HS256, not configured", good().sign(stage.node.secret())),
        ("no signature", good().unsigned()),
    ] {
        let answer = ask(token).await;
        assert_eq!(answer.status, 401, "{what}: {}", answer.text());
    }
    ask(good().expires_in(-61).sign_with(&key)).await.expect_error(401, "token_expired");
}
