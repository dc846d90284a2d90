//! The gateway inside somebody else's hyper server.
#![expect(clippy::disallowed_methods, reason = "the embedder spawns as it likes")]

use std::convert::Infallible;

use hookswitch_testkit::WsRequest;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;

use crate::house::{House, token};

/// Serves with hyper-util's `auto` server, which wraps the socket in a type of its own.
async fn serve_auto(house: &House) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let addr = listener.local_addr().expect("bound").to_string();
    let gateway = house.gateway.clone();
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
    let house = House::open().await;
    let addr = serve_auto(&house).await;
    let mut agent = WsRequest::new(&addr, "/ws").bearer(&token("tenant-1", 1)).open().await;
    house.service("tenant-1").publish(serde_json::json!({"type": "alert"})).await;
    agent.expect("alert").await;
    agent.sync().await;
}
