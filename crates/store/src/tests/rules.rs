//! What a migration may do to a table that a fleet is using.

use std::collections::BTreeSet;

use crate::migrate::{OUTSIDE, STEP};
use crate::store::MIGRATIONS;

/// Migrations from before the rules, two whose checks and index are on `tenants`, of which there are few, and one that writes
/// the counted lines anew, which are as few.
const EXEMPT: [i64; 5] = [1, 2, 7, 8, 41];

/// What is wrong with a migration.
fn faults(sql: &str) -> Vec<String> {
    let outside = sql.starts_with(OUTSIDE);
    let code: Vec<&str> = sql
        .lines()
        .filter(|line| *line == STEP || !line.trim_start().starts_with("--"))
        .collect();
    let code = code.join("\n").to_lowercase().replace(STEP, ";");
    let words = |statement: &str| statement.split_whitespace().collect::<Vec<_>>().join(" ");
    // What stands in quotes or in the body of a function is no statement.
    let mut statements = Vec::new();
    for (at, part) in code.split("$$").enumerate() {
        if at % 2 == 0 {
            statements.extend(part.split(';').map(words));
        }
    }
    let made: BTreeSet<String> = statements
        .iter()
        .filter_map(|statement| statement.strip_prefix("create table "))
        .filter_map(|rest| {
            rest.trim_start_matches("if not exists ")
                .split([' ', '('])
                .next()
        })
        .map(str::to_owned)
        .collect();
    let mut faults = Vec::new();
    let mut fault = |statement: &str, what: &str| faults.push(format!("{what}: {statement}"));
    for statement in &statements {
        let index = ["create index", "create unique index"]
            .iter()
            .any(|begin| statement.starts_with(begin));
        let table = statement
            .split(" on ")
            .nth(1)
            .unwrap_or_default()
            .split([' ', '('])
            .next()
            .unwrap_or_default();
        if index && !made.contains(table) {
            if !statement.contains(" concurrently ") {
                fault(
                    statement,
                    "an index that is not made concurrently holds up every write",
                );
            } else if !statement.contains(" if not exists ") {
                fault(
                    statement,
                    "an index is made again after a failure: say `if not exists`",
                );
            }
        }
        if statement.contains(" concurrently ") && !outside {
            fault(
                statement,
                "this needs a file that begins with `-- outside a transaction`",
            );
        }
        let Some(rest) = statement.strip_prefix("alter table ") else {
            continue;
        };
        let table = rest
            .trim_start_matches("if exists ")
            .split(' ')
            .next()
            .unwrap_or_default();
        if made.contains(table) {
            continue;
        }
        if rest.contains("add constraint") {
            let reads = rest.contains(" check ")
                || rest.contains(" check(")
                || rest.contains("foreign key");
            if reads && !rest.contains("not valid") {
                fault(
                    statement,
                    "a check reads the whole table under a lock: add it `not valid`, then validate it",
                );
            }
            let index = rest.contains("unique") || rest.contains("primary key");
            if index && !rest.contains("using index") {
                fault(
                    statement,
                    "make the index concurrently first, then add the constraint `using index`",
                );
            }
            let name = rest
                .split("add constraint ")
                .nth(1)
                .unwrap_or_default()
                .split(' ')
                .next()
                .unwrap_or_default();
            let validated = format!("validate constraint {name}");
            if reads && !statements.iter().any(|other| other.contains(&validated)) {
                fault(
                    statement,
                    "a check that is never validated holds for new rows only",
                );
            }
            if !outside {
                fault(
                    statement,
                    "adding and validating in one transaction keeps the lock: this needs a file that begins with `-- outside a transaction`",
                );
            }
        } else if rest.contains("add column")
            && (rest.contains(" check ")
                || rest.contains(" check(")
                || rest.contains(" references "))
        {
            fault(
                statement,
                "a column with a check or a reference reads the whole table under a lock: add the check on its own",
            );
        }
        for slow in [
            "set not null",
            " type ",
            "set data type",
            "set logged",
            "set unlogged",
            "set tablespace",
        ] {
            if rest.contains(slow) {
                fault(
                    statement,
                    "this reads or writes the whole table under a lock",
                );
            }
        }
        if outside && rest.contains("add column") && !rest.contains("if not exists") {
            fault(
                statement,
                "a statement outside a transaction is repeated after a failure: say `if not exists`",
            );
        }
    }
    faults
}

#[test]
fn migrations_hold_up_nobody() {
    for (version, name, sql) in MIGRATIONS {
        if !EXEMPT.contains(&version) {
            assert_eq!(faults(sql), Vec::<String>::new(), "{version:04}_{name}");
        }
    }
}

#[test]
fn what_would_hold_somebody_up_is_found() {
    let outside = |sql: &str| format!("{OUTSIDE}\n{sql}");
    for sql in [
        "create index a on edits (model);",
        "create index concurrently if not exists a on edits (model);",
        "alter table edits add constraint a check (seq > 0);",
        "alter table edits add constraint a check (seq > 0) not valid; alter table edits validate constraint a;",
        "alter table edits add column a integer check (a > 0);",
        "alter table edits alter column seq type integer;",
        &outside("create index concurrently a on edits (model);"),
        &outside("alter table edits add constraint a check (seq > 0) not valid;"),
        &outside("alter table edits add column a integer;"),
    ] {
        assert!(!faults(sql).is_empty(), "{sql}");
    }
    for sql in [
        "create table a (id uuid primary key, b uuid references edits); create index a_b on a (b);",
        "alter table edits add column a integer not null default 0; -- add constraint b check (a > 0)",
        &outside(
            "alter table edits drop constraint if exists a, add constraint a check (seq > 0) not valid;\n-- step\n
             alter table edits validate constraint a;",
        ),
    ] {
        assert_eq!(faults(sql), Vec::<String>::new(), "{sql}");
    }
}
