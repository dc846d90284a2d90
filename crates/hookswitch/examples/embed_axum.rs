//! Hookswitch inside a Rust service with axum: the service's routes and ours on one port.
//!
//! ```sh
//! JWT_SECRET=… cargo run -p hookswitch --example embed_axum
//! curl http://127.0.0.1:8080/hello
//! curl http://127.0.0.1:8080/readyz
//! ```
#![expect(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::response::Response;
use axum::routing::get;
use hookswitch::gateway::{Gateway, GatewayConfig, JwtAuthenticator, JwtConfig};
use hookswitch::runtime::Clock;
use hookswitch::{Secret, Switch};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let secret = std::env::var_os("JWT_SECRET").and_then(|secret| secret.into_string().ok());
    let secret = secret.unwrap_or_else(|| "only for trying out, never in production".to_owned());
    let jwt = JwtConfig { secret: Some(Secret::new(secret)), ..JwtConfig::default() };
    let authenticator = Arc::new(JwtAuthenticator::new(&jwt, Clock::system())?);
    let switch = Switch::builder().gateway(GatewayConfig::default(), authenticator).start().await?;
    let gateway = switch.gateway().expect("the builder was given a gateway").clone();

    let listener = TcpListener::bind("127.0.0.1:8080").await?;
    println!("listening on http://{}", listener.local_addr()?);
    let service = router(gateway).into_make_service_with_connect_info::<SocketAddr>();
    tokio::select! {
        served = async { axum::serve(listener, service).await } => served?,
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        crash = switch.crashed() => println!("{} crashed", crash.task),
    }
    // Clients are told to reconnect.
    switch.shut_down(Duration::from_secs(5)).await;
    Ok(())
}

/// The service's routes come first; everything else is ours. Event streams are the one thing that wants the gateway's
/// own server, `switch.serve`.
fn router(gateway: Gateway) -> Router {
    Router::new().route("/hello", get(async || "hello from the service\n")).fallback(hookswitch).with_state(gateway)
}

async fn hookswitch(
    State(gateway): State<Gateway>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    gateway.handle(request, peer).await.map(Body::new)
}
