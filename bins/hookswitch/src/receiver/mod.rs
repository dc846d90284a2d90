//! `hookswitch receiver`: a receiver of webhooks that shows what arrives, checks signatures, and plays
//! the bad ones too.

mod args;
mod delivery;
mod mode;
mod report;
mod seen_deliveries;

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use hookswitch_receiver::{Connection, Request, Responder, Step, listen};
use tokio::net::TcpListener;

pub(crate) use self::args::ReceiverArgs;
use self::mode::{Manner, Mode};
use self::report::Report;
use crate::signals::Signals;

/// How long connections may go on after the signal; what they still carry is cut off.
const GRACE: Duration = Duration::from_millis(200);

/// Listens, says where, and receives until a signal; then prints the summary.
///
/// One thread is enough for tens of thousands of requests a second, and leaves the other processors
/// to the server that is being measured.
pub(crate) fn run(args: &ReceiverArgs) -> anyhow::Result<()> {
    crate::open_files::raise_limit();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("cannot start the runtime")?.block_on(receive(args))
}

async fn receive(args: &ReceiverArgs) -> anyhow::Result<()> {
    let mut signals = Signals::catch().context("cannot catch signals")?;
    let listener = TcpListener::bind(args.listen).await.with_context(|| format!("cannot listen on {}", args.listen))?;
    let address = listener.local_addr().context("the socket has no address")?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "listening on http://{address}").and_then(|()| out.flush()).context("standard output is closed")?;
    drop(out);
    let (manner, script) = match args.mode.clone() {
        Mode::Polite(manner) => (Some(manner), vec![Step::Read]),
        Mode::Hostile(script) => (None, script),
    };
    let script: Arc<[Step]> = script.into();
    let reporting = Arc::new(Reporting { report: Report::new(args), manner, retry_after: args.retry_after });
    let play = |stream| Connection::tcp(stream).play(Arc::clone(&script), Arc::clone(&reporting));
    let stop = async { _ = signals.next().await };
    listen(listener, stop, GRACE, play).await;
    reporting.report.summary();
    Ok(())
}

/// Tells of every request, and answers it unless the script does.
struct Reporting {
    report: Report,
    manner: Option<Manner>,
    retry_after: Option<u32>,
}

impl Responder for Reporting {
    fn respond(&self, request: Request) -> Vec<Step> {
        let times = self.report.note(&request);
        self.manner.as_ref().map(|manner| manner.answer(times, self.retry_after)).unwrap_or_default()
    }
}
