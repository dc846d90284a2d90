//! Test support: real nodes, Redis and MariaDB servers as child processes, clients, hostile receivers and a fault
//! proxy for tests.
//!
//! Knows nothing of how the product works inside: tokens, signatures and frames are made and checked
//! here a second time, from the contract, so that a test does not agree with the product by sharing
//! its code. Everything listens on free loopback ports and ends with the value that started it.
//! Helpers panic with a sentence: their caller is a test.
//!
//! ```no_run
//! # async fn demo() {
//! use hookswitch_testkit::{ApiClient, NodeSpec, Token, WsRequest};
//!
//! let node = NodeSpec::new("target/debug/hookswitch").start().await;
//! let token = Token::new("tenant-1", 456).sign(node.secret());
//! let mut agent = WsRequest::new(node.addr(), "/ws").bearer(&token).open().await;
//! let service = ApiClient::new(node.addr()).with_token(Token::service("tenant-1").sign(node.secret()));
//! service.publish(serde_json::json!({"type": "call.incoming"})).await;
//! agent.expect("call.incoming").await;
//! # }
//! ```

mod api;
#[cfg(feature = "contract")]
pub mod contract;
mod crowd;
mod frames;
mod hostile;
mod mariadb;
mod name_server;
mod node;
mod port;
pub mod proc;
mod process;
mod proxy;
mod raw;
mod receiver;
mod redis;
mod request;
mod scripted_pbx;
mod token;
mod wait;
mod ws;

pub use api::{Answer, ApiClient};
pub use crowd::{Crowd, CrowdLoad, CrowdReport, List, Published, Received};
pub use frames::{Frame, FrameHead, Opcode, accept_key};
pub use hookswitch_receiver::Step;
pub use hostile::{Authority, ConnectProxy, Flaw, HostileReceiver};
pub use mariadb::{MariaDb, MariaDbServer, MariaDbSpec};
pub use name_server::{NameAnswer, NameServer};
pub use node::{CliOutput, NodeProcess, NodeSpec};
pub use port::HeldPort;
pub use proxy::{Fault, FaultProxy};
pub use raw::RawSocket;
pub use receiver::{Behaviour, Receiver};
pub use redis::{RedisCluster, RedisSentinel, RedisServer, RedisSpec};
pub use request::ReceivedRequest;
pub use scripted_pbx::ScriptedPbx;
pub use token::{SigningKey, Token};
pub use wait::{PATIENCE, eventually, eventually_some};
pub use ws::{Refusal, WsClient, WsRequest};
