//! How moments stand in the tables of the contract: in SQLite as UTC text that sorts, in MySQL as a `TIMESTAMP`.

use chrono::{DateTime, NaiveDateTime};
use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types;
use diesel::sqlite::Sqlite;
use hookswitch_protocol::Timestamp;

/// A moment in a `TIMESTAMP` column, in SQLite written as `2025-10-25 12:00:00.123`.
///
/// Reading from SQLite takes every spelling SQLite's own functions produce; a hand-made row with something else,
/// and MySQL's `0000-00-00`, reads as 1970 instead of making the whole table unreadable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, AsExpression, FromSqlRow)]
#[diesel(sql_type = sql_types::Timestamp)]
pub(crate) struct SqlTime(pub(crate) Timestamp);

/// A moment to compare a `TIMESTAMP` column with: in SQLite the shortest spelling, which sorts before or with
/// every longer spelling of the same moment, so that `>=` also finds rows written without milliseconds.
#[derive(Debug, Clone, Copy, AsExpression)]
#[diesel(sql_type = sql_types::Timestamp)]
pub(crate) struct SqlBound(pub(crate) Timestamp);

fn spell(moment: Timestamp) -> String {
    // Timestamps are clamped to years 0 to 9999, all of which chrono knows.
    let moment = DateTime::from_timestamp_millis(moment.as_millis()).unwrap_or_default();
    moment.format("%Y-%m-%d %H:%M:%S%.3f").to_string()
}

impl ToSql<sql_types::Timestamp, Sqlite> for SqlTime {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(spell(self.0));
        Ok(IsNull::No)
    }
}

impl ToSql<sql_types::Timestamp, Sqlite> for SqlBound {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        let mut text = spell(self.0);
        text.truncate(text.trim_end_matches('0').trim_end_matches('.').len().max("2025-10-25 12:00:00".len()));
        out.set_value(text);
        Ok(IsNull::No)
    }
}

impl FromSql<sql_types::Timestamp, Sqlite> for SqlTime {
    fn from_sql(value: <Sqlite as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        let read = <NaiveDateTime as FromSql<sql_types::Timestamp, Sqlite>>::from_sql(value);
        let millis = read.map_or(0, |moment| moment.and_utc().timestamp_millis());
        Ok(Self(Timestamp::from_millis(millis)))
    }
}

/// The last second that every MySQL and MariaDB can keep in a `TIMESTAMP`, 2038-01-19 03:14:07.
#[cfg(feature = "mysql")]
const LAST_MILLIS: i64 = 0x7fff_ffff * 1_000;

#[cfg(feature = "mysql")]
mod mysql {
    use diesel::mysql::Mysql;

    use super::{
        Backend, DateTime, FromSql, LAST_MILLIS, NaiveDateTime, Output, SqlBound, SqlTime, Timestamp, ToSql,
        deserialize, serialize, sql_types,
    };

    /// The nearest moment that the column can hold.
    fn write(moment: Timestamp, out: &mut Output<'_, '_, Mysql>) -> serialize::Result {
        let millis = moment.as_millis().clamp(1_000, LAST_MILLIS);
        let moment = DateTime::from_timestamp_millis(millis).unwrap_or_default().naive_utc();
        <NaiveDateTime as ToSql<sql_types::Timestamp, Mysql>>::to_sql(&moment, &mut out.reborrow())
    }

    impl ToSql<sql_types::Timestamp, Mysql> for SqlTime {
        fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Mysql>) -> serialize::Result {
            write(self.0, out)
        }
    }

    impl ToSql<sql_types::Timestamp, Mysql> for SqlBound {
        fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Mysql>) -> serialize::Result {
            write(self.0, out)
        }
    }

    impl FromSql<sql_types::Timestamp, Mysql> for SqlTime {
        fn from_sql(value: <Mysql as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
            let read = <NaiveDateTime as FromSql<sql_types::Timestamp, Mysql>>::from_sql(value);
            let millis = read.map_or(0, |moment| moment.and_utc().timestamp_millis());
            Ok(Self(Timestamp::from_millis(millis)))
        }
    }
}

#[cfg(test)]
mod tests {
    use diesel::connection::Connection as _;
    use diesel::dsl::sql;
    use diesel::{ExpressionMethods as _, IntoSql as _, RunQueryDsl as _, SqliteConnection};

    use super::*;

    fn memory() -> SqliteConnection {
        SqliteConnection::establish(":memory:").expect("opens")
    }

    #[test]
    fn it_is_written_with_milliseconds_and_read_in_every_spelling() {
        let mut conn = memory();
        let moment = Timestamp::parse("2025-10-25T12:00:00Z").expect("legal");
        let text: String =
            diesel::select(sql::<sql_types::Text>("").bind::<sql_types::Timestamp, _>(SqlTime(moment)).sql(""))
                .get_result(&mut conn)
                .expect("selects");
        assert_eq!(text, "2025-10-25 12:00:00.000");
        for spelling in ["'2025-10-25 12:00:00'", "'2025-10-25 12:00:00.000'", "'2025-10-25T12:00:00Z'"] {
            let read: SqlTime =
                diesel::select(sql::<sql_types::Timestamp>(spelling)).get_result(&mut conn).expect("selects");
            assert_eq!(read, SqlTime(moment), "{spelling}");
        }
        let read: SqlTime =
            diesel::select(sql::<sql_types::Timestamp>("'soon'")).get_result(&mut conn).expect("selects");
        assert_eq!(read.0.as_millis(), 0);
    }

    #[test]
    fn a_bound_finds_the_same_moment_in_every_spelling() {
        let mut conn = memory();
        let mut at_or_after = |row: &str, bound: &str| -> bool {
            let bound = SqlBound(Timestamp::parse(bound).expect("legal"));
            diesel::select(sql::<sql_types::Timestamp>(row).ge(bound.into_sql::<sql_types::Timestamp>()))
                .get_result(&mut conn)
                .expect("selects")
        };
        assert!(at_or_after("'2025-10-25 12:00:00'", "2025-10-25T12:00:00Z"));
        assert!(at_or_after("'2025-10-25 12:00:00.000'", "2025-10-25T12:00:00Z"));
        assert!(at_or_after("'2025-10-25 12:00:00.5'", "2025-10-25T12:00:00.500Z"));
        assert!(at_or_after("'2025-10-25 12:00:10'", "2025-10-25T12:00:10Z"));
        assert!(!at_or_after("'2025-10-25 12:00:00'", "2025-10-25T12:00:00.001Z"));
        assert!(!at_or_after("'2025-10-25 11:59:59.999'", "2025-10-25T12:00:00Z"));
    }
}
