//! One connection, from its first byte to a login with everything asked for.

use super::{
    ClientError, ClientSettings, Login, PbxFacts, md5,
    wire::{Wire, action, within},
};
use crate::message::Message;

/// The classes of events that are needed: channels and bridges, queues, the PBX itself, and variables for the one
/// that says why a queue gave up.
const CLASSES: &str = "system,call,agent,dialplan";

/// What is needed, as the PBX's filter has it: an event by its name, or the one variable.
const NEEDED: &str = "^Event: (Newchannel|Newstate|Rename|Hangup|LocalBridge|DialBegin|DialState|DialEnd|BridgeCreate\
|BridgeEnter|BridgeLeave|BridgeDestroy|Hold|Unhold|BlindTransfer|AttendedTransfer|ParkedCall|UnParkedCall|Pickup\
|Queue|Agent|Confbridge|DeviceStateChange|FullyBooted|Shutdown)";
const ONE_VARIABLE: &str = "Variable: QUEUESTATUS";

/// Unasked events that came before the PBX's name was known: at most this many bytes.
const STASH: usize = 8 * 1024 * 1024;

/// A connection that is logged in.
pub(crate) struct ManagerConnection {
    pub(crate) wire: Wire,
    pub(crate) facts: PbxFacts,
    /// Unasked events that came meanwhile.
    pub(crate) stash: Vec<Vec<u8>>,
    /// What the `ActionIDs` of this connection begin with: nobody else can know it.
    pub(crate) nonce: String,
}

impl ManagerConnection {
    pub(crate) async fn open(settings: &ClientSettings) -> Result<Self, ClientError> {
        let wire = Wire::connect(settings).await?;
        let nonce = format!("hsw-{:016x}-", rand::random::<u64>());
        let mut manager = Self { wire, facts: PbxFacts::default(), stash: Vec::new(), nonce };
        within("the login", settings.deadline, manager.log_in(settings)).await?;
        within("the first answers", settings.deadline, manager.set_up(settings)).await?;
        Ok(manager)
    }

    async fn log_in(&mut self, settings: &ClientSettings) -> Result<(), ClientError> {
        let challenge = match settings.login {
            Login::Plain => None,
            Login::Challenge => {
                let answer = self.ask("challenge", &[("Action", "Challenge"), ("AuthType", "MD5")]).await?;
                let refused = || ClientError::Refused(answer.get("Message").unwrap_or_default());
                // Never the secret itself instead: whoever is in between could ask for it so.
                Some(answer.get("Challenge").ok_or_else(refused)?)
            }
        };
        let mut login = vec![("Action", "Login"), ("Username", &*settings.user), ("Events", CLASSES)];
        let key;
        if let Some(challenge) = challenge {
            key = md5::hex(format!("{challenge}{}", settings.secret).as_bytes());
            login.extend([("AuthType", "MD5"), ("Key", &*key)]);
        } else {
            login.push(("Secret", &settings.secret));
        }
        let answer = self.ask("login", &login).await?;
        if !answer.success {
            return Err(ClientError::Refused(answer.get("Message").unwrap_or_default()));
        }
        self.wire.reader.banner().unwrap_or_default().clone_into(&mut self.facts.banner);
        Ok(())
    }

    /// What the PBX is called, and what it may leave out.
    async fn set_up(&mut self, settings: &ClientSettings) -> Result<(), ClientError> {
        let core = self.ask("core", &[("Action", "CoreSettings")]).await?;
        self.facts.version = core.get("AsteriskVersion").unwrap_or_default();
        self.facts.system_name = core.get("SystemName").unwrap_or_default();
        let own = Some(self.facts.system_name.clone()).filter(|name| !name.is_empty());
        self.facts.name = settings.name.clone().or(own).unwrap_or_else(|| settings.address.clone());
        self.facts.filtered = true;
        for filter in [NEEDED, ONE_VARIABLE] {
            let asked = [("Action", "Filter"), ("Operation", "Add"), ("Filter", filter)];
            self.facts.filtered &= self.ask("filter", &asked).await?.success;
        }
        Ok(())
    }

    /// One action and its answer; events that come between are kept for later.
    async fn ask(&mut self, what: &str, headers: &[(&str, &str)]) -> Result<Answer, ClientError> {
        let id = format!("{}{what}", self.nonce);
        let mut asked = headers.to_vec();
        asked.push(("ActionID", &id));
        self.wire.send(&action(&asked)).await?;
        loop {
            while let Some(m) = self.wire.reader.next()? {
                if m.response().is_some() && m.text("ActionID") == id {
                    return Ok(Answer::of(&m));
                }
                if m.event().is_some() && self.stash.iter().map(Vec::len).sum::<usize>() < STASH {
                    self.stash.push(m.raw().to_vec());
                }
            }
            self.wire.fill().await?;
        }
    }
}

struct Answer {
    success: bool,
    headers: Vec<(String, String)>,
}

impl Answer {
    fn of(m: &Message<'_>) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let headers = m.headers().map(|(name, value)| (text(name), text(value))).collect();
        Self { success: m.response() == Some("Success"), headers }
    }

    fn get(&self, name: &str) -> Option<String> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    }
}
