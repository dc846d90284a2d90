//! Bytes to and from the PBX, plain or by TLS.

use std::{future::Future, time::Duration};

use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

use super::{ClientError, ClientSettings};
use crate::reader::Reader;

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection, and the reader of what comes.
pub(crate) struct Wire {
    stream: Box<dyn Stream>,
    piece: Vec<u8>,
    pub(crate) reader: Reader,
}

impl Wire {
    pub(crate) async fn connect(settings: &ClientSettings) -> Result<Self, ClientError> {
        let tcp = within("connecting", settings.deadline, async {
            TcpStream::connect(&settings.address).await.map_err(ClientError::Connect)
        });
        let tcp = tcp.await?;
        tcp.set_nodelay(true).map_err(ClientError::Connect)?;
        let stream: Box<dyn Stream> = match &settings.tls {
            None => Box::new(tcp),
            Some(config) => {
                let host = settings.address.rsplit_once(':').map_or(&*settings.address, |(host, _)| host);
                let host = host.trim_matches(['[', ']']).to_owned();
                let name = ServerName::try_from(host.clone()).map_err(|_| ClientError::NoName(host))?;
                let connecting = TlsConnector::from(config.clone()).connect(name, tcp);
                let connecting = async { connecting.await.map_err(ClientError::Connect) };
                Box::new(within("the TLS handshake", settings.deadline, connecting).await?)
            }
        };
        Ok(Self { stream, piece: vec![0; 64 * 1024], reader: Reader::default() })
    }

    /// Writes a whole action.
    pub(crate) async fn send(&mut self, action: &[u8]) -> Result<(), ClientError> {
        self.stream.write_all(action).await.map_err(ClientError::Broken)
    }

    /// Reads once. Cancel safe: what was read is in the reader.
    pub(crate) async fn fill(&mut self) -> Result<(), ClientError> {
        let read = self.stream.read(&mut self.piece).await.map_err(ClientError::Broken)?;
        if read == 0 {
            return Err(ClientError::Closed);
        }
        self.reader.push(&self.piece[..read]);
        Ok(())
    }
}

pub(crate) async fn within<T>(
    what: &'static str,
    deadline: Duration,
    doing: impl Future<Output = Result<T, ClientError>>,
) -> Result<T, ClientError> {
    timeout(deadline, doing).await.map_err(|_| ClientError::Late(what, deadline))?
}

/// An action as it is written. Line breaks in a value would make other headers of it, and are left out.
pub(crate) fn action(headers: &[(&str, &str)]) -> Vec<u8> {
    let mut text = String::new();
    for (name, value) in headers {
        let value: String = value.chars().filter(|letter| !matches!(letter, '\r' | '\n')).collect();
        text.extend([*name, ": ", &value, "\r\n"]);
    }
    text.push_str("\r\n");
    text.into_bytes()
}
