//! Follows a PBX and prints each event as a line: `live ADDRESS USER SECRET`.

use std::{env, io::Write, time::SystemTime};

use hookswitch_asterisk::{ClientSettings, Identity, Model, SourceNotice, follow};

#[expect(clippy::disallowed_methods, reason = "a program of its own, which is told by the environment and has a clock")]
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    let mut settings = ClientSettings::new(&args[0], &args[1], &args[2]);
    settings.name = env::var("ASTERISK_NAME").ok();
    let agents = env::var("ASTERISK_AGENTS").unwrap_or(hookswitch_asterisk::DEFAULT_AGENTS.to_owned());
    let outside = env::var("ASTERISK_OUTSIDE").unwrap_or(hookswitch_asterisk::DEFAULT_OUTSIDE.to_owned());
    let mut model = Model::new("", Identity::new(&agents, &outside)?);
    let (send, mut notices) = tokio::sync::mpsc::channel(64);
    let clock = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |at| at.as_millis() as i64);
    let printing = async {
        while let Some(item) = notices.recv().await {
            match item {
                SourceNotice::Told(all) => {
                    let mut out = std::io::stdout().lock();
                    for told in all {
                        let line = serde_json::json!({"type": told.event_type, "id": told.id, "payload": told.payload});
                        let _ = writeln!(out, "{line}");
                    }
                    let _ = out.flush();
                }
                other => {
                    let _ = writeln!(std::io::stderr(), "{other:?}");
                }
            }
        }
    };
    tokio::join!(follow(&settings, &mut model, clock, &send), printing);
    Ok(())
}
