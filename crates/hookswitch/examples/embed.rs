//! Hookswitch inside a Rust service with a hyper server of its own: the service's routes and ours on
//! one port.
//!
//! ```sh
//! JWT_SECRET=… cargo run -p hookswitch --example embed
//! curl http://127.0.0.1:8080/hello
//! curl http://127.0.0.1:8080/readyz
//! ```
#![expect(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hookswitch::gateway::{Body, Gateway, GatewayConfig, JwtAuthenticator, JwtConfig, listen};
use hookswitch::payloads::QueueStats;
use hookswitch::runtime::{Clock, Scope};
use hookswitch::{Broadcaster, Secret, Switch, TenantId};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let secret = std::env::var_os("JWT_SECRET").and_then(|secret| secret.into_string().ok());
    let secret = secret.unwrap_or_else(|| "only for trying out, never in production".to_owned());
    let jwt = JwtConfig { secret: Some(Secret::new(secret)), ..JwtConfig::default() };
    let authenticator = Arc::new(JwtAuthenticator::new(&jwt, Clock::system())?);
    let switch = Switch::builder().gateway(GatewayConfig::default(), authenticator).start().await?;
    let gateway = switch.gateway().expect("the builder was given a gateway").clone();

    // The service's own tasks; it talks to everybody through the broadcaster.
    let scope = Scope::root("service");
    scope.spawn("reports", report(switch.broadcaster(), scope.clone()));
    let listener = listen(SocketAddr::from(([127, 0, 0, 1], 8_080)))?;
    println!("listening on http://{}", listener.local_addr()?);
    scope.spawn("server", serve(listener, gateway, scope.clone()));

    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        crash = switch.crashed() => println!("{} crashed", crash.task),
    }
    // Clients are told to reconnect first; then our own server ends.
    switch.shut_down(Duration::from_secs(5)).await;
    scope.shut_down(Duration::from_secs(1)).await;
    Ok(())
}

/// Any Rust code may publish: here the figures of a queue, once a second.
async fn report(broadcaster: Broadcaster, scope: Scope) {
    let tenant = TenantId::parse("tenant-123").expect("a legal id");
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    while scope.soft().run_until_cancelled(ticks.tick()).await.is_some() {
        let stats = QueueStats { calls_waiting: 3, available_agents: 7, ..QueueStats::new("sales") };
        if let Err(error) = broadcaster.update_queue_stats(&tenant, stats).await {
            println!("not published: {error}");
        }
    }
}

/// A server as any hyper service has one. Upgrades must be on, and the stream tokio's own.
async fn serve(listener: TcpListener, gateway: Gateway, scope: Scope) {
    while let Some(accepted) = scope.soft().run_until_cancelled(listener.accept()).await {
        if let Ok((stream, peer)) = accepted {
            scope.spawn_contained("connection", serve_one(stream, peer, gateway.clone()));
        }
    }
}

async fn serve_one(stream: TcpStream, peer: SocketAddr, gateway: Gateway) {
    let service = service_fn(move |request| route(request, peer, gateway.clone()));
    if let Err(error) = http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades().await {
        println!("{peer}: {error}");
    }
}

/// The service's routes come first; everything else is ours.
async fn route(request: Request<Incoming>, peer: SocketAddr, gateway: Gateway) -> Result<Response<Body>, Infallible> {
    match request.uri().path() {
        "/hello" => Ok(Response::new(Body::from(b"hello from the service\n".to_vec()))),
        _ => Ok(gateway.handle(request, peer).await),
    }
}
