//! A node with its gateway, in its own server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, SqliteConnection};
use hookswitch::gateway::{GatewayConfig, JwtAuthenticator, JwtConfig, listen};
use hookswitch::hub::memory::MemoryTransport;
use hookswitch::hub::{Attachment, Subject};
use hookswitch::payloads::Alert;
use hookswitch::runtime::{Clock, Scope};
use hookswitch::store::StoreConfig;
use hookswitch::{Secret, Switch, SwitchBuilder, TenantId, UserId};
use hookswitch_testkit::{ApiClient, PATIENCE, Token, WsRequest, eventually};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;

const SECRET: &str = "a secret of at least thirty-two bytes";

async fn open() -> (Switch, String, Scope) {
    open_with(Switch::builder()).await
}

async fn open_with(builder: SwitchBuilder) -> (Switch, String, Scope) {
    let jwt = JwtConfig { secret: Some(Secret::new(SECRET)), ..JwtConfig::default() };
    let authenticator = Arc::new(JwtAuthenticator::new(&jwt, Clock::system()).expect("a usable secret"));
    let config = GatewayConfig { probe_interval: Duration::ZERO, ..GatewayConfig::default() };
    let switch = builder.gateway(config, authenticator).start().await.expect("starts");
    let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port");
    let (address, scope) = (listener.local_addr().expect("bound").to_string(), Scope::root("test"));
    let serving = switch.clone();
    scope.spawn("server", async move { serving.serve(listener).await });
    (switch, address, scope)
}

#[tokio::test(flavor = "multi_thread")]
async fn broadcasts_reach_browsers_and_published_events_too() {
    let (switch, address, _scope) = open().await;
    let mut anna = WsRequest::new(&address, "/ws").bearer(&Token::new("t", 1).sign(SECRET)).open().await;
    let tenant = TenantId::parse("t").expect("legal");
    switch.broadcaster().send_alert(&tenant, Alert::new("a", "b")).await.expect("accepted");
    assert_eq!(anna.expect("alert").await["payload"]["title"], "a");
    let api = ApiClient::new(&address).with_token(Token::service("t").sign(SECRET));
    api.publish(serde_json::json!({ "type": "call.incoming" })).await;
    anna.expect("call.incoming").await;
    let ready = api.get("/readyz").await;
    assert_eq!(ready.json()["checks"]["store"], "ok", "{}", ready.text());
    switch.shut_down(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transport_of_the_embedders_serves_beside_the_gateways() {
    let (switch, address, _scope) = open().await;
    let mut anna = WsRequest::new(&address, "/ws").bearer(&Token::new("t", 1).sign(SECRET)).open().await;
    let tenant = TenantId::parse("t").expect("legal");
    let subject = Subject::User(UserId::from(2));
    let who = Attachment::new(tenant.clone(), subject);
    let (open, mut inbox) = MemoryTransport::pair(16);
    switch.admission().attach(who, MemoryTransport::FORM).await.expect("taken in").open(open).await;
    switch.broadcaster().send_alert(&tenant, Alert::new("both", "b")).await.expect("accepted");
    assert_eq!(anna.expect("alert").await["payload"]["title"], "both");
    let text = tokio::time::timeout(Duration::from_secs(10), inbox.next()).await.expect("in time").expect("open");
    let message: serde_json::Value = serde_json::from_str(&text).expect("one JSON object");
    assert_eq!((&message["type"], &message["payload"]["title"]), (&"alert".into(), &"both".into()));
    // The large ones are encoded apart, once for each form.
    let long = "x".repeat(100_000);
    switch.broadcaster().send_alert(&tenant, Alert::new(&long, "b")).await.expect("accepted");
    assert_eq!(anna.expect("alert").await["payload"]["title"], long);
    let text = tokio::time::timeout(Duration::from_secs(10), inbox.next()).await.expect("in time").expect("open");
    assert!(text.contains(&long));
    assert_eq!(switch.hub().n_tenant_connections(&tenant), 2);
    assert!(switch.shut_down(Duration::from_secs(5)).await, "both are out in time");
    assert!(inbox.next().await.is_some_and(|text| text.contains("\"reconnect\"")), "it is told when to come back");
    assert_eq!(inbox.next().await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_disk_is_full_is_not_ready_until_it_can_write_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("hookswitch.db");
    let (switch, address, _scope) = open_with(Switch::builder().sqlite(StoreConfig::new(&path))).await;
    let api = ApiClient::new(&address).with_token(Token::service("t").sign(SECRET));
    assert_eq!(api.get("/readyz").await.status, 200);
    let mut operator = SqliteConnection::establish(path.to_str().expect("UTF-8")).expect("opens");
    let full = |table: &str| {
        format!(
            "CREATE TRIGGER full_{table} BEFORE INSERT ON {table}
             BEGIN SELECT RAISE(ROLLBACK, 'database or disk is full'); END;"
        )
    };
    operator.batch_execute("PRAGMA busy_timeout = 5000").expect("sets");
    operator.batch_execute(&(full("webhooks") + &full("write_proof"))).expect("creates");
    let webhook = serde_json::json!({ "name": "x", "url": "https://93.184.216.34/", "events": ["*"] });
    let refused = api.post("/api/v1/webhooks", webhook.clone()).await;
    assert_eq!(refused.status, 503, "{}", refused.text());
    let page = api.get("/readyz").await;
    assert_eq!((page.status, &page.json()["checks"]["store"]), (503, &"the database cannot be written".into()));
    operator.batch_execute("DROP TRIGGER full_webhooks; DROP TRIGGER full_write_proof").expect("drops");
    let page = api.get("/readyz").await;
    assert_eq!(page.status, 200, "{}", page.text());
    assert_eq!(api.post("/api/v1/webhooks", webhook).await.status, 201);
    switch.shut_down(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_are_told_to_come_back_and_newcomers_are_refused() {
    let (switch, address, scope) = open().await;
    let mut anna = WsRequest::new(&address, "/ws").bearer(&Token::new("t", 1).sign(SECRET)).open().await;
    let begun = Instant::now();
    let (ended, code) = tokio::join!(switch.shut_down(Duration::from_secs(5)), anna.close_code());
    assert_eq!(code, 1012);
    assert!(ended, "nothing had to be cut off");
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert!(scope.shut_down(Duration::from_secs(5)).await, "the server ended with the node");
    assert!(TcpStream::connect(&address).await.is_err(), "nobody listens any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_react_holds_nothing_up_beyond_the_grace() {
    let (switch, address, _scope) = open().await;
    let deaf = upgrade(&address, 1).await;
    let tenant = TenantId::parse("t").expect("legal");
    eventually("the client is connected", PATIENCE, || {
        std::future::ready(switch.hub().n_tenant_connections(&tenant) == 1)
    })
    .await;
    let begun = Instant::now();
    switch.shut_down(Duration::from_secs(2)).await;
    assert!(begun.elapsed() < Duration::from_secs(3));
    drop(deaf);
}

/// Asks for an upgrade by hand and reads nothing.
async fn upgrade(address: &str, user: i64) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("connects");
    let token = Token::new("t", user).sign(SECRET);
    let request = format!(
        "GET /ws HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Authorization: Bearer {token}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.expect("sent");
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_in_the_middle_of_talking_hear_the_close_too() {
    let (switch, address, _scope) = open().await;
    let mut clients = tokio::task::JoinSet::new();
    for user in 1..=50 {
        let (mut reading, mut writing) = upgrade(&address, user).await.into_split();
        // Were these unread when the node lets go of the socket, it would break, and the close frame
        // with it.
        let pings = [&[0x81, 0x80 | 15, 0, 0, 0, 0][..], br#"{"type":"ping"}"#].concat().repeat(100);
        clients.spawn(async move {
            let talking = async { while writing.write_all(&pings).await.is_ok() {} };
            let hearing = async {
                let mut heard = Vec::new();
                let _ended = reading.read_to_end(&mut heard).await;
                heard.windows(4).any(|bytes| bytes[0] == 0x88 && bytes[2..] == 1012_u16.to_be_bytes())
            };
            tokio::join!(talking, hearing).1
        });
    }
    let tenant = TenantId::parse("t").expect("legal");
    let is_full = || std::future::ready(switch.hub().n_tenant_connections(&tenant) == 50);
    eventually("everybody is connected", PATIENCE, is_full).await;
    switch.shut_down(Duration::from_secs(5)).await;
    assert_eq!(clients.join_all().await, [true; 50]);
}
