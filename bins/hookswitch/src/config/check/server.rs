//! `[server]`, `[websocket]`, `[webhooks]` and `[log]`: where to listen, whom to let in, what to say.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::num::NonZeroUsize;
use std::time::Duration;

use hookswitch::gateway::AllowedOrigins;
use hookswitch::hub::{ConnectionCaps, EventClasses, HistoryLimits};
use hookswitch::protocol::{EventType, SubscriptionName, TenantId};
use hookswitch::webhooks::AddressPolicy;

use super::super::settings::{self, Setting};
use super::super::{Log, LogFormat, Server, WebSocket, Webhooks, values};
use super::{Checker, log_filter};

/// An event type, or a pattern of some, which no upper case matches.
fn type_name(text: &str) -> Result<SubscriptionName, String> {
    let beginning = text.strip_suffix(".*").unwrap_or(text);
    if text != "*" {
        EventType::parse(beginning).map_err(|invalid| invalid.problem)?;
    }
    SubscriptionName::parse(text).map_err(|invalid| invalid.problem)
}

/// The shortest end of a node of several.
const LEAST_DEADLINE: Duration = Duration::from_secs(2);

impl Checker<'_> {
    pub(super) fn server(&mut self) -> Server {
        let host = self.text(&settings::SERVER_HOST);
        let address = values::address(&host).unwrap_or_else(|| {
            self.refuse(
                &settings::SERVER_HOST,
                &format!("{host:?} is not an IP address"),
                "write 0.0.0.0, 127.0.0.1 or ::",
            );
            Ipv4Addr::LOCALHOST.into()
        });
        let port = self.number(&settings::SERVER_PORT) as u16;
        self.try_address(address, port);
        let max_connections = self.number(&settings::SERVER_MAX_CONNECTIONS) as usize;
        let (shutdown_deadline, drain_window) = self.end();
        Server {
            host: address,
            port,
            idle_timeout: self.duration(&settings::SERVER_IDLE_TIMEOUT),
            header_bytes: self.number(&settings::SERVER_HEADER_BYTES) as usize,
            max_connections,
            connection_caps: self.connection_caps(max_connections),
            port_hint: "SERVER_PORT",
            shutdown_deadline,
            drain_window,
            admin_tenant: self.admin_tenant(),
            console: self.boolean(&settings::CONSOLE),
            tenant_rate_limit: self.rate(&settings::SERVER_TENANT_RATE_LIMIT),
        }
    }

    /// How long the end may take, and over how long it is spread before that.
    fn end(&mut self) -> (Duration, Duration) {
        let (deadline, window) = (self.duration(&settings::SHUTDOWN_TIMEOUT), self.duration(&settings::DRAIN_WINDOW));
        if !self.has_other_nodes() {
            let is_chosen = self.raw.get(&settings::DRAIN_WINDOW).is_some();
            if is_chosen && !window.is_zero() {
                self.warnings.push(format!(
                    "{} is for a node of several: until it has ended, its clients find no other node",
                    self.raw.place(&settings::DRAIN_WINDOW)
                ));
            }
            return (deadline, if is_chosen { window } else { Duration::ZERO });
        }
        if deadline < LEAST_DEADLINE {
            let wrong = "is too short for a node of several: it listens for others' last events for a second of it";
            self.refuse(&settings::SHUTDOWN_TIMEOUT, wrong, "write 2s or more; the default is 5s");
        }
        (deadline, window)
    }

    /// A file that cannot be read may name them.
    fn has_other_nodes(&self) -> bool {
        let is_given = |setting| self.raw.get(setting).is_some();
        is_given(&settings::REDIS_URL) || is_given(&settings::REDIS_HOST)
    }

    fn admin_tenant(&mut self) -> Option<TenantId> {
        let given = self.raw.get(&settings::SERVER_ADMIN_TENANT)?;
        match TenantId::parse(&given.text) {
            Ok(tenant) => Some(tenant),
            Err(invalid) => {
                let wrong = format!("{:?} is no tenant: it {}", given.text, invalid.problem);
                let remedy = "write its id as it stands in the operator's tokens";
                self.refuse(&settings::SERVER_ADMIN_TENANT, &wrong, remedy);
                None
            }
        }
    }

    /// Whether this machine has the address and this user may have the port. Tried with UDP, which disturbs nobody
    /// who listens there, such as the server that is about to be restarted.
    fn try_address(&mut self, address: IpAddr, port: u16) {
        let Err(error) = UdpSocket::bind((address, port)) else { return };
        match error.kind() {
            ErrorKind::PermissionDenied => {
                let remedy = "choose one from 1024 on, or give the right to it (CAP_NET_BIND_SERVICE)";
                self.refuse(&settings::SERVER_PORT, &format!("{port} is not for this user to listen on"), remedy);
            }
            ErrorKind::AddrNotAvailable | ErrorKind::Unsupported => {
                let remedy = "write one that it has, 0.0.0.0 for every IPv4 interface or :: for every interface";
                let wrong = format!("{address} is no address of this machine: {error}");
                self.refuse(&settings::SERVER_HOST, &wrong, remedy);
            }
            // Another program's; whether the port is free is seen at the start.
            _ => {}
        }
    }

    fn connection_caps(&mut self, max_connections: usize) -> ConnectionCaps {
        let [per_tenant, per_user, per_session] = [
            &settings::WS_CONNECTIONS_PER_TENANT,
            &settings::WS_CONNECTIONS_PER_USER,
            &settings::WS_CONNECTIONS_PER_SESSION,
        ]
        .map(|setting| {
            let cap = self.number(setting) as usize;
            if self.raw.get(setting).is_some() && cap > max_connections {
                let place = self.raw.place(setting);
                self.warnings
                    .push(format!("{place} has no effect: it is above {}", settings::SERVER_MAX_CONNECTIONS.env));
            }
            cap
        });
        let per_tenant = if per_tenant == 0 { max_connections.div_ceil(2) } else { per_tenant };
        ConnectionCaps { per_tenant, per_user, per_session }
    }

    pub(super) fn websocket(&mut self) -> WebSocket {
        let ping_interval = self.duration(&settings::WS_PING_INTERVAL);
        let pong_timeout = self.duration(&settings::WS_PONG_TIMEOUT);
        if pong_timeout <= ping_interval {
            let remedy = "raise WS_PONG_TIMEOUT or lower WS_PING_INTERVAL, or every quiet client is closed";
            self.refuse(&settings::WS_PONG_TIMEOUT, "is not above WS_PING_INTERVAL", remedy);
        }
        // Checked and otherwise without effect, see the setting's doc.
        self.number(&settings::WS_WRITE_BUFFER_SIZE);
        let compression_from = self.number(&settings::WS_COMPRESSION_FROM) as usize;
        WebSocket {
            ping_interval,
            pong_timeout,
            threads: NonZeroUsize::new(self.number(&settings::WS_THREADS) as usize),
            sessions_per_tenant: self.number(&settings::WS_SESSIONS_PER_TENANT) as usize,
            balance_rate: self.number(&settings::WS_BALANCE_RATE) as u32,
            read_buffer_bytes: self.number(&settings::WS_READ_BUFFER_SIZE) as usize,
            compression_from: self.boolean(&settings::WS_COMPRESSION).then_some(compression_from),
            origins: self.origins(&settings::WS_ALLOWED_ORIGINS),
            public_origins: self.origins(&settings::WS_PUBLIC_ALLOWED_ORIGINS),
        }
    }

    pub(super) fn history(&mut self) -> HistoryLimits {
        let (bytes, total_bytes) =
            (self.number(&settings::HISTORY_BYTES) as usize, self.number(&settings::HISTORY_TOTAL_BYTES) as usize);
        if bytes > total_bytes {
            let remedy = "lower HISTORY_BYTES or raise HISTORY_TOTAL_BYTES: one tenant's history is part of all";
            self.refuse(&settings::HISTORY_BYTES, "is above HISTORY_TOTAL_BYTES", remedy);
        }
        HistoryLimits {
            events: self.number(&settings::HISTORY_EVENTS) as usize,
            bytes,
            age: self.duration(&settings::HISTORY_AGE),
            total_bytes,
        }
    }

    pub(super) fn event_classes(&mut self) -> EventClasses {
        let urgent = self.type_names(&settings::HISTORY_URGENT, &[]);
        let latest = self.type_names(&settings::HISTORY_LATEST, &urgent);
        EventClasses { urgent, latest }
    }

    /// Event types and patterns, each once; none of them among those that are `urgent`, which is looked at first.
    fn type_names(&mut self, setting: &Setting, urgent: &[SubscriptionName]) -> Vec<SubscriptionName> {
        let text = self.text(setting);
        let mut names: Vec<SubscriptionName> = Vec::new();
        for entry in text.split(',').map(str::trim).filter(|_| !text.trim().is_empty()) {
            let wrong = match type_name(entry) {
                Err(problem) => format!("{entry:?} is no event type: it {problem}"),
                Ok(name) if names.contains(&name) => format!("{entry:?} stands there twice"),
                Ok(name) if urgent.contains(&name) => {
                    format!("{entry:?} has no effect: it is in {} already", settings::HISTORY_URGENT.env)
                }
                Ok(name) => {
                    names.push(name);
                    continue;
                }
            };
            self.refuse(setting, &wrong, "write event types such as alert, or patterns such as call.*, each once");
        }
        names
    }

    fn origins(&mut self, setting: &Setting) -> AllowedOrigins {
        let entry = |text: &str| AllowedOrigins::parse(text).map(|_| text.to_owned()).map_err(|e| e.to_string());
        let remedy = "write scheme, host and port only, separated by commas, https://*.example.com, or *";
        let entries = self.list(setting, entry, remedy);
        AllowedOrigins::parse(&entries.join(",")).unwrap_or(AllowedOrigins::SameHost)
    }

    pub(super) fn webhooks(&mut self) -> Webhooks {
        let policy = AddressPolicy::strict();
        let entry = |text: &str| {
            let allowed = policy.clone().allow_cidrs(text).map_err(|error| error.to_string())?;
            // Addresses are judged in their shortest form, which a range of the other form does not hold.
            let first = text.split('/').next().and_then(|address| address.trim().parse::<IpAddr>().ok());
            match first.filter(|first| first.to_canonical() != *first || !allowed.allows(*first)) {
                None => Ok(text.to_owned()),
                Some(_) => Err(format!("{text:?} holds no address that is ever asked for; write it as an IPv4 range")),
            }
        };
        let cidrs = self.list(&settings::WEBHOOK_ALLOW_CIDRS, entry, "separate them by commas").join(",");
        let policy = if self.boolean(&settings::WEBHOOK_ALLOW_HTTP) { policy.allow_http() } else { policy };
        let policy = policy.clone().allow_cidrs(&cidrs).unwrap_or(policy);
        let policy = self.webhook_name_servers(policy);
        let policy = self.webhook_proxy(policy);
        Webhooks {
            addresses: self.webhook_authorities(policy),
            concurrency: self.number(&settings::WEBHOOK_CONCURRENCY) as usize,
            deliveries: self.deliveries(),
        }
    }

    fn webhook_name_servers(&mut self, policy: AddressPolicy) -> AddressPolicy {
        let entry = |text: &str| {
            policy.clone().ask_name_servers(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
        };
        let servers = self.list(&settings::WEBHOOK_DNS_SERVERS, entry, "separate them by commas").join(",");
        policy.clone().ask_name_servers(&servers).unwrap_or(policy)
    }

    fn webhook_proxy(&mut self, policy: AddressPolicy) -> AddressPolicy {
        let Some(url) = self.raw.get(&settings::WEBHOOK_PROXY) else { return policy };
        match policy.clone().via_proxy(&url.text) {
            Ok(policy) => policy,
            Err(error) => {
                self.refuse(&settings::WEBHOOK_PROXY, &error.to_string(), "or unset it to send directly");
                policy
            }
        }
    }

    fn webhook_authorities(&mut self, policy: AddressPolicy) -> AddressPolicy {
        let Some(file) = self.raw.get(&settings::WEBHOOK_CA_FILE) else { return policy };
        let pem = std::fs::read(&file.text).map_err(|error| error.to_string());
        match pem.and_then(|pem| policy.clone().trust_authorities(&pem).map_err(|error| error.to_string())) {
            Ok(policy) => policy,
            Err(reason) => {
                let wrong = format!("{:?} holds no authorities: {reason}", file.text);
                let remedy = "name a readable PEM file with certificates (-----BEGIN CERTIFICATE-----)";
                self.refuse(&settings::WEBHOOK_CA_FILE, &wrong, remedy);
                policy
            }
        }
    }

    pub(super) fn log(&mut self) -> Log {
        let filter = self.text(&settings::HOOKSWITCH_LOG);
        if let Some(wrong) = log_filter::wrong(&filter) {
            let remedy = "write error, warn, info, debug, trace or off, or e.g. info,hookswitch_hub=debug";
            self.refuse(&settings::HOOKSWITCH_LOG, &wrong, remedy);
        }
        let format = self.text(&settings::HOOKSWITCH_LOG_FORMAT);
        let format = match format.as_str() {
            "text" => LogFormat::Text,
            "json" => LogFormat::Json,
            other => {
                self.refuse(&settings::HOOKSWITCH_LOG_FORMAT, &format!("{other:?} is no format"), "write text or json");
                LogFormat::Text
            }
        };
        Log { filter, format }
    }
}
