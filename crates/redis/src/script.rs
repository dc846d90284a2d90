//! Lua scripts, kept as files, run by their digest.

use fred::clients::{Client, WithOptions};
use fred::error::Error;
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
        let ran = self.call(link, "EVALSHA", &self.digest, keys, args.clone()).await;
        let ran = match ran {
            Err(error) if error.details().starts_with("NOSCRIPT") => {
                self.call(link, "EVAL", self.text, keys, args).await
            }
            ran => ran,
        };
        ran.and_then(Value::convert).map_err(|source| link.failed(operation, &keys.join(" "), source))
    }

    /// The same over a client of the caller's choice; its failure is told to nobody else.
    pub(crate) async fn run_at<C: ClientLike>(
        &self,
        client: &C,
        keys: &[String],
        args: Vec<Value>,
    ) -> Result<Value, Error> {
        let slot = keys.first().map_or(0, |key| redis_keyslot(key.as_bytes()));
        // Of a custom command the client takes a slot, but no other advice: it would go by the digest.
        let send = |name, script: &str| {
            let command = CustomCommand::new_static(name, ClusterHash::Custom(slot), false);
            client.custom(command, arguments(script, keys, args.clone()))
        };
        match send("EVALSHA", &self.digest).await {
            Err(error) if error.details().starts_with("NOSCRIPT") => send("EVAL", self.text).await,
            ran => ran,
        }
    }

    async fn call(
        &self,
        link: &Link,
        name: &'static str,
        script: &str,
        keys: &[String],
        args: Vec<Value>,
    ) -> Result<Value, Error> {
        let slot = keys.first().map_or(0, |key| redis_keyslot(key.as_bytes()));
        let all = arguments(script, keys, args);
        let send = |client: WithOptions<Client>| {
            let (command, all) = (CustomCommand::new_static(name, None, false), all.clone());
            async move { client.custom(command, all).await }
        };
        link.at_slot(slot, send).await
    }
}

/// What a call of a script is told.
fn arguments(script: &str, keys: &[String], args: Vec<Value>) -> Vec<Value> {
    let mut all: Vec<Value> = Vec::with_capacity(2 + keys.len() + args.len());
    all.push(script.into());
    all.push((keys.len() as i64).into());
    all.extend(keys.iter().map(|key| key.as_str().into()));
    all.extend(args);
    all
}
