//! What a newcomer reads first: tokens, and lines to paste.

use std::net::SocketAddr;

use super::DevDir;

/// The tokens that `hookswitch dev` prints.
#[derive(Debug)]
pub(super) struct DevTokens {
    /// In the link to the console: an administrator's.
    pub(super) console: String,
    pub(super) agent: String,
    pub(super) supervisor: String,
    pub(super) service: String,
}

/// What a newcomer is told of.
#[derive(Debug)]
pub(super) struct Welcome<'a> {
    pub(super) address: SocketAddr,
    pub(super) has_console: bool,
    pub(super) dir: &'a DevDir,
    pub(super) simulation: &'a str,
    pub(super) folder_of_program: &'a str,
}

impl Welcome<'_> {
    /// The link first, then the rest. Every command works in another terminal after the `export` lines.
    pub(super) fn text(&self, tokens: &DevTokens) -> String {
        let rest = self.commands(tokens);
        if self.has_console {
            let (address, console) = (self.address, &tokens.console);
            format!("\nSee the call centre live, in a browser:\n\nhttp://{address}/console#token={console}\n{rest}")
        } else {
            rest
        }
    }

    fn commands(&self, tokens: &DevTokens) -> String {
        let Self { address, dir, simulation, folder_of_program, .. } = *self;
        let DevTokens { agent, supervisor, service, .. } = tokens;
        format!(
            r#"
Hookswitch runs for development: tenant "demo", data in {dir}, only reachable from this machine.
{simulation}

In another terminal, paste these first (valid for 12 hours; `hookswitch token` makes others):

export PATH="$PATH:{folder_of_program}"
export AGENT={agent}
export SUPERVISOR={supervisor}
export SERVICE={service}

Watch what agent 101 sees, with Node 22 or newer:

node -e 'new WebSocket(process.argv[1]).onmessage = m => console.log(m.data)' "ws://{address}/ws?token=$AGENT"

or with Python (pip install websockets):

python3 -c 'import sys; from websockets.sync.client import connect; [print(m, flush=True) for m in connect(sys.argv[1])]' "ws://{address}/ws?token=$AGENT"

Publish an event:

curl -s http://{address}/api/v1/events -H "Authorization: Bearer $SERVICE" -d '{{"type":"call.incoming","payload":{{"unique_id":"42.1","caller_id":"+15550100","destination":"8001"}}}}'

See who is online, the simulated agents among them:

curl -s http://{address}/api/v1/presence/online -H "Authorization: Bearer $AGENT"

Have call.incoming delivered to a receiver, signed. It runs in a terminal of its own:

hookswitch receiver --listen 127.0.0.1:9000 --secret my-secret

ID=$(curl -s http://{address}/api/v1/webhooks -H "Authorization: Bearer $SERVICE" -d '{{"name":"My receiver","url":"http://127.0.0.1:9000/","events":["call.incoming"],"secret":"my-secret"}}' | sed 's/.*"data":{{"id":\([0-9]*\).*/\1/')

Try it out, then see what became of the deliveries:

curl -s -X POST http://{address}/api/v1/webhooks/$ID/test -H "Authorization: Bearer $SERVICE"
curl -s "http://{address}/api/v1/webhooks/$ID/logs?limit=5" -H "Authorization: Bearer $SUPERVISOR"

Stop with Ctrl-C. Read on in docs/protocol.md and docs/webhooks.md.
"#
        )
    }
}
