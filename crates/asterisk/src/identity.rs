//! Who is who: which channels are outside, and which phone is which agent's.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use regex::Regex;
use serde_json::Value;

/// The pattern that fits the channels and members of plain, `FreePBX` and Issabel PBXs whose phones are numbers.
pub const DEFAULT_AGENTS: &str = r"^(?:(?:PJSIP|SIP|IAX2|SCCP|Local)/|hint:)(\d+)(?:@.*)?$";
/// The contexts that calls from outside begin in, where nothing else is said.
pub const DEFAULT_OUTSIDE: &str = "from-trunk,from-pstn";

/// A setting of who is who that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The agents' pattern is no regular expression.
    #[error("the agents' pattern cannot be read: {0}")]
    Pattern(String),
    /// The agents' pattern has not one group.
    #[error("the agents' pattern must have one group, and has {0}")]
    Groups(usize),
}

/// Endpoints and interfaces with their users. Clones are the same table; what is put in holds for channels and members
/// that come from then on.
#[derive(Clone, Debug, Default)]
pub struct AgentTable(Arc<RwLock<HashMap<String, String>>>);

impl AgentTable {
    /// Puts other entries in the place of all.
    pub fn replace(&self, entries: HashMap<String, String>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = entries;
    }

    fn get(&self, endpoint: &str) -> Option<String> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(endpoint).cloned()
    }
}

/// Who is who at one PBX.
#[derive(Clone, Debug)]
pub struct Identity {
    agents: Regex,
    table: AgentTable,
    contexts: Vec<String>,
    endpoints: Vec<String>,
}

impl Identity {
    /// `agents`: a pattern with one group. `outside`: contexts and endpoint globs (those with a slash), between commas.
    pub fn new(agents: &str, outside: &str) -> Result<Self, IdentityError> {
        let agents = Regex::new(agents).map_err(|error| IdentityError::Pattern(error.to_string()))?;
        if agents.captures_len() != 2 {
            return Err(IdentityError::Groups(agents.captures_len() - 1));
        }
        let words = outside.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned);
        let (endpoints, contexts) = words.partition(|word| word.contains('/'));
        Ok(Self { agents, table: AgentTable::default(), contexts, endpoints })
    }

    /// Endpoints and interfaces whose user is named; the table goes before the pattern.
    pub fn table(&self) -> &AgentTable {
        &self.table
    }

    /// The user of an endpoint (a channel's name without its last part) or of a member's interface.
    pub fn agent(&self, endpoint: &str) -> Option<String> {
        if let Some(user) = self.table.get(endpoint) {
            return Some(user);
        }
        let found = self.agents.captures(endpoint)?;
        found.get(1).map(|group| group.as_str().to_owned())
    }

    pub(crate) fn is_outside(&self, endpoint: &str, context: &str) -> bool {
        self.contexts.iter().any(|known| known == context) || self.endpoints.iter().any(|glob| fits(glob, endpoint))
    }
}

impl Default for Identity {
    fn default() -> Self {
        Self::new(DEFAULT_AGENTS, DEFAULT_OUTSIDE).expect("the pattern above has one group")
    }
}

/// An id as the contract wants it: a number where it is a whole one.
pub(crate) fn id(text: &str) -> Value {
    match text.parse::<i64>() {
        Ok(number) if number.to_string() == text => Value::from(number),
        _ => Value::from(text),
    }
}

/// A channel's name without what tells it from others of the same endpoint.
pub(crate) fn endpoint(channel: &str) -> &str {
    channel.rsplit_once('-').map_or(channel, |(endpoint, _)| endpoint)
}

/// Whether a glob of `*` and `?` fits a whole text. Time is bounded by the product of both lengths.
fn fits(glob: &str, text: &str) -> bool {
    let (glob, text) = (glob.as_bytes(), text.as_bytes());
    let (mut at, mut place, mut star) = (0, 0, None);
    while place < text.len() {
        match glob.get(at) {
            Some(b'*') => {
                star = Some((at, place));
                at += 1;
            }
            Some(&letter) if letter == b'?' || letter == text[place] => {
                at += 1;
                place += 1;
            }
            _ => match star {
                Some((from, reached)) => {
                    star = Some((from, reached + 1));
                    at = from + 1;
                    place = reached + 1;
                }
                None => return false,
            },
        }
    }
    glob[at..].iter().all(|&letter| letter == b'*')
}
