//! `hookswitch receiver`: a receiver of webhooks that shows what arrives, checks signatures, and plays
//! the bad ones too.

mod args;
mod delivery;
mod hostile;
mod mode;
mod polite;
mod report;
mod tally;

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use hookswitch::runtime::Scope;
use tokio::net::{TcpListener, TcpStream};

pub(crate) use self::args::ReceiverArgs;
use self::mode::Mode;
use self::report::Report;
use crate::signals::Signals;

/// How long connections may go on after the signal; what they still carry is cut off.
const GRACE: Duration = Duration::from_millis(200);

/// How long a failing `accept` waits, for instance for a free descriptor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

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
    let scope = Scope::root("receiver");
    let report = Arc::new(Report::new(args));
    scope.spawn("accept", accept(listener, args.mode.clone(), args.retry_after, Arc::clone(&report), scope.clone()));
    signals.next().await;
    scope.shut_down(GRACE).await;
    report.summary();
    Ok(())
}

async fn accept(listener: TcpListener, mode: Mode, retry_after: Option<u32>, report: Arc<Report>, scope: Scope) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = scope.soft().cancelled() => return,
        };
        match accepted {
            Ok((stream, _)) => {
                let serving = serve(stream, mode.clone(), retry_after, Arc::clone(&report));
                scope.spawn_contained("connection", serving);
            }
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn serve(stream: TcpStream, mode: Mode, retry_after: Option<u32>, report: Arc<Report>) {
    // A peer that went away is told by what it does next, not here.
    let _nodelay = stream.set_nodelay(true);
    match mode {
        Mode::Polite(manner) => polite::serve(stream, manner, retry_after, report).await,
        Mode::Hostile(trick) => _ = hostile::serve(stream, trick, &report).await,
    }
}
