//! What people read: the generated `docs/config.md`, and `print-config`.

use std::fmt::Write as _;

use super::check::without_effect;
use super::raw::Raw;
use super::settings::{self, Kind, Setting};
use super::values;

const COMMENT_CHARS: usize = 110;

/// The effective settings as TOML, each with its meaning and its source; secrets as `***`. For a checked [`Raw`].
pub(crate) fn print(raw: &Raw) -> String {
    let mut out = String::new();
    let mut section = "";
    for setting in settings::ALL {
        let (of, name) = split(setting);
        if of != section {
            let gap = if section.is_empty() { "" } else { "\n" };
            section = of;
            put(&mut out, format_args!("{gap}[{of}]\n"));
        }
        comment(&mut out, setting.doc);
        match raw.get(setting) {
            Some(given) if let Some(reason) = without_effect(raw, setting) => {
                put(&mut out, format_args!("# {name} {reason} ({})\n", given.place));
            }
            Some(given) => put(&mut out, format_args!("{name} = {} # {}\n", toml(setting, &given.text), given.place)),
            None if setting.default.is_empty() => put(&mut out, format_args!("# {name} is not set\n")),
            None => put(&mut out, format_args!("{name} = {} # default\n", toml(setting, setting.default))),
        }
    }
    out
}

/// Writes `text` as comment lines of at most [`COMMENT_CHARS`].
fn comment(out: &mut String, text: &str) {
    let mut n_chars = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if n_chars == 0 {
            out.push('#');
        } else if n_chars + 1 + length > COMMENT_CHARS {
            out.push_str("\n#");
            n_chars = 0;
        }
        put(out, format_args!(" {word}"));
        n_chars += 1 + length;
    }
    out.push('\n');
}

fn toml(setting: &Setting, text: &str) -> String {
    let quote = |text: &str| toml::Value::from(text).to_string();
    match setting.kind {
        Kind::Secret => quote("***"),
        Kind::Number { .. } => text.to_owned(),
        Kind::Bool => values::boolean(text).map_or_else(|| quote(text), |flag| flag.to_string()),
        Kind::List => format!("[{}]", values::list(text).map(quote).collect::<Vec<_>>().join(", ")),
        Kind::Url => quote(&values::print_url(text)),
        Kind::Text | Kind::Duration { .. } => quote(text),
    }
}

fn split(setting: &Setting) -> (&'static str, &'static str) {
    setting.key.split_once('.').expect("keys are section.name, as a test proves")
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing to a string cannot fail");
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Environment;
    use super::*;

    /// The whole page. Here, because only this test writes it: the server does not need it.
    fn page() -> String {
        let mut out = String::from(INTRODUCTION);
        let mut section = "";
        for setting in settings::ALL {
            let (of, _) = split(setting);
            if of != section {
                section = of;
                put(&mut out, format_args!("\n## [{of}]\n"));
            }
            put(&mut out, format_args!("\n### `{}`\n\n{}\n\n", setting.env, setting.doc));
            put(&mut out, format_args!("TOML key `{}` · {}\n", setting.key, facts(setting)));
        }
        out
    }

    fn facts(setting: &Setting) -> String {
        let kind = match setting.kind {
            Kind::Text => "text".to_owned(),
            Kind::Secret => "text, never printed".to_owned(),
            Kind::Url => "URL".to_owned(),
            Kind::Bool => "`true` or `false`".to_owned(),
            Kind::Number { min, max } => format!("a whole number from {min} to {max}"),
            Kind::Duration { min, max } => {
                format!("a duration from {} to {}", values::print_duration(min), values::print_duration(max))
            }
            Kind::List => "a list".to_owned(),
        };
        match setting.default {
            "" => format!("{kind} · not set by default"),
            default => format!("{kind} · default `{default}`"),
        }
    }

    const INTRODUCTION: &str = "# Configuration of `hookswitch serve`

Generated from `bins/hookswitch/src/config/settings.rs` and its folder; refresh it with `cargo xtask golden`.

Settings come from environment variables and, if you like, from one TOML file, named by `--config` or by
`HOOKSWITCH_CONFIG`. A variable wins over the file. An empty variable counts as not set.

- Durations are a number and a unit: `500ms`, `30s`, `5m`, `1h`, `5d`, also `1m30s`.
- Lists are separated by commas in a variable and are arrays in TOML.
- An unknown key in the file is an error. An unknown variable that begins with `DB_`, `DATABASE_`, `JWT_`, `SERVER_`,
  `REDIS_`, `WS_`, `HISTORY_`, `DRAIN_`, `WEBHOOK_`, `ASTERISK_` or `HOOKSWITCH_` is a warning at start.
- `hookswitch check-config` says everything that is wrong at once and ends with code 78.
- `hookswitch print-config` prints the effective settings and where each came from. Secrets print as `***`.
- `hookswitch dev` reads none of these except the two of `[log]`. It is always a single node, and says so when
  `REDIS_URL` or `REDIS_HOST` is set.

A file that sets the usual things:

```toml
[server]
host = \"0.0.0.0\"
port = 8000

[database]
url = \"sqlite:///var/lib/hookswitch/hookswitch.db\"

[jwt]
secret = \"at least 32 random bytes, shared with the identity provider\"

[websocket]
allowed_origins = [\"https://desk.example.com\"]
```
";

    #[test]
    fn golden_config_page() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/config.md");
        let environment = Environment::of_process();
        if environment.text("HOOKSWITCH_GOLDEN") == Ok(Some("update")) {
            std::fs::write(&path, page()).expect("docs/config.md can be written");
        }
        let written = std::fs::read_to_string(&path).expect("docs/config.md exists");
        assert!(written == page(), "docs/config.md is out of date; run `cargo xtask golden`");
    }

    #[test]
    fn effective_settings_name_their_source_and_hide_secrets() {
        let environment = Environment::from([
            ("JWT_SECRET", "a secret nobody may see, ever, at all"),
            ("SERVER_PORT", "81"),
            ("WEBHOOK_ALLOW_CIDRS", "127.0.0.0/8, 10.0.0.0/8"),
            ("REDIS_URL", "redis://:hunter2@redis.example"),
            ("REDIS_HOST", "redis://:hunter2@slip"),
            ("REDIS_PORT", "not a number"),
        ]);
        let printed = print(&Raw::collect(&environment, None));
        for line in [
            "port = 81 # SERVER_PORT",
            "host = \"0.0.0.0\" # default",
            "secret = \"***\" # JWT_SECRET",
            "# public_key_file is not set",
            "url = \"*** (Redis at redis.example:6379)\" # REDIS_URL",
            "# host is ignored because REDIS_URL is set (REDIS_HOST)",
            "# port is ignored because REDIS_URL is set (REDIS_PORT)",
            "prefix = \"callcenter\" # default",
            "allow_cidrs = [\"127.0.0.0/8\", \"10.0.0.0/8\"] # WEBHOOK_ALLOW_CIDRS",
        ] {
            assert!(printed.lines().any(|printed| printed == line), "{line} in\n{printed}");
        }
        assert!(!printed.contains("nobody may see") && !printed.contains("hunter2"), "{printed}");
    }
}
