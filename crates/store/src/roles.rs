//! A role in Postgres for each component, with the rights that its statements need and no others. Only `limekiln migrate`
//! changes tables, and makes keys; a worker, which runs what strangers sent, reads neither keys nor secrets of webhooks.

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::conn::deadline;
use crate::{Error, Result, Store};

/// A kind of process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Component {
    /// `limekiln serve`.
    Gateway,
    /// `limekiln coordinate`.
    Coordinator,
    /// `limekiln work`.
    Worker,
}

/// What each may do with a table: gateway, coordinator, worker. Nothing is said of what follows from it: triggers and foreign
/// keys act with the rights of the tables' owner.
pub(crate) const GRANTS: &[(&str, [&str; 3])] = &[
    ("_sqlx_migrations", ["select", "select", "select"]),
    ("api_keys", ["select, update (used_at)", "", ""]),
    ("sign_ins", ["select, insert, delete", "", ""]),
    ("tenants", ["select, update", "select, update, delete", ""]),
    (
        "images",
        [
            "select, insert, update, delete",
            "select, update, delete",
            "select",
        ],
    ),
    (
        "sessions",
        [
            "select, insert, update, delete",
            "select, update, delete",
            "",
        ],
    ),
    ("turns", ["select, insert, update", "select", ""]),
    (
        "session_branches",
        ["select, insert, update, delete", "", ""],
    ),
    ("session_events", ["select", "select, delete", ""]),
    ("batches", ["select, insert", "select, delete", ""]),
    (
        "catalogs",
        ["select, insert, update", "select, update, delete", ""],
    ),
    (
        "files",
        [
            "select, insert, update, delete",
            "select, update, delete",
            "",
        ],
    ),
    (
        "file_parts",
        ["select, insert, delete", "select, delete", ""],
    ),
    ("openai_batches", ["select, insert, update", "select", ""]),
    ("openai_batch_lines", ["select, insert", "", ""]),
    ("sources", ["select, insert, update, delete", "select", ""]),
    (
        "catalog_pictures",
        ["select, insert, update", "select, delete", ""],
    ),
    ("catalog_bases", ["select, insert", "select", ""]),
    (
        "catalog_rows",
        ["select, insert, update", "select, update, delete", ""],
    ),
    (
        "edits",
        [
            "select, insert, update, delete",
            "select, insert, update, delete",
            "select, update",
        ],
    ),
    (
        "edit_events",
        ["select, delete", "select, delete", "select"],
    ),
    ("artifacts", ["select", "select", "select, insert"]),
    (
        "intermediates",
        ["", "select, delete", "select, insert, update, delete"],
    ),
    ("lines", ["select", "select, insert, update, delete", ""]),
    ("line_changes", ["select", "select, insert, delete", ""]),
    ("line_folds", ["", "select, insert, update", ""]),
    (
        "usage",
        [
            "select, insert, update",
            "select, insert, update, delete",
            "",
        ],
    ),
    ("usage_erased", ["", "select, insert, update", ""]),
    (
        "workers",
        [
            "select, update",
            "select, update, delete",
            "select, insert, update, delete",
        ],
    ),
    ("webhooks", ["", "select, update, delete", ""]),
    (
        "fleet",
        [
            "select, update",
            "select, update (reaped_at, leases_held_since, pruned_at, marked_at, newest_edit, walk_began_at, walk_seen_at, sweep_stopped)",
            "select, update (marked_at, newest_edit)",
        ],
    ),
    (
        "sweep_candidates",
        ["", "select, insert, update, delete", ""],
    ),
    (
        "blob_deletions",
        ["select, insert", "select, insert, update, delete", ""],
    ),
];

/// What came of [`Store::roles_grant`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Roles {
    /// The roles, one a component.
    pub names: Vec<String>,
    /// What only somebody else can do, and how.
    pub advice: Vec<String>,
}

impl Component {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Gateway, Self::Coordinator, Self::Worker];

    /// The name of its role: `limekiln_gateway` for the prefix `limekiln`.
    pub fn role(self, prefix: &str) -> String {
        let name = match self {
            Self::Gateway => "gateway",
            Self::Coordinator => "coordinator",
            Self::Worker => "worker",
        };
        format!("{prefix}_{name}")
    }
}

impl Store {
    /// Gives each component's role its rights on the tables as they are now, and takes all others on them. Roles that are
    /// missing are created, without the right to log in. Without a `prefix` it is that of an earlier call; none: nothing happens.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a prefix that is no plain name; [`Error::Role`] when a role is missing and this one may make none.
    pub async fn roles_grant(&self, prefix: Option<&str>) -> Result<Option<Roles>> {
        if let Some(prefix) = prefix {
            check(prefix)?;
        }
        let mut conn = self.conn().await?;
        let roles = deadline_long(grant(conn.get(), prefix)).await?;
        conn.done_with("roles_grant");
        Ok(roles)
    }
}

fn check(prefix: &str) -> Result<()> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let starts = prefix.starts_with(|c: char| c.is_ascii_lowercase());
    if starts && prefix.len() <= 40 && prefix.chars().all(plain) && !prefix.starts_with("pg_") {
        return Ok(());
    }
    Err(Error::Invalid {
        field: "roles",
        message: "the roles' prefix must be 1 to 40 of a-z, 0-9 and _, a letter first".to_owned(),
    })
}

/// All of it or nothing, so that no process is without its rights meanwhile.
async fn grant(conn: &mut PgConnection, prefix: Option<&str>) -> Result<Option<Roles>> {
    let mut tx = conn.begin().await?;
    // Who migrates at the same time waits.
    run(
        &mut tx,
        "select pg_advisory_xact_lock(hashtext('limekiln roles'))",
    )
    .await?;
    let remembered: Option<String> = match prefix {
        Some(prefix) => {
            run(&mut tx, &format!("update fleet set roles = '{prefix}'")).await?;
            Some(prefix.to_owned())
        }
        None => {
            sqlx::query_scalar("select roles from fleet")
                .fetch_one(&mut *tx)
                .await?
        }
    };
    let Some(prefix) = remembered else {
        return Ok(None);
    };
    check(&prefix)?;
    let schema: String = sqlx::query_scalar("select quote_ident(current_schema())")
        .fetch_one(&mut *tx)
        .await?;
    let mut roles = Roles::default();
    for (place, component) in Component::ALL.into_iter().enumerate() {
        let role = component.role(&prefix);
        create(&mut tx, &role).await?;
        run(
            &mut tx,
            &format!(
                "revoke all on all tables in schema {schema} from {role};
                revoke all on schema {schema} from {role};
                grant usage on schema {schema} to {role}"
            ),
        )
        .await?;
        for (table, rights) in GRANTS {
            let rights = rights[place];
            if !rights.is_empty() {
                let grant = format!("grant {rights} on {schema}.{table} to {role}");
                run(&mut tx, &grant).await?;
            }
        }
        if component == Component::Coordinator {
            // It drops and makes parts of edit_events, with the rights of who made it.
            let grant = format!(
                "grant execute on function {schema}.events_months(double precision) to {role}"
            );
            run(&mut tx, &grant).await?;
        }
        roles.names.push(role);
    }
    // What a trigger writes is not the right of whoever set it off.
    run(&mut tx, DEFINERS).await?;
    roles.advice = closed(&mut tx, &schema, &roles.names).await?;
    tx.commit().await?;
    Ok(Some(roles))
}

const DEFINERS: &str = "
    do $$
    declare
        one regprocedure;
    begin
        for one in
            select p.oid from pg_proc p
            where p.pronamespace = current_schema()::regnamespace and p.prorettype = 'trigger'::regtype
        loop
            execute format('alter function %s security definer set search_path = %I, pg_temp', one, current_schema());
        end loop;
    end
    $$";

/// Creates the role unless it is there.
async fn create(conn: &mut PgConnection, role: &str) -> Result<()> {
    let there: bool = sqlx::query_scalar("select exists (select from pg_roles where rolname = $1)")
        .bind(role)
        .fetch_one(&mut *conn)
        .await?;
    if there {
        return Ok(());
    }
    let made = run(conn, &format!("create role {role} nologin")).await;
    match made {
        Err(Error::Database(sqlx::Error::Database(error)))
            if error.code().as_deref() == Some("42501") =>
        {
            Err(Error::Role(role.to_owned()))
        }
        made => made,
    }
}

/// Before PostgreSQL 15 anybody may create tables in `public`. What stays open, with advice.
async fn closed(conn: &mut PgConnection, schema: &str, roles: &[String]) -> Result<Vec<String>> {
    let owned: bool = sqlx::query_scalar(
        "select pg_has_role(nspowner, 'usage') from pg_namespace where nspname = current_schema()",
    )
    .fetch_one(&mut *conn)
    .await?;
    if owned {
        run(
            conn,
            &format!("revoke create on schema {schema} from public"),
        )
        .await?;
    }
    let open: bool = sqlx::query_scalar(
        "select coalesce(bool_or(has_schema_privilege(r, current_schema(), 'create')), false) from unnest($1::text[]) r",
    )
    .bind(roles)
    .fetch_one(&mut *conn)
    .await?;
    let mut advice = Vec::new();
    if open {
        advice.push(format!(
            "every role may create tables in this schema: have its owner run `revoke create on schema {schema} from public`, after a grant of it \
            to the role that migrates"
        ));
    }
    let locked: Vec<String> = sqlx::query_scalar(
        "select r.rolname::text from pg_roles r
        where r.rolname = any ($1) and not r.rolcanlogin
            and not exists (
                select from pg_auth_members m
                where m.roleid = r.oid and m.member <> (select oid from pg_roles where rolname = current_user)
            )
        order by r.rolname",
    )
    .bind(roles)
    .fetch_all(conn)
    .await?;
    for role in locked {
        advice.push(format!(
            "nobody can log in as {role} yet: `alter role {role} login password '...'`"
        ));
    }
    Ok(advice)
}

async fn run(conn: &mut PgConnection, sql: &str) -> Result<()> {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(conn)
        .await?;
    Ok(())
}

async fn deadline_long<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    deadline(async { Ok(work.await) }).await?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_plain_names() {
        for prefix in ["limekiln", "a", "fleet_2"] {
            assert!(check(prefix).is_ok(), "{prefix}");
        }
        for prefix in [
            "",
            "2",
            "Kiln",
            "a-b",
            "a'b",
            "pg_x",
            "a; drop",
            &"a".repeat(41),
        ] {
            assert!(check(prefix).is_err(), "{prefix}");
        }
    }
}
