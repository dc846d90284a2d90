//! `[server]`, `[websocket]`, `[webhooks]` and `[log]`: where to listen, whom to let in, what to say.

use std::net::Ipv4Addr;
use std::num::NonZeroUsize;

use hookswitch::gateway::AllowedOrigins;
use hookswitch::webhooks::AddressPolicy;

use super::super::settings::{self, Setting};
use super::super::{Log, LogFormat, Server, WebSocket, Webhooks, values};
use super::Checker;

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
        Server {
            host: address,
            port: self.number(&settings::SERVER_PORT) as u16,
            port_hint: "SERVER_PORT",
            shutdown_deadline: self.duration(&settings::SHUTDOWN_TIMEOUT),
            tenant_rate_limit: self.rate(&settings::SERVER_TENANT_RATE_LIMIT),
        }
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
        WebSocket {
            ping_interval,
            pong_timeout,
            threads: NonZeroUsize::new(self.number(&settings::WS_THREADS) as usize),
            sessions_per_tenant: self.number(&settings::WS_SESSIONS_PER_TENANT) as usize,
            read_buffer_bytes: self.number(&settings::WS_READ_BUFFER_SIZE) as usize,
            origins: self.origins(&settings::WS_ALLOWED_ORIGINS),
            public_origins: self.origins(&settings::WS_PUBLIC_ALLOWED_ORIGINS),
        }
    }

    fn origins(&mut self, setting: &Setting) -> AllowedOrigins {
        let entry = |text: &str| AllowedOrigins::parse(text).map(|_| text.to_owned()).map_err(|e| e.to_string());
        let entries = self.list(setting, entry, "write scheme, host and port only, separated by commas, or *");
        AllowedOrigins::parse(&entries.join(",")).unwrap_or(AllowedOrigins::SameHost)
    }

    pub(super) fn webhooks(&mut self) -> Webhooks {
        let policy = AddressPolicy::strict();
        let entry = |text: &str| policy.clone().allow_cidrs(text).map(|_| text.to_owned()).map_err(|e| e.to_string());
        let cidrs = self.list(&settings::WEBHOOK_ALLOW_CIDRS, entry, "separate them by commas").join(",");
        let policy = if self.boolean(&settings::WEBHOOK_ALLOW_HTTP) { policy.allow_http() } else { policy };
        let policy = policy.clone().allow_cidrs(&cidrs).unwrap_or(policy);
        let policy = self.webhook_proxy(policy);
        Webhooks {
            addresses: self.webhook_authorities(policy),
            concurrency: self.number(&settings::WEBHOOK_CONCURRENCY) as usize,
            deliveries: self.deliveries(),
        }
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
        if let Err(error) = tracing_subscriber::EnvFilter::builder().parse(&filter) {
            let wrong = format!("{filter:?} is no filter: {error}");
            self.refuse(&settings::HOOKSWITCH_LOG, &wrong, "write e.g. info or info,hookswitch_hub=debug");
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
