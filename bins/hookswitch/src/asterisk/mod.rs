//! Switches as sources: each is followed, and what it tells goes the way of every published event.

mod agents_file;
mod check;
mod publisher;

use std::time::Duration;

use hookswitch::Switch;
use hookswitch::runtime::{Clock, Scope};
use hookswitch_asterisk::{ClientSettings, Model};
use tokio::sync::mpsc;

use self::publisher::Publisher;
use crate::config;

pub(crate) use self::check::run;

/// Notices that may wait for the publishing: beyond it the PBX's bytes are not read on.
const NEWS: usize = 256;
/// After a fault of ours, before a PBX is followed anew.
const AFTER_A_FAULT: Duration = Duration::from_secs(5);

/// Follows each PBX until `scope` ends. A fault in following one concerns no other, nor the node.
pub(crate) fn follow(pbxs: &[config::Asterisk], switch: &Switch, scope: &Scope) {
    for source in pbxs {
        let (source, switch, own) = (source.clone(), switch.clone(), scope.clone());
        scope.spawn("asterisk", async move {
            loop {
                let following = own.spawn_contained("asterisk PBX", follow_one(source.clone(), switch.clone()));
                let ended = own.soft().run_until_cancelled(following).await;
                if ended.is_none() {
                    return;
                }
                tracing::error!(address = source.address, "following the PBX failed; it begins anew");
                tokio::time::sleep(AFTER_A_FAULT).await;
            }
        });
    }
}

async fn follow_one(source: config::Asterisk, switch: Switch) {
    let settings = client(&source);
    let mut model = Model::new(&source.address, source.identity.clone());
    let (notices, told) = mpsc::channel(NEWS);
    let publisher = Publisher::new(switch, &source);
    tokio::join!(
        async {
            let following = hookswitch_asterisk::follow(&settings, &mut model, now, &notices);
            tokio::select! {
                () = following => {}
                () = agents_file::keep(source.agents_file.as_deref(), source.identity.table()) => {}
            }
        },
        publisher.run(told),
    );
}

/// How to reach the PBX.
fn client(source: &config::Asterisk) -> ClientSettings {
    let settings = ClientSettings::new(&source.address, &source.user, source.secret.reveal());
    let settings = ClientSettings { name: source.name.clone(), ..settings };
    if source.tls { settings.with_tls() } else { settings }
}

fn now() -> i64 {
    Clock::system().now().as_millis()
}
