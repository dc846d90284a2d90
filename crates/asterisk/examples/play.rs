//! Plays a capture through the reader and the model, and prints what was told: `play CAPTURE.ami`.

use std::{env, fs, io::Write};

use hookswitch_asterisk::{Identity, Model, Reader};

#[expect(clippy::disallowed_methods, reason = "a program of its own, which is told by the environment")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut model = Model::new(
        "lab",
        Identity::new(
            &env::var("AGENTS").unwrap_or(r"^(?:(?:PJSIP|SIP|IAX2|SCCP|Local)/|hint:)(\d+)(?:@.*)?$".into()),
            "from-trunk,PJSIP/trunk*",
        )?,
    );
    let mut out = std::io::stdout().lock();
    let mut zero = None;
    for path in env::args().skip(1) {
        let bytes = fs::read(&path)?;
        let timing = fs::read_to_string(path.replace(".ami", ".timing.tsv"))?;
        let mut reader = Reader::default();
        let mut base = 0.0;
        for line in timing.lines() {
            let f: Vec<&str> = line.split('\t').collect();
            if line.starts_with("# connected") {
                let epoch: f64 = f[1].parse()?;
                base = epoch - *zero.get_or_insert(epoch);
            }
            if line.starts_with('#') || f[1] != "<" {
                continue;
            }
            let (at, from, len): (f64, usize, usize) = (f[0].parse()?, f[2].parse()?, f[3].parse()?);
            let now = 1_000_000 + ((at + base) * 1000.0) as i64;
            model.tick(now);
            reader.push(&bytes[from..from + len]);
            while let Some(m) = reader.next()? {
                if m.bytes("ActionID").is_some() && !matches!(m.event(), Some("OriginateResponse" | "UserEvent")) {
                    continue;
                }
                model.apply(&m, now);
            }
        }
    }
    model.tick(1_000_000_000);
    for told in model.take() {
        writeln!(out, "{}", serde_json::json!({"type": told.event_type, "id": told.id, "payload": told.payload}))?;
    }
    Ok(())
}
