//! A name server that says what a test tells it to, or nothing.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::net::UdpSocket;
use tokio::task::JoinSet;

/// What is said about a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameAnswer {
    /// These addresses, for so many seconds.
    Addresses(Vec<IpAddr>, u32),
    /// The IPv4 addresses only; a question for the others is not answered.
    SilentAboutV6(Vec<IpAddr>),
    /// There is no such name.
    NoSuchName,
    /// The server has failed.
    Failure,
    /// Nothing.
    Silence,
}

impl NameAnswer {
    /// One address, not to be remembered.
    pub fn at(address: &str) -> Self {
        Self::Addresses(vec![address.parse().expect(address)], 0)
    }
}

#[derive(Debug, Default)]
struct Zone {
    answers: HashMap<String, NameAnswer>,
    n_asked: HashMap<String, usize>,
}

/// Listens on a free loopback port, over UDP only; ends when dropped. A name it was not told of it keeps silent about.
#[derive(Debug)]
pub struct NameServer {
    addr: SocketAddr,
    zone: Arc<Mutex<Zone>>,
    _tasks: JoinSet<()>,
}

impl NameServer {
    /// Starts one that is silent about all names.
    pub async fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a free loopback port");
        let addr = socket.local_addr().expect("bound");
        let zone = Arc::new(Mutex::new(Zone::default()));
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(socket, Arc::clone(&zone)));
        Self { addr, zone, _tasks: tasks }
    }

    /// Where it listens, with its port.
    pub fn addr(&self) -> String {
        self.addr.to_string()
    }

    /// From now on it says this about the name.
    pub fn says(&self, name: &str, answer: NameAnswer) {
        self.zone().answers.insert(name.to_owned(), answer);
    }

    /// How often it was asked for the addresses of the name, for each family by itself.
    pub fn n_asked(&self, name: &str) -> usize {
        self.zone().n_asked.get(name).copied().unwrap_or_default()
    }

    fn zone(&self) -> MutexGuard<'_, Zone> {
        self.zone.lock().expect("no test panics with it")
    }
}

async fn serve(socket: UdpSocket, zone: Arc<Mutex<Zone>>) {
    let mut packet = [0; 1_500];
    loop {
        let Ok((n_bytes, from)) = socket.recv_from(&mut packet).await else { continue };
        let reply = Question::read(&packet[..n_bytes]).and_then(|question| {
            let mut zone = zone.lock().expect("no test panics with it");
            *zone.n_asked.entry(question.name.clone()).or_default() += 1;
            question.reply(zone.answers.get(&question.name).unwrap_or(&NameAnswer::Silence))
        });
        if let Some(reply) = reply {
            let _lost = socket.send_to(&reply, from).await;
        }
    }
}

/// The one question of a message (RFC 1035, section 4.1.2).
struct Question<'a> {
    id: &'a [u8],
    name: String,
    is_v6: bool,
    /// As it came.
    bytes: &'a [u8],
}

impl<'a> Question<'a> {
    const HEAD_BYTES: usize = 12;

    fn read(message: &'a [u8]) -> Option<Self> {
        let (mut labels, mut at) = (Vec::new(), Self::HEAD_BYTES);
        loop {
            let n_bytes = usize::from(*message.get(at)?);
            if n_bytes == 0 {
                break;
            }
            labels.push(String::from_utf8_lossy(message.get(at + 1..at + 1 + n_bytes)?).to_lowercase());
            at += 1 + n_bytes;
        }
        let bytes = message.get(Self::HEAD_BYTES..at + 5)?;
        Some(Self { id: message.get(..2)?, name: labels.join("."), is_v6: message[at + 2] == 28, bytes })
    }

    fn reply(&self, answer: &NameAnswer) -> Option<Vec<u8>> {
        let (code, addresses, ttl) = match answer {
            NameAnswer::Addresses(addresses, ttl) => (0, &addresses[..], *ttl),
            NameAnswer::SilentAboutV6(addresses) if !self.is_v6 => (0, &addresses[..], 0),
            NameAnswer::NoSuchName => (3, &[][..], 0),
            NameAnswer::Failure => (2, &[][..], 0),
            NameAnswer::Silence | NameAnswer::SilentAboutV6(_) => return None,
        };
        let records: Vec<Vec<u8>> = addresses
            .iter()
            .filter(|address| address.is_ipv6() == self.is_v6)
            .map(|one| self.record(*one, ttl))
            .collect();
        // A recursive server's answer, to one question, with so many records.
        let mut reply = [self.id, &[0x81, 0x80 | code, 0, 1, 0, records.len() as u8, 0, 0, 0, 0]].concat();
        reply.extend_from_slice(self.bytes);
        reply.extend(records.concat());
        Some(reply)
    }

    fn record(&self, address: IpAddr, ttl: u32) -> Vec<u8> {
        let address = match address {
            IpAddr::V4(v4) => v4.octets().to_vec(),
            IpAddr::V6(v6) => v6.octets().to_vec(),
        };
        // The name is that of the question, the class the internet's.
        let head = [0xC0, Self::HEAD_BYTES as u8, 0, if self.is_v6 { 28 } else { 1 }, 0, 1];
        [&head[..], &ttl.to_be_bytes(), &[0, address.len() as u8], &address].concat()
    }
}
