//! A telephone system that speaks Asterisk's Manager Interface and says what a test tells it to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio::task::JoinSet;

/// The lists that a client may ask for.
const LISTS: [&str; 5] = ["CoreShowChannels", "Status", "QueueStatus", "DeviceStateList", "ParkedCalls"];

/// What all connections are told to do.
#[derive(Debug, Clone)]
enum Order {
    Send(Arc<[u8]>),
    HangUp,
}

/// Listens on a free loopback port; accepts every login, has nothing in its lists, and ends when dropped.
#[derive(Debug)]
pub struct ScriptedPbx {
    addr: SocketAddr,
    orders: broadcast::Sender<Order>,
    n_lists: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl ScriptedPbx {
    /// Starts one that nothing happens at.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free loopback port");
        let addr = listener.local_addr().expect("bound");
        let (orders, n_lists) = (broadcast::Sender::new(64), Arc::new(AtomicUsize::new(0)));
        let mut tasks = JoinSet::new();
        let (heard, counter) = (orders.clone(), Arc::clone(&n_lists));
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                connections.spawn(serve(stream, heard.subscribe(), Arc::clone(&counter)));
            }
        });
        Self { addr, orders, n_lists, _tasks: tasks }
    }

    /// Where it listens, with its port.
    pub fn addr(&self) -> String {
        self.addr.to_string()
    }

    /// How often somebody has taken all the lists.
    pub fn n_synced(&self) -> usize {
        self.n_lists.load(Ordering::Acquire) / LISTS.len()
    }

    /// Everybody who is connected is sent these bytes.
    pub fn send(&self, bytes: &[u8]) {
        let _nobody = self.orders.send(Order::Send(bytes.into()));
    }

    /// Closes all connections; new ones are accepted.
    pub fn hang_up(&self) {
        let _nobody = self.orders.send(Order::HangUp);
    }
}

async fn serve(stream: TcpStream, mut orders: broadcast::Receiver<Order>, n_lists: Arc<AtomicUsize>) {
    let (mut reader, mut writer) = stream.into_split();
    let (mut unread, mut chunk) = (Vec::new(), [0; 4_096]);
    if writer.write_all(b"Asterisk Call Manager/11.0.0\r\n").await.is_err() {
        return;
    }
    loop {
        tokio::select! {
            read = reader.read(&mut chunk) => match read {
                Ok(n_bytes @ 1..) => unread.extend_from_slice(&chunk[..n_bytes]),
                _ => return,
            },
            order = orders.recv() => match order {
                Ok(Order::Send(bytes)) if writer.write_all(&bytes).await.is_ok() => {}
                _ => return,
            },
        }
        while let Some(end) = unread.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            let action = String::from_utf8_lossy(&unread[..end]).into_owned();
            unread.drain(..end + 4);
            if answer(&action, &mut writer, &n_lists).await.is_err() {
                return;
            }
        }
    }
}

/// Answers one action; a list is counted when its end was written.
async fn answer(action: &str, writer: &mut OwnedWriteHalf, n_lists: &AtomicUsize) -> std::io::Result<()> {
    let header = |name: &str| action.lines().filter_map(|line| line.split_once(": ")).find(|(known, _)| *known == name);
    let name = header("Action").map_or("", |(_, name)| name);
    let id = header("ActionID").map_or("", |(_, id)| id);
    let extra = match name {
        "Challenge" => "Challenge: 123456789\r\n",
        "CoreSettings" => "AsteriskVersion: 22.10.1\r\nSystemName: scripted\r\n",
        _ if LISTS.contains(&name) => "EventList: start\r\n",
        _ => "",
    };
    writer.write_all(format!("Response: Success\r\nActionID: {id}\r\n{extra}\r\n").as_bytes()).await?;
    if LISTS.contains(&name) {
        let end = format!("Event: {name}Complete\r\nActionID: {id}\r\nEventList: Complete\r\nListItems: 0\r\n\r\n");
        writer.write_all(end.as_bytes()).await?;
        n_lists.fetch_add(1, Ordering::Release);
    }
    Ok(())
}
