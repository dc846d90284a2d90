//! Names as this machine's files say: `/etc/hosts`, then the name servers of `/etc/resolv.conf`, asked without a thread.
//!
//! What `nsswitch.conf` names besides (multicast DNS, LDAP, the machine's own name by `myhostname`) is not asked: see
//! `docs/decisions/0020-names-looked-up-without-threads.md`.

use std::fmt;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, select};
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{Name, Record, RecordType};
use hickory_resolver::{Hosts, TokioResolver};
use tokio::time::{Instant, timeout};

use crate::known_names::{Answer, LookUpError, MOST_ADDRESSES};

const FILES: [&str; 2] = ["/etc/hosts", "/etc/resolv.conf"];

/// How long a change of these files may go unnoticed.
const FILES_INTERVAL: Duration = Duration::from_secs(1);

/// How long addresses of one family wait for those of the other (RFC 8305, section 3, which takes less); some name
/// servers never answer a question for IPv6.
const OTHER_FAMILY: Duration = Duration::from_millis(250);

/// How long an entry of `/etc/hosts` is good for; the file is watched.
const FILE_TTL: Duration = Duration::from_hours(1);

/// The bounds of how long a name server is waited for at once, whatever `resolv.conf` says.
const TRY: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];

/// The name servers of this machine, or those that the operator names.
#[derive(Default)]
pub(crate) struct SystemResolver {
    /// Asked instead of those of `/etc/resolv.conf`, where there are any.
    servers: Vec<SocketAddr>,
    loaded: Mutex<Option<Loaded>>,
}

#[derive(Clone)]
struct Loaded {
    hosts: Arc<Hosts>,
    servers: Arc<NameServers>,
    changed: [Option<SystemTime>; 2],
    looked_at: Instant,
}

struct NameServers {
    /// All of them together, of which the first word counts, and then, if there are several, each by itself: one that
    /// has failed says so faster than the others find an answer.
    resolvers: Vec<TokioResolver>,
    ndots: usize,
    search: Vec<Name>,
}

impl SystemResolver {
    /// Asks these name servers, or those of the machine if there are none.
    pub(crate) fn asking(servers: Vec<SocketAddr>) -> Self {
        Self { servers, ..Self::default() }
    }

    /// Whether the files have changed, which is told once.
    pub(crate) fn is_renewed(&self) -> bool {
        let mut loaded = self.loaded();
        let Some(before) = loaded.as_mut().filter(|loaded| loaded.looked_at.elapsed() >= FILES_INTERVAL) else {
            return false;
        };
        before.looked_at = Instant::now();
        let is_renewed = before.changed != times_of_change();
        if is_renewed {
            *loaded = None;
        }
        is_renewed
    }

    /// The addresses of the name.
    pub(crate) async fn resolve(&self, name: &str) -> Result<Answer, LookUpError> {
        let Loaded { hosts, servers, .. } = self.load()?;
        let absolute = Name::from_str_relaxed(name).map_err(|_| LookUpError::NoAddress)?;
        if let Some(answer) = of_this_machine(&hosts, name, &absolute) {
            return Ok(answer);
        }
        let mut failure = LookUpError::NoAddress;
        for candidate in servers.candidates(absolute) {
            match servers.both_families(candidate).await {
                Err(LookUpError::NoAddress) => {}
                Err(other) => failure = other,
                found => return found,
            }
        }
        Err(failure)
    }

    fn load(&self) -> Result<Loaded, LookUpError> {
        let mut loaded = self.loaded();
        if loaded.is_none() {
            let changed = times_of_change();
            let hosts = Arc::new(Hosts::from_system().unwrap_or_default());
            let servers = Arc::new(NameServers::of(&self.servers).ok_or(LookUpError::Failed { is_ours: true })?);
            *loaded = Some(Loaded { hosts, servers, changed, looked_at: Instant::now() });
        }
        loaded.clone().ok_or(LookUpError::Failed { is_ours: true })
    }

    fn loaded(&self) -> MutexGuard<'_, Option<Loaded>> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl NameServers {
    fn of(chosen: &[SocketAddr]) -> Option<Self> {
        let (config, options) = if chosen.is_empty() { of_the_system() } else { of_the_operator(chosen) };
        let (search, ndots) = (config.search().to_vec(), options.ndots);
        let all = config.name_servers().to_vec();
        let alone = if all.len() > 1 { all.iter().map(|server| vec![server.clone()]).collect() } else { Vec::new() };
        let groups = std::iter::once(all).chain(alone);
        let resolvers = groups.map(|servers| resolver(servers, options.clone())).collect::<Option<_>>()?;
        Some(Self { resolvers, ndots, search })
    }

    /// What a name may stand for, in the order of `resolv.conf(5)`.
    fn candidates(&self, name: Name) -> Vec<Name> {
        if name.is_fqdn() {
            return vec![name];
        }
        let searched = self.search.iter().filter_map(|domain| name.clone().append_domain(domain).ok());
        let mut candidates: Vec<Name> = searched.collect();
        let is_complete = usize::from(name.num_labels()) > self.ndots;
        let mut itself = name;
        itself.set_fqdn(true);
        let at = if is_complete { 0 } else { candidates.len() };
        candidates.insert(at, itself);
        candidates
    }

    /// Both families together belong to one candidate, so that no name is made up of two.
    async fn both_families(&self, name: Name) -> Result<Answer, LookUpError> {
        let (v6, v4) = (self.ask(name.clone(), RecordType::AAAA), self.ask(name, RecordType::A));
        let (first, other) = select(v6, v4).await.factor_first();
        let second = if first.is_ok() { timeout(OTHER_FAMILY, other).await.ok() } else { Some(other.await) };
        match (first, second) {
            (Ok(one), Some(Ok(other))) => Ok(joined(&one, &other)),
            (Ok(found), _) | (Err(_), Some(Ok(found))) => Ok(found),
            // Nothing of one family and silence about the other is no word that there is nothing.
            (Err(LookUpError::NoAddress), Some(Err(other))) => Err(other),
            (Err(failure), _) => Err(failure),
        }
    }

    fn ask(&self, name: Name, family: RecordType) -> BoxFuture<'_, Result<Answer, LookUpError>> {
        async move {
            let mut failure = LookUpError::NoAddress;
            for resolver in &self.resolvers {
                match resolver.lookup(name.clone(), family).await {
                    Ok(found) => return answer_of(found.answers()).ok_or(LookUpError::NoAddress),
                    Err(error) => failure = failure_of(&error),
                }
                if failure == LookUpError::NoAddress {
                    break;
                }
            }
            Err(failure)
        }
        .boxed()
    }
}

fn resolver(servers: Vec<NameServerConfig>, options: ResolverOpts) -> Option<TokioResolver> {
    let config = ResolverConfig::from_name_servers(servers);
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    *builder.options_mut() = options;
    let options = builder.options_mut();
    options.timeout = options.timeout.clamp(TRY[0], TRY[1]);
    // What is remembered is remembered by us, with its bound and without a permit to look at it.
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    options.max_active_requests = 1_024;
    builder.build().ok()
}

fn failure_of(error: &NetError) -> LookUpError {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(_)) => LookUpError::NoAddress,
        _ => LookUpError::Failed { is_ours: true },
    }
}

/// Without a readable `/etc/resolv.conf` this machine's own name server is asked, as the C library does.
fn of_the_system() -> (ResolverConfig, ResolverOpts) {
    let own = || of_the_operator(&[SocketAddr::from((Ipv4Addr::LOCALHOST, 53))]);
    hickory_resolver::system_conf::read_system_conf().unwrap_or_else(|_| own())
}

fn of_the_operator(chosen: &[SocketAddr]) -> (ResolverConfig, ResolverOpts) {
    let server = |address: &SocketAddr| {
        let mut ways = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
        for way in &mut ways {
            way.port = address.port();
        }
        NameServerConfig::new(address.ip(), true, ways.into())
    };
    (ResolverConfig::from_name_servers(chosen.iter().map(server).collect()), ResolverOpts::default())
}

/// What needs no name server: an entry of `/etc/hosts`, and `localhost` in any case (RFC 6761, section 6.3).
fn of_this_machine(hosts: &Hosts, name: &str, absolute: &Name) -> Option<Answer> {
    let until = Instant::now() + FILE_TTL;
    let entries = [RecordType::AAAA, RecordType::A].map(|family| {
        let found = hosts.lookup_static_host(&Query::query(absolute.clone(), family));
        found.and_then(|found| answer_of(found.answers()))
    });
    match entries {
        [Some(v6), Some(v4)] => return Some(Answer { until, ..joined(&v6, &v4) }),
        [Some(found), None] | [None, Some(found)] => return Some(Answer { until, ..found }),
        [None, None] => {}
    }
    let name = name.trim_end_matches('.');
    let is_local = name == "localhost" || name.ends_with(".localhost");
    let addresses = || Arc::new([IpAddr::from(Ipv6Addr::LOCALHOST), IpAddr::from(Ipv4Addr::LOCALHOST)]);
    is_local.then(|| Answer { addresses: addresses(), until })
}

/// The addresses among these records, which are good for as long as all records are.
fn answer_of(records: &[Record]) -> Option<Answer> {
    let addresses = records.iter().filter_map(|record| record.data.ip_addr()).take(MOST_ADDRESSES);
    let addresses: Arc<[IpAddr]> = addresses.collect();
    let secs = records.iter().map(|record| record.ttl).min().unwrap_or_default();
    let until = Instant::now() + Duration::from_secs(u64::from(secs)).min(FILE_TTL);
    (!addresses.is_empty()).then_some(Answer { addresses, until })
}

fn joined(one: &Answer, other: &Answer) -> Answer {
    let addresses = one.addresses.iter().chain(&*other.addresses).copied().take(MOST_ADDRESSES).collect();
    Answer { addresses, until: one.until.min(other.until) }
}

/// When the files were last changed; a file that is not there never was.
fn times_of_change() -> [Option<SystemTime>; 2] {
    FILES.map(|file| fs::metadata(file).and_then(|file| file.modified()).ok())
}

impl PartialEq for SystemResolver {
    fn eq(&self, other: &Self) -> bool {
        self.servers == other.servers
    }
}

impl fmt::Debug for SystemResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.servers {
            [] => f.write_str("the operating system's name servers"),
            servers => write!(f, "{servers:?}"),
        }
    }
}

#[cfg(test)]
#[path = "system_resolver_tests.rs"]
mod tests;
