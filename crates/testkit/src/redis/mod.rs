//! Real Redis for tests: a single server, a cluster, a server with sentinels.
//!
//! Every test starts its own, on ports that stay its own until the value is dropped, with nothing on
//! disk that outlives it. What a client would do goes through the real `redis-cli`, so that a test
//! does not agree with the product by sharing its driver.

mod cli;
mod cluster;
mod sentinel;
mod server;
mod slots;
mod spec;
mod tls;

pub use cluster::RedisCluster;
pub use sentinel::RedisSentinel;
pub use server::RedisServer;
pub use spec::RedisSpec;
