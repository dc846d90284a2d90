//! Connections to the file: their settings, the migrations, the pool for reading.

use std::path::Path;
use std::time::Duration;

use diesel::connection::{Connection as _, SimpleConnection as _};
use diesel::{ConnectionError, ConnectionResult};
use diesel_async::pooled_connection::deadpool::{BuildError, Pool};
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod};
use diesel_async::sync_connection_wrapper::SyncConnectionWrapper;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness as _, embed_migrations};

use crate::config::StoreConfig;
use crate::dialect::Conn;
use crate::error::{Cause, StoreError};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations/sqlite");

/// A connection for async callers: each piece of work is one hop to a blocking thread.
pub(crate) type Wrapped = SyncConnectionWrapper<Conn>;

/// What each connection says when it opens.
const WRITER: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
                      PRAGMA journal_size_limit = 67108864;";
const READER: &str = "PRAGMA query_only = ON;";

/// Opens the writing connection. Blocks.
pub(crate) fn writer(path: &str, busy_timeout: Duration) -> ConnectionResult<Conn> {
    establish(path, busy_timeout, WRITER)
}

fn establish(path: &str, busy_timeout: Duration, pragmas: &str) -> ConnectionResult<Conn> {
    let mut conn = Conn::establish(path)?;
    let busy = format!("PRAGMA busy_timeout = {};", busy_timeout.as_millis());
    conn.batch_execute(&busy)
        .and_then(|()| conn.batch_execute(pragmas))
        .map_err(ConnectionError::CouldntSetupConfiguration)?;
    Ok(conn)
}

/// The pool for reading. Opens nothing yet.
pub(crate) fn readers(path: &str, config: &StoreConfig) -> Result<Pool<Wrapped>, BuildError> {
    let busy_timeout = config.busy_timeout;
    let mut setup = ManagerConfig::default();
    // A file does not go away like a server does: no query to find out whether it still answers.
    setup.recycling_method = RecyclingMethod::Fast;
    setup.custom_setup = Box::new(move |path: &str| {
        let path = path.to_owned();
        Box::pin(async move {
            let opened = tokio::task::spawn_blocking(move || establish(&path, busy_timeout, READER)).await;
            opened.unwrap_or_else(|gone| Err(ConnectionError::BadConnection(gone.to_string()))).map(Wrapped::new)
        })
    });
    Pool::builder(AsyncDieselConnectionManager::new_with_config(path, setup))
        .max_size(config.n_readers.max(1))
        .runtime(deadpool::Runtime::Tokio1)
        .wait_timeout(Some(config.wait))
        .create_timeout(Some(config.wait))
        .build()
}

/// Brings the tables up to date; refuses a database from the future. Blocks.
pub(crate) fn migrate(conn: &mut Conn, path: &Path) -> Result<(), StoreError> {
    let failed = |source: Cause| StoreError::File { operation: "migrate", path: path.to_owned(), source };
    let known: Vec<String> = conn_migrations().map_err(failed)?;
    // Diesel lists the newest first; the oldest unknown one says most.
    let applied = conn.applied_migrations().map_err(failed)?;
    let unknown = applied.iter().rev().map(ToString::to_string).find(|version| !known.contains(version));
    if let Some(migration) = unknown {
        return Err(StoreError::Newer { path: path.to_owned(), migration });
    }
    conn.run_pending_migrations(MIGRATIONS).map_err(failed)?;
    Ok(())
}

fn conn_migrations() -> Result<Vec<String>, Cause> {
    use diesel::migration::{Migration, MigrationSource as _};
    let all: Vec<Box<dyn Migration<diesel::sqlite::Sqlite>>> = MIGRATIONS.migrations()?;
    Ok(all.iter().map(|migration| migration.name().version().to_string()).collect())
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn down_and_up_again_is_the_same_schema_and_every_step_may_run_twice() {
        let mut conn = Conn::establish(":memory:").expect("opens");
        migrate(&mut conn, Path::new("x")).expect("up");
        let first = objects(&mut conn);
        assert!(first.iter().any(|object| object.name == "webhook_deliveries_due"));
        conn.revert_all_migrations(MIGRATIONS).expect("down");
        let left: Vec<String> = objects(&mut conn).into_iter().map(|object| object.name).collect();
        assert_eq!(left, ["__diesel_schema_migrations"]);
        migrate(&mut conn, Path::new("x")).expect("up again");
        assert_eq!(objects(&mut conn), first);
        conn.batch_execute("DELETE FROM __diesel_schema_migrations").expect("forgets");
        migrate(&mut conn, Path::new("x")).expect("every step a second time");
        assert_eq!(objects(&mut conn), first);
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
