//! From texts to plain values. Every problem is found before any is reported.

mod database;
mod deliveries;
mod reading;
mod redis;
mod server;
mod tokens;

pub(super) use self::redis::without_effect;
use super::raw::Raw;
use super::{BadConfig, Config, Log, Problem};

pub(super) fn check(raw: &Raw) -> Result<Config, BadConfig> {
    let mut checker = Checker { raw, problems: raw.problems.clone(), warnings: raw.warnings.clone() };
    checker.refuse_mysql();
    let config = Config {
        server: checker.server(),
        database: checker.database(),
        redis: checker.redis(),
        tokens: checker.tokens(),
        websocket: checker.websocket(),
        webhooks: checker.webhooks(),
        log: checker.log(),
        warnings: Vec::new(),
    };
    if !checker.problems.is_empty() {
        return Err(BadConfig { problems: checker.problems, warnings: checker.warnings });
    }
    Ok(Config { warnings: checker.warnings, ..config })
}

/// The settings of logs alone.
pub(super) fn check_log(raw: &Raw) -> Result<Log, BadConfig> {
    let mut checker = Checker { raw, problems: raw.problems.clone(), warnings: Vec::new() };
    let log = checker.log();
    if checker.problems.is_empty() {
        Ok(log)
    } else {
        Err(BadConfig { problems: checker.problems, warnings: Vec::new() })
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
