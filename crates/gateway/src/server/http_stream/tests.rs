//! Moves between runtimes, and deadlines.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

use super::*;

const DEADLINES: Deadlines =
    Deadlines { idle: Duration::from_secs(75), head: Duration::from_secs(30), write: Duration::from_secs(20) };

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime")
}

#[test]
fn the_stream_goes_on_after_its_first_runtime_has_ended() {
    let (first, second, state) = (runtime(), runtime(), Arc::new(ConnectionState::default()));
    let (mut far, mut transport) = first.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let far = std::net::TcpStream::connect(listener.local_addr().expect("bound")).expect("accepted");
        let (near, _) = listener.accept().await.expect("a connection");
        (far, HttpStream::new(near, Arc::clone(&state), DEADLINES, Refusals::for_tests()))
    });
    first.block_on(async { transport.write_all(b"here").await }).expect("written");
    state.announce_relocation();
    second.block_on(async { transport.write_all(b"there").await }).expect("written");
    drop(first);
    std::io::Write::write_all(&mut far, b"hello").expect("written");
    let mut heard = [0; 5];
    second.block_on(async { transport.read_exact(&mut heard).await }).expect("read");
    let mut all = [0; 9];
    std::io::Read::read_exact(&mut far, &mut all).expect("read");
    assert_eq!((&heard, &all), (b"hello", b"herethere"));
    assert!(transport.into_stream().is_some());
}

/// A stream under test and its far end.
async fn pair() -> (TcpStream, HttpStream, Arc<ConnectionState>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let far = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("accepted");
    let (near, _) = listener.accept().await.expect("a connection");
    let state = Arc::new(ConnectionState::default());
    let stream = HttpStream::new(near, Arc::clone(&state), DEADLINES, Refusals::for_tests());
    (far, stream, state)
}

/// How long a read lasts, and how many bytes it gives.
async fn read(stream: &mut HttpStream) -> (usize, Duration) {
    let (start, mut buffer) = (Instant::now(), [0; 64]);
    let n_read = stream.read(&mut buffer).await.expect("no error");
    (n_read, start.elapsed())
}

/// Reads until the far end's bytes are there, while time stands still.
async fn read_what_was_sent(stream: &mut HttpStream) {
    tokio::time::resume();
    assert!(read(stream).await.0 > 0);
    tokio::time::pause();
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_and_a_slow_head_have_deadlines_of_their_own() {
    let (mut far, mut stream, state) = pair().await;
    far.write_all(b"GET / HT").await.expect("written");
    read_what_was_sent(&mut stream).await;
    let (n_read, lasted) = read(&mut stream).await;
    assert_eq!((n_read, state.reason()), (0, Some(Cut::HeadTooSlow)));
    assert!((29..=30).contains(&lasted.as_secs()), "30 s after its begin: {lasted:?}");
    tokio::time::resume();
    let mut answer = [0; 12];
    far.read_exact(&mut answer).await.expect("read");
    assert_eq!(&answer, b"HTTP/1.1 408");
    tokio::time::pause();

    let (mut far, mut stream, state) = pair().await;
    far.write_all(b"GET / HTTP/1.1").await.expect("written");
    read_what_was_sent(&mut stream).await;
    state.begin_request();
    tokio::time::timeout(Duration::from_hours(1), read(&mut stream)).await.expect_err("its answer is being made");
    state.end_request(false);
    stream.write_all(b"HTTP/1.1 200 OK").await.expect("written");
    let (n_read, lasted) = read(&mut stream).await;
    assert_eq!((n_read, lasted.as_secs(), state.reason()), (0, 75, Some(Cut::Idle)));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_nobody_reads_is_given_up_and_sooner_when_the_node_ends() {
    for (is_ending, patience) in [(false, 20), (true, 1)] {
        let (_far, mut stream, state) = pair().await;
        if is_ending {
            state.start_ending();
        }
        let start = Instant::now();
        let error = stream.write_all(&vec![b'x'; 64 << 20]).await.expect_err("nobody reads");
        assert_eq!((error.kind(), state.reason()), (ErrorKind::TimedOut, Some(Cut::AnswerNotRead)));
        assert_eq!(start.elapsed().as_secs(), patience);
    }
}

#[tokio::test]
async fn an_answer_is_not_given_up_while_somebody_reads() {
    let (mut far, mut stream, _) = pair().await;
    stream.patience = Patience::new(Duration::from_millis(500));
    let writing = async move {
        stream.write_all(&vec![b'x'; 16 << 20]).await.expect("read in time");
        drop(stream);
    };
    let reading = async move {
        let (start, mut buffer, mut n_all) = (Instant::now(), vec![0; 1 << 20], 0);
        loop {
            match far.read(&mut buffer).await.expect("read") {
                0 => return (n_all, start.elapsed()),
                n_read => n_all += n_read,
            }
            // Slower than the deadline as a whole.
            tokio::time::sleep(Duration::from_millis(60)).await;
        }
    };
    let ((), (n_all, lasted)) = tokio::join!(writing, reading);
    assert_eq!(n_all, 16 << 20);
    assert!(lasted > Duration::from_millis(500), "{lasted:?}");
}

#[tokio::test]
async fn a_refusal_of_the_librarys_gets_a_body() {
    let (mut far, mut stream, state) = pair().await;
    let bare = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    stream.write_all(bare).await.expect("written");
    drop(stream);
    assert!(state.take_rest().is_some(), "lingers");
    let mut answer = String::new();
    far.read_to_string(&mut answer).await.expect("read");
    assert!(answer.starts_with("HTTP/1.1 431 Request") && answer.ends_with("\r\n\r\n{}"), "{answer}");
    assert_eq!(state.reason(), Some(Cut::HeadTooLarge));
}
