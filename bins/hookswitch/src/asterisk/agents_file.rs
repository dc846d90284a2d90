//! The file that says whose phone is whose.

use std::{collections::HashMap, convert::Infallible, path::Path, time::Duration};

use hookswitch_asterisk::AgentTable;

/// Between two looks at the file.
const EVERY: Duration = Duration::from_secs(5);
/// A longer file is not read.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// Reads the file into the table now and whenever it changed. Never returns; without a file it does nothing.
pub(super) async fn keep(path: Option<&Path>, table: &AgentTable) {
    let Some(path) = path else { return std::future::pending().await };
    match keep_reading(path, table).await {}
}

async fn keep_reading(path: &Path, table: &AgentTable) -> Infallible {
    let mut known = None;
    loop {
        let stamp = std::fs::metadata(path).and_then(|found| Ok((found.modified()?, found.len()))).ok();
        if stamp.is_some() && stamp != known {
            known = stamp;
            match read(path) {
                Ok(entries) => {
                    tracing::info!(file = %path.display(), phones = entries.len(), "the agents' phones were read");
                    table.replace(entries);
                }
                Err(error) => tracing::warn!(file = %path.display(), %error, "the agents' phones cannot be read"),
            }
        } else if stamp.is_none() && known.take().is_some() {
            tracing::warn!(file = %path.display(), "the file of the agents' phones is gone; what it said stays");
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// The entries of a file, now.
pub(super) fn read(path: &Path) -> std::io::Result<HashMap<String, String>> {
    if std::fs::metadata(path)?.len() > MAX_BYTES {
        return Err(std::io::Error::other(format!("it is longer than {MAX_BYTES} bytes")));
    }
    Ok(parse(&std::fs::read_to_string(path)?))
}

/// `endpoint,user`; lines without a comma and those after `#` say nothing.
fn parse(text: &str) -> HashMap<String, String> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    let entries = lines.filter_map(|line| line.split_once(','));
    let plain = |part: &str| part.trim().trim_matches('"').to_owned();
    let entries = entries.map(|(endpoint, user)| (plain(endpoint), plain(user.split(',').next().unwrap_or_default())));
    entries.filter(|(endpoint, user)| !endpoint.is_empty() && !user.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_line_is_a_phone_and_its_user() {
        let table = parse("# phones\nPJSIP/alice, 101\n\"PJSIP/bob\",\"102\",Bob\r\nnothing\n,7\n");
        assert_eq!(table.len(), 2);
        assert_eq!(table["PJSIP/alice"], "101");
        assert_eq!(table["PJSIP/bob"], "102");
    }
}
