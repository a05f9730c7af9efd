//! The fleet as a whole: pausing the release, and dead letters.

use limekiln_jobs::EditId;
use limekiln_jobs::api::{DeadLetter, DeadLetterPage};

use crate::row::{get, id, id_opt, int, json, name, readable, tiny, word};
use crate::{Result, Store};

impl Store {
    /// Stops the release of edits; running ones go on.
    pub async fn fleet_pause(&self) -> Result<()> {
        self.count("fleet_pause", sqlx::query("update fleet set paused = true"))
            .await?;
        Ok(())
    }

    /// Lets the release go on.
    pub async fn fleet_resume(&self) -> Result<()> {
        self.count(
            "fleet_resume",
            sqlx::query("update fleet set paused = false"),
        )
        .await?;
        Ok(())
    }

    /// Whether the release is stopped.
    pub async fn fleet_paused(&self) -> Result<bool> {
        self.value(
            "fleet_paused",
            sqlx::query_scalar("select paused from fleet"),
        )
        .await
    }

    /// Failed edits of the classes internal and poison, of all tenants, older than `after`.
    pub async fn dead_letters(&self, after: Option<EditId>, limit: u32) -> Result<DeadLetterPage> {
        let rows = self
            .rows(
                "dead_letters",
                sqlx::query(
                    "select id, tenant_id, model, class, error, attempts, worker_id, finished_at
                    from edits
                    where state = 'failed' and error ->> 'class' in ('internal', 'hang', 'poison')
                        and ($1::uuid is null or id < $1)
                    order by id desc
                    limit $2",
                )
                .bind(after.map(EditId::uuid))
                .bind(int(limit)),
            )
            .await?;
        let dead_letters = readable("dead_letters", &rows, |row| {
            Ok(DeadLetter {
                edit: id(row, "id")?,
                tenant: id(row, "tenant_id")?,
                model: name(row, "model")?,
                class: word(row, "class")?,
                failure: json(get(row, "error")?, "error")?,
                attempts: tiny(row, "attempts")?,
                worker: id_opt(row, "worker_id")?,
                finished_at: get(row, "finished_at")?,
            })
        });
        let full = rows.len() == usize::try_from(limit).unwrap_or(usize::MAX);
        let last = rows.last().map(|row| id(row, "id")).transpose()?;
        let next = last.filter(|_| full);
        Ok(DeadLetterPage { dead_letters, next })
    }
}
