//! SQLite's migrations.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use diesel::Connection as _;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness as _, embed_migrations};

use super::connect::Connector;
use super::dialect::Conn;
use super::file::{check_path, failed};
use super::lock::FileLock;

use crate::error::{Cause, StoreError};
use crate::schema_steps::{Step, first_unknown, names, steps};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations/sqlite");

/// How long a step waits for the locks of others.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Brings the tables up to date, refuses a database from the future; the steps taken. Blocks.
pub(crate) fn migrate(conn: &mut Conn, path: &Path) -> Result<Vec<String>, StoreError> {
    let steps = look(conn, path)?;
    if let Some(migration) = first_unknown(&steps) {
        return Err(StoreError::Newer { database: path.display().to_string(), migration: migration.to_owned() });
    }
    conn.run_pending_migrations(MIGRATIONS).map_err(|source| bad_step(path, source))?;
    Ok(steps.into_iter().filter(|step| !step.is_applied).map(|step| step.name).collect())
}

fn look(conn: &mut Conn, path: &Path) -> Result<Vec<Step>, StoreError> {
    let known = names::<diesel::sqlite::Sqlite>(&MIGRATIONS).map_err(|source| bad_step(path, source))?;
    let applied = conn.applied_migrations().map_err(|source| bad_step(path, source))?;
    let applied: Vec<String> = applied.iter().map(ToString::to_string).collect();
    Ok(steps(&known, &applied))
}

fn bad_step(path: &Path, source: Cause) -> StoreError {
    failed("migrate", path, source)
}

/// The steps of a file, which may be missing and then stays so.
pub(crate) async fn status(path: &Path) -> Result<Vec<Step>, StoreError> {
    let path = check_path(path)?;
    blocking(path.clone(), move || {
        let path = Path::new(&path);
        // Beside a running server: no lock is taken, and nothing is written but diesel's own table.
        let place = if path.exists() { path.display().to_string() } else { ":memory:".to_owned() };
        let mut conn = Conn::establish(&place).map_err(|source| failed("open", path, Box::new(source)))?;
        look(&mut conn, path)
    })
    .await
}

pub(crate) async fn up(path: &Path) -> Result<Vec<String>, StoreError> {
    changing(path, migrate).await
}

pub(crate) async fn down(path: &Path) -> Result<Option<String>, StoreError> {
    changing(path, |conn, path| {
        let steps = look(conn, path)?;
        if let Some(migration) = first_unknown(&steps) {
            return Err(StoreError::Newer { database: path.display().to_string(), migration: migration.to_owned() });
        }
        let Some(newest) = steps.into_iter().rfind(|step| step.is_applied) else { return Ok(None) };
        conn.revert_last_migration(MIGRATIONS).map_err(|source| bad_step(path, source))?;
        Ok(Some(newest.name))
    })
    .await
}

/// Works on a file that nobody else has open.
async fn changing<T, F>(path: &Path, work: F) -> Result<T, StoreError>
where
    F: FnOnce(&mut Conn, &Path) -> Result<T, StoreError> + Send + 'static,
    T: Send + 'static,
{
    let path = check_path(path)?;
    let lock = Arc::new(FileLock::take(Path::new(&path), Duration::ZERO).await?);
    let connector = Connector::writing(&path, BUSY_TIMEOUT, lock);
    blocking(path.clone(), move || {
        let path = Path::new(&path);
        super::lock::private().open(path).map_err(|source| failed("open", path, Box::new(source)))?;
        let mut conn = connector.open_blocking().map_err(|source| failed("open", path, Box::new(source)))?;
        work(&mut conn, path)
    })
    .await
}

async fn blocking<T: Send + 'static>(
    path: String,
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|gone| Err(failed("migrate", path, Box::new(gone))))
}

#[cfg(test)]
mod tests {
    use diesel::connection::SimpleConnection as _;
    use diesel::{QueryableByName, RunQueryDsl as _, sql_query};

    use super::*;

    #[derive(QueryableByName, Debug, PartialEq, Eq)]
    struct Object {
        #[diesel(sql_type = diesel::sql_types::Text)]
        name: String,
        #[diesel(sql_type = diesel::sql_types::Nullable<diesel::sql_types::Text>)]
        sql: Option<String>,
    }

    fn objects(conn: &mut Conn) -> Vec<Object> {
        sql_query("SELECT name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY name")
            .load(conn)
            .expect("lists")
    }

    /// Takes back the step of this version and all that follow.
    fn revert_to(conn: &mut Conn, version: &str) {
        loop {
            let reverted = conn.revert_last_migration(MIGRATIONS).expect("down");
            if reverted.to_string() == version {
                return;
            }
        }
    }

    #[test]
    fn down_and_up_again_is_the_same_schema() {
        let mut conn = Conn::establish(":memory:").expect("opens");
        migrate(&mut conn, Path::new("x")).expect("up");
        let first = objects(&mut conn);
        assert!(first.iter().any(|object| object.name == "webhook_deliveries_due"));
        conn.revert_all_migrations(MIGRATIONS).expect("down");
        let left: Vec<String> = objects(&mut conn).into_iter().map(|object| object.name).collect();
        assert_eq!(left, ["__diesel_schema_migrations"]);
        migrate(&mut conn, Path::new("x")).expect("up again");
        assert_eq!(objects(&mut conn), first);
    }

    /// SQLite cannot add a column only where it is missing, and need not: a step and the note that it
    /// was taken are one transaction.
    #[test]
    fn a_step_that_fails_leaves_nothing_and_is_taken_later() {
        let mut conn = Conn::establish(":memory:").expect("opens");
        migrate(&mut conn, Path::new("x")).expect("up");
        let first = objects(&mut conn);
        revert_to(&mut conn, "20261125090300");
        conn.batch_execute("CREATE TABLE webhook_deliveries_in_order (n INT)").expect("in the way, at the end");
        let before = objects(&mut conn);
        migrate(&mut conn, Path::new("x")).expect_err("the last statements of the step fail");
        assert_eq!(objects(&mut conn), before);
        conn.batch_execute("DROP TABLE webhook_deliveries_in_order").expect("out of the way");
        migrate(&mut conn, Path::new("x")).expect("up");
        assert_eq!(objects(&mut conn), first);
    }

    #[test]
    fn deliveries_of_an_earlier_version_go_on() {
        let mut conn = Conn::establish(":memory:").expect("opens");
        migrate(&mut conn, Path::new("x")).expect("up");
        revert_to(&mut conn, "20261125090300");
        conn.batch_execute(
            "INSERT INTO webhook_events VALUES (1, 'a', 'e', 'alert', '{}', 5);
             INSERT INTO webhook_deliveries (id, delivery_id, webhook_id, tenant_id, event_row, state, attempt, is_retry, due_at, created_at, ended_at)
             VALUES (7, 'd7', 1, 'a', 1, 'due', 2, 1, 90, 5, NULL), (8, 'd8', 1, 'a', 1, 'failed', 4, 1, 90, 5, 99),
                    (9, 'd9', 1, 'a', 1, 'due', 1, 0, 5, 5, NULL);
             DELETE FROM webhook_deliveries WHERE id = 9;",
        )
        .expect("inserts");
        migrate(&mut conn, Path::new("x")).expect("up");
        let rows: Vec<Object> = sql_query(
            "SELECT id || ' ' || state || ' ' || attempt || ' ' || is_retry || ' ' || due_at AS name, NULL AS sql
             FROM webhook_deliveries ORDER BY id",
        )
        .load(&mut conn)
        .expect("lists");
        let rows: Vec<String> = rows.into_iter().map(|row| row.name).collect();
        assert_eq!(
            rows,
            ["7 due 2 1 90", "8 failed 5 0 5"],
            "the next attempt's number; ended ones by their acceptance"
        );
        conn.batch_execute(
            "INSERT INTO webhook_deliveries (delivery_id, webhook_id, tenant_id, event_row, state, due_at, created_at)
             VALUES ('d', 1, 'a', 1, 'due', 5, 5)",
        )
        .expect("inserts");
        let newest: Object = sql_query("SELECT MAX(id) || '' AS name, NULL AS sql FROM webhook_deliveries")
            .get_result(&mut conn)
            .expect("reads");
        assert_eq!(newest.name, "10", "a number is never used again");
    }

    #[test]
    fn a_database_from_the_future_is_refused() {
        let mut conn = Conn::establish(":memory:").expect("opens");
        migrate(&mut conn, Path::new("x")).expect("up");
        conn.batch_execute("INSERT INTO __diesel_schema_migrations (version) VALUES ('29991231000000')")
            .expect("inserts");
        let refused = migrate(&mut conn, Path::new("x"));
        assert!(
            matches!(&refused, Err(StoreError::Newer { migration, .. }) if migration == "29991231000000"),
            "{refused:?}"
        );
    }
}
