//! What a failed exchange is called.

use std::error::Error;
use std::io;

use crate::answer_head::HeadTooLong;
use crate::connector::ConnectFailure;
use crate::failure::{ErrorClass, Failure};
use crate::stream::Overrun;
use crate::timings::Timings;

/// The connector has classified its own failures; the rest broke on a connection that stood.
pub(crate) fn failure_of(error: &(dyn Error + 'static)) -> Failure {
    chain(error).find_map(known).unwrap_or(Failure::new(ErrorClass::ConnectionReset))
}

/// What the connector measured before it failed.
pub(crate) fn timings_of(error: &(dyn Error + 'static)) -> Option<Timings> {
    chain(error).find_map(|error| error.downcast_ref::<ConnectFailure>()).map(|failure| failure.timings)
}

/// Whether the connection ended in order but without an answer, as one does that the receiver had
/// closed for its idleness just before we sent. One that is reset while a request is under way is
/// another matter: the receiver may well have seen it, so that counts as an answer that failed.
pub(crate) fn was_closed(error: &(dyn Error + 'static)) -> bool {
    chain(error).any(|error| {
        error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_incomplete_message)
            || error.downcast_ref::<io::Error>().is_some_and(|io| io.kind() == io::ErrorKind::BrokenPipe)
    })
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| {
        // An `io::Error` that wraps another one answers `source` with the source of that one.
        match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner as &(dyn Error + 'static)),
            None => (*error).source(),
        }
    })
}

fn known(error: &(dyn Error + 'static)) -> Option<Failure> {
    use ErrorClass::{InvalidResponse, ResponseTooLarge, TlsError};
    if let Some(failure) = error.downcast_ref::<ConnectFailure>() {
        return Some(failure.failure);
    }
    if let Some(hyper) = error.downcast_ref::<hyper::Error>() {
        return match hyper {
            _ if hyper.is_parse_version_h2() => {
                Some(Failure::because(InvalidResponse, "the answer is HTTP/2, which was not agreed on"))
            }
            _ if hyper.is_parse() => Some(Failure::new(InvalidResponse)),
            _ => None,
        };
    }
    if error.is::<Overrun>() {
        return Some(Failure::because(ResponseTooLarge, "the answer goes on without end; the rest was not read"));
    }
    if error.is::<HeadTooLong>() {
        return Some(Failure::because(InvalidResponse, "the answer's head is longer than 65536 bytes"));
    }
    if error.is::<rustls::Error>() {
        return Some(Failure::because(TlsError, "what came over the TLS connection is not valid"));
    }
    match error.downcast_ref::<io::Error>()?.kind() {
        // Chunk sizes that are no numbers, and the like.
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => Some(Failure::new(InvalidResponse)),
        _ => None,
    }
}
