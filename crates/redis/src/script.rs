//! Lua scripts, kept as files, run by their digest.

use fred::interfaces::ClientLike;
use fred::types::scripts::Script as LuaScript;
use fred::types::{ClusterHash, CustomCommand, FromValue, Value};
use fred::util::redis_keyslot;

use crate::link::{Link, LinkError};

/// One script. Every key it touches is in one slot.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    text: &'static str,
    digest: String,
}

impl Script {
    /// A script by its text, which `include_str!` brings in.
    pub(crate) fn new(text: &'static str) -> Self {
        Self { text, digest: LuaScript::from_lua(text).sha1().to_string() }
    }

    /// Runs it, by its text where the server does not know it yet. A call that timed out may still
    /// be carried out later.
    pub(crate) async fn run<R: FromValue>(
        &self,
        link: &Link,
        operation: &'static str,
        keys: &[String],
        args: Vec<Value>,
    ) -> Result<R, LinkError> {
        let ran = self.run_at(&link.client(), keys, args).await;
        ran.and_then(Value::convert).map_err(|source| link.failed(operation, &keys.join(" "), source))
    }

    /// The same over a client of the caller's choice; its failure is told to nobody else.
    pub(crate) async fn run_at<C: ClientLike>(
        &self,
        client: &C,
        keys: &[String],
        args: Vec<Value>,
    ) -> Result<Value, fred::error::Error> {
        match call(client, "EVALSHA", &self.digest, keys, args.clone()).await {
            Err(error) if error.details().starts_with("NOSCRIPT") => call(client, "EVAL", self.text, keys, args).await,
            ran => ran,
        }
    }
}

async fn call<C: ClientLike>(
    client: &C,
    name: &'static str,
    script: &str,
    keys: &[String],
    args: Vec<Value>,
) -> Result<Value, fred::error::Error> {
    // Of a custom command the client takes a slot, but no other advice: it would go by the digest.
    let slot = keys.first().map_or(0, |key| redis_keyslot(key.as_bytes()));
    let command = CustomCommand::new_static(name, ClusterHash::Custom(slot), false);
    let mut all: Vec<Value> = Vec::with_capacity(2 + keys.len() + args.len());
    all.push(script.into());
    all.push((keys.len() as i64).into());
    all.extend(keys.iter().map(|key| key.as_str().into()));
    all.extend(args);
    client.custom(command, all).await
}
