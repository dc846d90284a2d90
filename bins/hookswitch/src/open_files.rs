//! The limit of open files: every connection is one, and the usual soft limit is 1,024.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Raises the soft limit to the hard one, which needs no privilege. Failing is no reason to stop.
pub(crate) fn raise_limit() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        if soft < hard {
            setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
        }
        Ok((soft, hard))
    });
    match raised {
        Ok((soft, hard)) => tracing::info!(was = soft, limit = hard, "open files: a connection needs one each"),
        Err(error) => tracing::warn!(%error, "the limit of open files could not be raised"),
    }
}
