//! One tenant's weight and the other's time, with and without it in one run, on a real file.

use std::net::TcpListener;
use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, SqliteConnection};
use hookswitch::runtime::Clock;
use hookswitch::store::StoreConfig;
use hookswitch::webhooks::{AddressPolicy, WebhookInput};
use hookswitch::{EventId, EventType, NewEvent, Payload, Switch, TenantId};
use hookswitch_testkit::{PATIENCE, Receiver, eventually};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// What a machine that does other things as well may add.
const NOISE: Duration = Duration::from_millis(50);

struct Stage {
    switch: Switch,
    directory: TempDir,
    /// Takes connections and never answers.
    silent: TcpListener,
}

impl Stage {
    async fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let policy = AddressPolicy::strict().allow_http().allow_cidrs("127.0.0.0/8").expect("a network");
        let store = StoreConfig::new(directory.path().join("hookswitch.db"));
        let switch = Switch::builder().sqlite(store).addresses(policy).start().await.expect("starts");
        Self { switch, directory, silent: TcpListener::bind("127.0.0.1:0").expect("a port") }
    }

    async fn webhooks(&self, of: &TenantId, url: &str, n: usize) {
        for number in 0..n {
            let input = WebhookInput {
                name: Some(format!("w{number}")),
                url: Some(url.to_owned()),
                events: Some(vec!["*".to_owned()]),
                ..WebhookInput::default()
            };
            self.switch.webhooks().create(of, input).await.expect("a legal webhook");
        }
    }

    /// So many webhooks of the tenant whose receiver never answers.
    async fn silent(&self, of: &TenantId, n: usize) {
        let addr = self.silent.local_addr().expect("bound");
        self.webhooks(of, &format!("http://{addr}/"), n).await;
    }

    /// How long the neighbour's events take from the call to the acceptance, at the median and at worst.
    async fn publish(&self, n: usize) -> (Duration, Duration) {
        let (clock, mut times) = (Clock::system(), Vec::with_capacity(n));
        for _ in 0..n {
            let event = NewEvent { id: Some(EventId::generate(clock.now())), ..event("{}") };
            let began = Instant::now();
            self.switch.switchboard().accept(&tenant("neighbour"), vec![event]).await.expect("accepted");
            times.push(began.elapsed());
        }
        figures(times)
    }

    /// The same while these tenants publish batches without a pause, of so many events each.
    async fn publish_beside(&self, n: usize, heavy: &[TenantId], n_events: usize) -> (Duration, Duration) {
        let metrics = self.switch.switchboard().metrics();
        let n_before = metrics.deliveries.get();
        let mut load = JoinSet::new();
        for of in heavy {
            let (switchboard, of) = (self.switch.switchboard().clone(), of.clone());
            load.spawn(async move {
                loop {
                    // Refused at times: it is theirs to wait.
                    let _answer = switchboard.accept(&of, vec![event("{}"); n_events]).await;
                }
            });
        }
        eventually("the load is there", PATIENCE, async || metrics.deliveries.get() > n_before + 500).await;
        self.publish(n).await
    }
}

fn figures(mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort_unstable();
    (times[times.len() / 2], times[times.len() - 1])
}

fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).expect("legal")
}

fn event(payload: &str) -> NewEvent {
    NewEvent::new(EventType::ALERT, Payload::parse(payload).expect("an object"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_for_three_hundred_webhooks_leave_a_neighbour_his_time() {
    let stage = Stage::new().await;
    stage.silent(&tenant("heavy"), 300).await;
    stage.silent(&tenant("neighbour"), 1).await;
    let (without, _) = stage.publish(40).await;
    let (with, worst) = stage.publish_beside(40, &[tenant("heavy")], 1_000).await;
    println!("{with:?}, alone {without:?}, at worst {worst:?}");
    assert!(with < without.mul_f64(1.5) + NOISE, "{with:?}, without the neighbour {without:?}");
    assert!(worst < Duration::from_secs(1), "{worst:?}");
    stage.switch.shut_down(Duration::from_millis(500)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_largest_batches_of_six_tenants_leave_a_neighbour_room_for_the_store() {
    let stage = Stage::new().await;
    let heavy: Vec<TenantId> = (0..6).map(|number| tenant(&format!("heavy-{number}"))).collect();
    for of in &heavy {
        stage.silent(of, 20).await;
    }
    stage.silent(&tenant("neighbour"), 1).await;
    let (without, _) = stage.publish(40).await;
    let (with, worst) = stage.publish_beside(40, &heavy, 1_000).await;
    println!("{with:?}, alone {without:?}, at worst {worst:?}");
    assert!(with < without.mul_f64(1.5) + NOISE, "{with:?}, without the neighbours {without:?}");
    assert!(worst < Duration::from_secs(1), "{worst:?}");
    stage.switch.shut_down(Duration::from_millis(500)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn expired_deliveries_do_not_delay_a_new_one() {
    let stage = Stage::new().await;
    let receiver = Receiver::healthy().await;
    stage.webhooks(&tenant("t"), &receiver.url("/"), 1).await;
    let arrivals = async |n: usize| {
        let mut times = Vec::with_capacity(n);
        for _ in 0..n {
            let (n_before, began) = (receiver.count(), Instant::now());
            stage.switch.switchboard().accept(&tenant("t"), vec![event("{}")]).await.expect("accepted");
            receiver.wait_for(n_before + 1).await;
            times.push(began.elapsed());
        }
        figures(times)
    };
    let (without, _) = arrivals(20).await;
    let path = stage.directory.path().join("hookswitch.db");
    let mut operator = SqliteConnection::establish(path.to_str().expect("UTF-8")).expect("opens");
    let late = "PRAGMA busy_timeout = 5000; BEGIN IMMEDIATE;
        INSERT INTO webhook_events (id, tenant_id, event_id, event_type, body, accepted_at)
        VALUES (1000000, 't', 'old', 'alert', '{}', 1);
        WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
        INSERT INTO webhook_deliveries (delivery_id, webhook_id, tenant_id, event_row, state, due_at, expires_at, created_at)
        SELECT 'late-' || i, 1, 't', 1000000, 'due', i, 5, i FROM n;
        COMMIT;";
    operator.batch_execute(late).expect("inserts");
    let (with, worst) = arrivals(20).await;
    println!("{with:?}, alone {without:?}, at worst {worst:?}");
    assert!(with < without.mul_f64(1.5) + NOISE, "{with:?}, without the expired ones {without:?}");
    assert!(worst < Duration::from_secs(1), "{worst:?}");
    assert!(receiver.map(|request| request.body.len()).iter().all(|n_bytes| *n_bytes > 2), "none of those was sent");
    stage.switch.shut_down(Duration::from_secs(5)).await;
}
