//! From texts to plain values. Every problem is found before any is reported.

mod asterisk;
mod database;
mod deliveries;
mod log_filter;
mod reading;
mod redis;
mod server;
mod tokens;

use hookswitch::store::migrations::Database;

use super::raw::Raw;
use super::settings::Setting;
use super::{Asterisk, BadConfig, Config, Problem};

pub(super) fn check(raw: &Raw) -> Result<Config, BadConfig> {
    let mut checker = Checker { raw, problems: raw.problems.clone(), warnings: raw.warnings.clone() };
    let config = Config {
        server: checker.server(),
        database: checker.database(),
        redis: checker.redis(),
        tokens: checker.tokens(),
        websocket: checker.websocket(),
        history: checker.history(),
        event_classes: checker.event_classes(),
        webhooks: checker.webhooks(),
        asterisk: checker.asterisk(),
        log: checker.log(),
        warnings: Vec::new(),
    };
    checker.check_white_space();
    if !checker.problems.is_empty() {
        return Err(BadConfig { problems: checker.problems, warnings: checker.warnings });
    }
    Ok(Config { warnings: checker.warnings, ..config })
}

/// Why a setting that was given changes nothing; `None` for one that counts.
pub(super) fn without_effect(raw: &Raw, setting: &Setting) -> Option<String> {
    database::without_effect(raw, setting)
        .or_else(|| redis::without_effect(raw, setting))
        .or_else(|| tokens::without_effect(raw, setting))
        .or_else(|| asterisk::without_effect(raw, setting))
}

/// The settings of the database alone.
pub(super) fn check_database(raw: &Raw) -> Result<Database, BadConfig> {
    let mut checker = Checker { raw, problems: raw.problems.clone(), warnings: raw.warnings.clone() };
    let database = checker.database();
    if checker.problems.is_empty() {
        Ok(database)
    } else {
        Err(BadConfig { problems: checker.problems, warnings: checker.warnings })
    }
}

/// The settings of the PBXs alone.
pub(super) fn check_asterisk(raw: &Raw) -> Result<Vec<Asterisk>, BadConfig> {
    let mut checker = Checker { raw, problems: raw.problems.clone(), warnings: raw.warnings.clone() };
    let pbxs = checker.asterisk();
    if checker.problems.is_empty() {
        Ok(pbxs)
    } else {
        Err(BadConfig { problems: checker.problems, warnings: checker.warnings })
    }
}

/// Reads settings; where one is wrong it notes the problem and goes on with the default.
struct Checker<'a> {
    raw: &'a Raw,
    problems: Vec<Problem>,
    warnings: Vec<String>,
}

#[cfg(test)]
mod tests;
