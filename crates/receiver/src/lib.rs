//! Scripted receivers of HTTP requests, polite and hostile ones: behind `hookswitch receiver`, the tests and the bench.
//!
//! Knows nothing of webhooks, and nothing of ours. HTTP/1.1 is read and written by hand, because half of what a hostile
//! receiver does (reset, hang, never finish) is what a server library exists to prevent.
//!
//! ```no_run
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use hookswitch_receiver::{Connection, Request, Responder, Step, answer, listen};
//!
//! struct Accepting;
//!
//! impl Responder for Accepting {
//!     fn respond(&self, request: Request) -> Vec<Step> {
//!         println!("{}", request.head.path());
//!         vec![Step::Send(answer(202, &[], ""))]
//!     }
//! }
//!
//! # async fn demo() -> std::io::Result<()> {
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! let connection = |stream| Connection::tcp(stream).play(Arc::from([Step::Read]), Arc::new(Accepting));
//! listen(listener, std::future::pending(), Duration::ZERO, connection).await;
//! # Ok(())
//! # }
//! ```

mod connection;
mod hostile;
mod listen;
mod request;

pub use connection::{Connection, Responder, Step, answer};
pub use hostile::hostile_script;
pub use listen::listen;
pub use request::{Head, Request};
