//! Recent history over a restart.

use diesel::prelude::*;
use hookswitch_hub::SavedPart;
use hookswitch_protocol::TenantId;

use super::dialect::Conn;
use crate::schema::saved_history as saved;

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = saved)]
struct PartRow {
    tenant_id: String,
    part: i64,
    body: Vec<u8>,
}

/// Saves these parts, each in place of the one there.
pub(crate) fn save(conn: &mut Conn, parts: &[SavedPart]) -> QueryResult<()> {
    for part in parts {
        let row = PartRow {
            tenant_id: part.tenant.as_str().to_owned(),
            part: i64::from(part.number),
            body: part.body.to_vec(),
        };
        diesel::delete(saved::table.find((part.tenant.as_str(), row.part))).execute(conn)?;
        diesel::insert_into(saved::table).values(row).execute(conn)?;
    }
    Ok(())
}

/// Every part, which is saved no longer.
pub(crate) fn take(conn: &mut Conn) -> QueryResult<Vec<SavedPart>> {
    let rows: Vec<PartRow> =
        saved::table.order((saved::tenant_id, saved::part)).select(PartRow::as_select()).load(conn)?;
    diesel::delete(saved::table).execute(conn)?;
    // One that we cannot have written is of no use to anybody.
    let part = |row: PartRow| {
        let tenant = TenantId::parse(&row.tenant_id).ok()?;
        Some(SavedPart { tenant, number: u32::try_from(row.part).ok()?, body: row.body.into() })
    };
    Ok(rows.into_iter().filter_map(part).collect())
}
