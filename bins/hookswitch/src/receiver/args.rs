//! The arguments of `hookswitch receiver`.

use std::net::SocketAddr;

use clap::Args;
use hookswitch::protocol::Secret;

use super::mode::{MODES, Mode};

#[derive(Debug, Args)]
#[command(after_help = format!("\
{MODES}
Examples:
  hookswitch receiver --listen 127.0.0.1:9000 --secret my-secret
  hookswitch receiver --mode fail-first:3 --retry-after 30    see the retries of each delivery
  hookswitch receiver --mode reset:body --json | jq .
  hookswitch receiver --quiet                                 as fast as it can, counting only

Prints `listening on http://…`, then a line per delivery: time, event, attempt, delivery id, and whether
X-Webhook-Signature (hex) and webhook-signature (std) are right: ok, BAD, none (not signed), or unchecked
(without --secret). SIGINT or SIGTERM ends it with a summary: deliveries by distinct id, and repeats.

Exit codes:
  0  stopped by a signal
  1  could not listen there, or standard output is closed
  2  wrong usage"))]
pub(crate) struct ReceiverArgs {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub(crate) listen: SocketAddr,
    /// The webhook's secret, to check signatures with.
    #[arg(long, value_parser = |text: &str| Ok::<_, std::convert::Infallible>(Secret::new(text)))]
    pub(crate) secret: Option<Secret>,
    /// How to answer; see below.
    #[arg(long, default_value = "ok", value_parser = Mode::parse)]
    pub(crate) mode: Mode,
    /// Add `Retry-After` with this many seconds to every answer that is no 2xx.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) retry_after: Option<u32>,
    /// Print no line per delivery.
    #[arg(long, conflicts_with = "json")]
    pub(crate) quiet: bool,
    /// Print deliveries and the summary as JSON, one object a line.
    #[arg(long)]
    pub(crate) json: bool,
}
