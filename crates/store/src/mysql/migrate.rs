//! MySQL's migrations: by whom, and one at a time.

use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Nullable, Text};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness as _, embed_migrations};

use super::config::MySqlConfig;
use super::connect::Connector;
use super::dialect::Conn;
use crate::error::{Cause, StoreError};
use crate::schema_steps::{Step, first_unknown, names, steps};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations/mysql");

/// How long the steps may take: an index on a large table is made in minutes.
const STEPS_WAIT: Duration = Duration::from_hours(1);

/// How long one waits for another who takes the steps at this moment, in seconds.
const LOCK_WAIT_SECS: i64 = 600;

diesel::table! {
    __diesel_schema_migrations (version) {
        version -> Text,
    }
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = Nullable<BigInt>)]
    n: Option<i64>,
}

/// Gives the connection back when the tables are those this program knows, after taking the missing
/// steps where that was asked for.
pub(super) async fn check_schema(conn: Conn, config: &MySqlConfig) -> Result<Conn, StoreError> {
    let (database, migrates) = (config.to_string(), config.migrates);
    blocking(conn, database, move |conn, database| {
        let steps = look(conn, database)?;
        refuse_newer(&steps, database)?;
        let pending: Vec<String> = steps.into_iter().filter(|step| !step.is_applied).map(|step| step.name).collect();
        if pending.is_empty() {
            return Ok(());
        }
        if !migrates {
            return Err(StoreError::Behind { database: database.to_owned(), pending });
        }
        take_steps(conn, database).map(drop)
    })
    .await
    .map(|(conn, ())| conn)
}

pub(crate) async fn status(config: &MySqlConfig) -> Result<Vec<Step>, StoreError> {
    with_connection(config, look).await
}

pub(crate) async fn up(config: &MySqlConfig) -> Result<Vec<String>, StoreError> {
    with_connection(config, take_steps).await
}

pub(crate) async fn down(config: &MySqlConfig) -> Result<Option<String>, StoreError> {
    with_connection(config, |conn, database| {
        alone(conn, database, |conn| {
            let steps = look(conn, database)?;
            refuse_newer(&steps, database)?;
            let Some(newest) = steps.into_iter().rfind(|step| step.is_applied) else { return Ok(None) };
            conn.revert_last_migration(MIGRATIONS).map_err(|source| failed("change", database, source))?;
            Ok(Some(newest.name))
        })
    })
    .await
}

fn take_steps(conn: &mut Conn, database: &str) -> Result<Vec<String>, StoreError> {
    alone(conn, database, |conn| {
        // Looked at again: whoever had the lock before may have taken them.
        let steps = look(conn, database)?;
        refuse_newer(&steps, database)?;
        refuse_old_server(conn, database)?;
        let pending: Vec<String> = steps.into_iter().filter(|step| !step.is_applied).map(|step| step.name).collect();
        conn.run_pending_migrations(MIGRATIONS).map_err(|source| failed("change", database, source))?;
        Ok(pending)
    })
}

/// Works under the lock that all programs take before they change this database's tables. The server
/// lets go of it when the connection ends.
fn alone<T>(
    conn: &mut Conn,
    database: &str,
    work: impl FnOnce(&mut Conn) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    conn.begin(STEPS_WAIT);
    let wrong = |source: diesel::result::Error| failed("lock", database, Box::new(source));
    let lock = format!("SELECT GET_LOCK(CONCAT('hookswitch-', MD5(DATABASE())), {LOCK_WAIT_SECS}) AS n");
    let locked: Number = sql_query(lock).get_result(conn).map_err(wrong)?;
    if locked.n != Some(1) {
        let source = "somebody else changes them, for ten minutes already";
        return Err(failed("lock", database, source.into()));
    }
    let done = work(conn)?;
    let release = "SELECT RELEASE_LOCK(CONCAT('hookswitch-', MD5(DATABASE()))) AS n";
    let _released: Number = sql_query(release).get_result(conn).map_err(wrong)?;
    Ok(done)
}

/// Reads only: a server runs without the right to change tables.
fn look(conn: &mut Conn, database: &str) -> Result<Vec<Step>, StoreError> {
    let known = names::<diesel::mysql::Mysql>(&MIGRATIONS).map_err(|source| failed("read", database, source))?;
    let applied = applied(conn).map_err(|source| failed("read", database, Box::new(source)))?;
    Ok(steps(&known, &applied))
}

fn applied(conn: &mut Conn) -> QueryResult<Vec<String>> {
    let tables: Number = sql_query(
        "SELECT COUNT(*) AS n FROM information_schema.tables
         WHERE table_schema = DATABASE() AND table_name = '__diesel_schema_migrations'",
    )
    .get_result(conn)?;
    if tables.n == Some(0) {
        return Ok(Vec::new());
    }
    __diesel_schema_migrations::table.select(__diesel_schema_migrations::version).load(conn)
}

/// Refuses servers that lack the collation of the keys: they would read over it and tell no case apart.
fn refuse_old_server(conn: &mut Conn, database: &str) -> Result<(), StoreError> {
    #[derive(QueryableByName)]
    struct Server {
        #[diesel(sql_type = Text)]
        version: String,
    }
    let server: Result<Server, _> = sql_query("SELECT VERSION() AS version").get_result(conn);
    let Server { version } = server.map_err(|source| failed("read", database, Box::new(source)))?;
    if is_too_old(&version) {
        let source = format!("the server is MySQL {version}, and 8.0.17 is the oldest that will do");
        return Err(failed("change", database, source.into()));
    }
    Ok(())
}

/// Whether it is a MySQL before 8.0.17. MariaDB says its name, and refuses steps by itself that it does not know.
fn is_too_old(version: &str) -> bool {
    let mut numbers = version.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse::<u32>().unwrap_or(0));
    let numbers = [(); 3].map(|()| numbers.next().unwrap_or(0));
    !version.contains("MariaDB") && numbers < [8, 0, 17]
}

fn refuse_newer(steps: &[Step], database: &str) -> Result<(), StoreError> {
    match first_unknown(steps) {
        Some(migration) => Err(StoreError::Newer { database: database.to_owned(), migration: migration.to_owned() }),
        None => Ok(()),
    }
}

pub(super) fn failed(operation: &'static str, database: &str, source: Cause) -> StoreError {
    StoreError::Schema { operation, database: database.to_owned(), source }
}

async fn with_connection<T, F>(config: &MySqlConfig, work: F) -> Result<T, StoreError>
where
    F: FnOnce(&mut Conn, &str) -> Result<T, StoreError> + Send + 'static,
    T: Send + 'static,
{
    let conn = Connector::new(config.clone()).log_in().await?;
    blocking(conn, config.to_string(), work).await.map(|(_conn, done)| done)
}

pub(super) async fn blocking<T, F>(mut conn: Conn, database: String, work: F) -> Result<(Conn, T), StoreError>
where
    F: FnOnce(&mut Conn, &str) -> Result<T, StoreError> + Send + 'static,
    T: Send + 'static,
{
    let name = database.clone();
    let done = tokio::task::spawn_blocking(move || {
        conn.begin(Duration::from_secs(30));
        let done = work(&mut conn, &database)?;
        Ok((conn, done))
    });
    done.await.unwrap_or_else(|gone| Err(failed("use", &name, Box::new(gone))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mysql_is_refused_that_has_no_collation_for_the_keys() {
        for old in ["8.0.16", "8.0.4-log", "5.7.44-0ubuntu0"] {
            assert!(is_too_old(old), "{old}");
        }
        for good in ["8.0.17", "8.0.36-0ubuntu0.22.04.1", "8.4.0", "10.11.6-MariaDB-0+deb12u1", "5.5.5-10.6.1-MariaDB"]
        {
            assert!(!is_too_old(good), "{good}");
        }
    }
}
