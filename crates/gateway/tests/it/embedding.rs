//! The gateway inside somebody else's hyper server, and with somebody else's tokens.
#![expect(clippy::disallowed_methods, reason = "the embedder spawns as it likes")]

use std::convert::Infallible;
use std::sync::Arc;

use hookswitch_gateway::{AuthError, Authenticator, BoxFuture, Credential, Principal, Role};
use hookswitch_protocol::{TenantId, Timestamp, UserId};
use hookswitch_testkit::WsRequest;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;

use crate::rig::{Rig, token};

/// Serves with hyper-util's `auto` server, which wraps the socket in a type of its own.
async fn serve_auto(rig: &Rig) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let addr = listener.local_addr().expect("bound").to_string();
    let gateway = rig.gateway.clone();
    tokio::spawn(async move {
        while let Ok((stream, peer)) = listener.accept().await {
            let gateway = gateway.clone();
            tokio::spawn(async move {
                let service = service_fn(move |request| {
                    let gateway = gateway.clone();
                    async move { Ok::<_, Infallible>(gateway.handle(request, peer).await) }
                });
                let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                server.serve_connection_with_upgrades(TokioIo::new(stream), service).await
            });
        }
    });
    addr
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_embedders_auto_server_upgrades_too() {
    let rig = Rig::open().await;
    let addr = serve_auto(&rig).await;
    let mut agent = WsRequest::new(&addr, "/ws").bearer(&token("tenant-1", 1)).open().await;
    rig.service("tenant-1").publish(serde_json::json!({"type": "alert"})).await;
    agent.expect("alert").await;
    agent.sync().await;
}

/// Trusts the word "sesame" and cannot cope with "panic".
struct Doorman;

impl Authenticator for Doorman {
    fn authenticate<'a>(&'a self, credential: Credential<'a>) -> BoxFuture<'a, Result<Arc<Principal>, AuthError>> {
        Box::pin(async move {
            match credential.token {
                "sesame" => Ok(Arc::new(Principal {
                    tenant: TenantId::parse("tenant-1").expect("legal"),
                    user: UserId::from(1),
                    role: Role::Admin,
                    expires_at: Timestamp::from_millis(i64::MAX),
                })),
                "panic" => panic!("on purpose"),
                _ => Err(AuthError::Unavailable),
            }
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authenticator_of_the_embedder_decides() {
    let rig = Rig::trusting(Doorman).await;
    let mut agent = WsRequest::new(&rig.addr, "/ws").bearer("sesame").open().await;
    agent.sync().await;
    let answer = rig.api().with_token("else").get("/ws/stats").await;
    answer.expect_error(503, "storage_unavailable");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authenticator_that_may_wait_is_never_asked_on_a_shards_thread() {
    let rig = Rig::trusting(Doorman).await;
    let mut agent = WsRequest::new(&rig.addr, "/ws").bearer("sesame").open().await;
    let service = rig.api().with_token("sesame");
    for _ in 0..100 {
        service.publish(serde_json::json!({"type": "alert"})).await;
        agent.expect("alert").await;
    }
    assert!(rig.api().get("/metrics").await.text().contains("hookswitch_relocations_total 0"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_is_an_answer_and_the_node_goes_on() {
    let rig = Rig::trusting(Doorman).await;
    for _ in 0..3 {
        let message = rig.api().with_token("panic").get("/ws/stats").await.expect_error(500, "internal");
        assert!(!message.contains("purpose"), "a bug's words are for the log");
    }
    assert_eq!(rig.api().with_token("sesame").get("/ws/stats").await.status, 200);
    assert!(rig.api().get("/metrics").await.text().contains("hookswitch_panics_total 3"));
}
