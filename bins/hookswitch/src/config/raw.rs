//! Raw settings: the texts that were given, each with where it came from. Environment wins over file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::Value;

use super::settings::{self, Setting};
use super::{Environment, Problem, service_links};

/// What file and environment say, before anything is checked but names.
#[derive(Debug, Default)]
pub(crate) struct Raw {
    /// By the setting's TOML key.
    given: BTreeMap<&'static str, Given>,
    /// A file was named and could not be read as TOML: what it would set is not known.
    pub(super) file_is_unreadable: bool,
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<String>,
    /// One for each `[[asterisk]]` of the file.
    pub(super) pbxs: Vec<Raw>,
    /// Settings whose variable was set by Kubernetes for a service of that name.
    service_links: Vec<&'static str>,
}

/// One text and how its place is called when something is wrong with it.
#[derive(Debug, Clone)]
pub(super) struct Given {
    pub(super) text: String,
    pub(super) place: String,
}

impl Raw {
    /// Reads the file first (named by `file`, else by `HOOKSWITCH_CONFIG`), then the environment over it.
    pub(crate) fn collect(environment: &Environment, file: Option<PathBuf>) -> Self {
        let mut raw = Self::default();
        let named = file.or_else(|| raw.variable(environment, settings::HOOKSWITCH_CONFIG).map(PathBuf::from));
        if let Some(path) = named {
            raw.read_file(&path);
        }
        raw.read_environment(environment);
        raw
    }

    /// The two variables of logs, and no other.
    pub(super) fn logging(environment: &Environment) -> Self {
        let mut raw = Self::default();
        raw.read_variable(environment, &settings::HOOKSWITCH_LOG);
        raw.read_variable(environment, &settings::HOOKSWITCH_LOG_FORMAT);
        raw.read_rust_log(environment);
        raw
    }

    /// As if the variable were set to this text, whatever it is set to.
    pub(crate) fn put(&mut self, setting: &Setting, text: String, place: &str) {
        self.given.insert(setting.key, Given { text, place: place.to_owned() });
    }

    pub(super) fn get(&self, setting: &Setting) -> Option<&Given> {
        self.given.get(setting.key)
    }

    /// Where a setting was given, or would be.
    pub(super) fn place(&self, setting: &Setting) -> String {
        self.get(setting).map_or_else(|| setting.env.to_owned(), |given| given.place.clone())
    }

    fn variable(&mut self, environment: &Environment, name: &str) -> Option<String> {
        let Ok(text) = environment.text(name) else {
            self.refuse(name, "holds bytes that are not UTF-8", "set it to plain text");
            return None;
        };
        text.map(str::to_owned)
    }

    fn read_environment(&mut self, environment: &Environment) {
        for setting in settings::ALL {
            self.read_variable(environment, setting);
        }
        self.read_rust_log(environment);
        self.warn_of_service_links();
        let is_ours = |name: &&str| !is_known(name) && !service_links::is_one(environment, name);
        self.warnings.extend(environment.names_with(settings::PREFIXES).filter(is_ours).map(|name| {
            format!("{name} is set but there is no such setting; see docs/config.md for the names, or unset it")
        }));
    }

    fn read_variable(&mut self, environment: &Environment, setting: &Setting) {
        if let Some(text) = self.variable(environment, setting.env) {
            if service_links::is_one(environment, setting.env) {
                return self.service_links.push(setting.env);
            }
            self.given.insert(setting.key, Given { text, place: setting.env.to_owned() });
        }
    }

    fn warn_of_service_links(&mut self) {
        if let [first, others @ ..] = self.service_links.as_slice() {
            let names = others.iter().fold((*first).to_owned(), |all, name| format!("{all}, {name}"));
            self.warnings.push(format!(
                "{names}: taken as not set, because Kubernetes sets it (tcp://…) for a service of that name; write \
                 enableServiceLinks: false into the pod's specification"
            ));
        }
    }

    fn read_rust_log(&mut self, environment: &Environment) {
        if !self.given.contains_key(settings::HOOKSWITCH_LOG.key)
            && let Some(text) = self.variable(environment, "RUST_LOG")
        {
            self.given.insert(settings::HOOKSWITCH_LOG.key, Given { text, place: "RUST_LOG".to_owned() });
        }
    }

    fn read_file(&mut self, path: &Path) {
        let place = path.display().to_string();
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => {
                self.file_is_unreadable = true;
                return self.refuse(&place, &format!("cannot be read: {error}"), "name a readable TOML file");
            }
        };
        match text.parse::<toml::Table>() {
            Ok(table) => self.read_sections(&place, table),
            // Only the message: the default text quotes the line, which may hold a secret.
            Err(error) => {
                self.file_is_unreadable = true;
                let line = error.span().map_or(0, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
                let wrong = format!("line {line} is not TOML: {}", error.message());
                self.refuse(&place, &wrong, "correct that line");
            }
        }
    }

    fn read_sections(&mut self, file: &str, table: toml::Table) {
        for (section, value) in table {
            let entries = match value {
                Value::Table(entries) => entries,
                Value::Array(tables) if section == "asterisk" => {
                    self.read_pbxs(file, tables);
                    continue;
                }
                _ => {
                    self.unknown_key(file, &section);
                    continue;
                }
            };
            for (name, value) in entries {
                self.read_entry(file, &format!("{section}.{name}"), &value);
            }
        }
    }

    /// Each of several PBXs has the settings of one.
    fn read_pbxs(&mut self, file: &str, tables: Vec<Value>) {
        for (at, table) in tables.into_iter().enumerate() {
            let place = format!("{file}, PBX {}", at + 1);
            let Value::Table(entries) = table else {
                self.unknown_key(&place, "asterisk");
                continue;
            };
            let mut pbx = Self::default();
            for (name, value) in entries {
                pbx.read_entry(&place, &format!("asterisk.{name}"), &value);
            }
            self.problems.append(&mut pbx.problems);
            self.pbxs.push(pbx);
        }
    }

    fn read_entry(&mut self, file: &str, key: &str, value: &Value) {
        let Some(setting) = settings::ALL.iter().find(|setting| setting.key == key) else {
            return self.unknown_key(file, key);
        };
        let place = format!("{key} in {file}");
        match text_of(value) {
            Some(text) if text.is_empty() => {}
            Some(text) => {
                self.given.insert(setting.key, Given { text, place });
            }
            None => {
                let wrong = format!("is a TOML {}", value.type_str());
                self.refuse(&place, &wrong, "write a string, a number, true or false, or an array of strings");
            }
        }
    }

    fn unknown_key(&mut self, file: &str, key: &str) {
        let section = key.split('.').next().unwrap_or(key);
        let siblings = settings::ALL.iter().map(|setting| setting.key).filter(|k| k.split('.').next() == Some(section));
        let known = siblings.collect::<Vec<_>>().join(", ");
        let remedy = if known.is_empty() {
            "the sections are [server], [database], [redis], [jwt], [websocket], [history], [webhooks], [asterisk] and [log]"
                .to_owned()
        } else {
            format!("this section knows {known}")
        };
        self.refuse(&format!("{key} in {file}"), "is not a key we know", &remedy);
    }

    fn refuse(&mut self, key: &str, wrong: &str, remedy: &str) {
        self.problems.push(Problem { key: key.to_owned(), wrong: wrong.to_owned(), remedy: remedy.to_owned() });
    }
}

fn is_known(name: &str) -> bool {
    settings::ALL.iter().any(|setting| setting.env == name) || name == settings::HOOKSWITCH_CONFIG
}

/// The text that a variable of the same meaning would hold.
fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Boolean(flag) => Some(flag.to_string()),
        Value::Array(items) => {
            let texts: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
            texts.map(|texts| texts.join(","))
        }
        Value::Float(_) | Value::Datetime(_) | Value::Table(_) => None,
    }
}
