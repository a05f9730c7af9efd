//! Pictures that rows name by their address. They are asked for once for all rows of a catalog; whoever settles one holds the catalog's
//! row first, then the picture's, then those of its rows.

use std::time::Duration;

use limekiln_jobs::{BatchId, Digest, ImageId, TenantId};
use sqlx::Connection;
use sqlx::postgres::{PgConnection, PgRow};
use uuid::Uuid;

use super::rows::NewRow;
use crate::conn::deadline;
use crate::row::{clean, get, id, int, small};
use crate::{Result, Store};

/// A picture that a row names by its address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPicture {
    /// Of its address: the same again is the same picture.
    pub id: Uuid,
    /// Address of the picture, `https://` or `s3://`.
    pub address: String,
    /// What pictures of one place share.
    pub host: String,
}

/// A picture that is to be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PictureDue {
    /// The catalog whose rows name it.
    pub catalog: BatchId,
    /// Tenant of the catalog.
    pub tenant: TenantId,
    /// Of its address.
    pub id: Uuid,
    /// Address of the picture, `https://` or `s3://`.
    pub address: String,
    /// How often it was tried, this time included.
    pub tries: u32,
    /// Names this claim; what came is written only while it is the picture's newest.
    pub lease: Uuid,
}

/// What became of a picture that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PictureSettled {
    /// Its rows wait for their turn.
    There,
    /// It is another one than the first time: its rows failed.
    Changed,
    /// It is another's by now, or nobody needs it.
    Lost,
}

/// What becomes of a picture's rows.
enum Outcome<'a> {
    There(ImageId, Digest),
    Failed(&'a str),
}

impl Store {
    /// Claims up to `limit` pictures that are due, of each host as many as `per_host`, for so long.
    pub async fn catalog_pictures_claim(
        &self,
        limit: u32,
        per_host: u32,
        lease: Duration,
    ) -> Result<Vec<PictureDue>> {
        let statement = sqlx::query(include_str!("../sql/catalog_pictures_claim.sql"))
            .bind(int(limit))
            .bind(int(per_host))
            .bind(Uuid::now_v7())
            .bind(lease.as_secs_f64());
        let rows = self.rows("catalog_pictures_claim", statement).await?;
        let mut due = Vec::with_capacity(rows.len());
        for row in &rows {
            if get::<&str>(row, "state")? == "waiting" {
                due.push(picture(row)?);
            }
        }
        Ok(due)
    }

    /// A picture came, and is this image now: its rows wait for their turn, unless it is another one than the first time.
    pub async fn catalog_picture_there(
        &self,
        due: &PictureDue,
        image: ImageId,
        digest: Digest,
    ) -> Result<PictureSettled> {
        self.catalog_picture_settle(due, Outcome::There(image, digest))
            .await
    }

    /// A picture can't be had: its rows fail for this reason.
    pub async fn catalog_picture_failed(&self, due: &PictureDue, why: &str) -> Result<()> {
        self.catalog_picture_settle(due, Outcome::Failed(why))
            .await
            .map(drop)
    }

    /// A picture can't be had now: it is asked for again after so long, and its rows say why they wait.
    pub async fn catalog_picture_put_off(
        &self,
        due: &PictureDue,
        wait: Duration,
        why: &str,
    ) -> Result<()> {
        let sql =
            "update catalog_pictures p set due_at = now() + make_interval(secs => $4), error = $5
            where p.catalog_id = $1 and p.id = $2 and p.lease = $3 and p.state = 'waiting'";
        let statement = sqlx::query(sql)
            .bind(due.catalog.uuid())
            .bind(due.id)
            .bind(due.lease)
            .bind(wait.as_secs_f64())
            .bind(clean(why));
        self.count("catalog_picture_put_off", statement)
            .await
            .map(drop)
    }

    async fn catalog_picture_settle(
        &self,
        due: &PictureDue,
        outcome: Outcome<'_>,
    ) -> Result<PictureSettled> {
        let mut conn = self.conn().await?;
        let settled = deadline(async {
            let mut tx = conn.get().begin().await?;
            let settled = settle(&mut tx, due, outcome).await;
            match &settled {
                Ok(_) => tx.commit().await?,
                Err(_) => tx.rollback().await?,
            }
            Ok(settled)
        });
        let settled = settled.await?;
        conn.done_with("catalog_picture_settle");
        settled
    }
}

async fn settle(
    tx: &mut PgConnection,
    due: &PictureDue,
    outcome: Outcome<'_>,
) -> Result<PictureSettled> {
    let held = "select c.id from catalogs c where c.id = $1 and c.ended_at is null and c.cancelled_at is null for no key update";
    let held = sqlx::query(held)
        .bind(due.catalog.uuid())
        .fetch_optional(&mut *tx)
        .await?;
    let (image, digest, mut why) = match outcome {
        Outcome::There(image, digest) => (Some(image), Some(digest), None),
        Outcome::Failed(why) => (None, None, Some(why)),
    };
    let found = "select p.digest from catalog_pictures p
        where p.catalog_id = $1 and p.id = $2 and p.lease = $3 and p.state = 'waiting' for update";
    let found = sqlx::query(found)
        .bind(due.catalog.uuid())
        .bind(due.id)
        .bind(due.lease)
        .fetch_optional(&mut *tx)
        .await?;
    let (Some(_), Some(found)) = (held, found) else {
        return Ok(PictureSettled::Lost);
    };
    let first: Option<&[u8]> = get(&found, "digest")?;
    let changed = match (first, &digest) {
        (Some(first), Some(digest)) => first != digest.bytes(),
        _ => false,
    };
    if changed {
        why = Some(
            "its picture is another one than when it was fetched first: give the new one an address of its own",
        );
    }
    sqlx::query(
        "update catalog_pictures p
        set state = case when $3::text is null then 'there' else 'failed' end, error = $3,
            image_id = case when $3::text is null then $4::uuid end, digest = coalesce(p.digest, $5::bytea), lease = null
        where p.catalog_id = $1 and p.id = $2",
    )
    .bind(due.catalog.uuid())
    .bind(due.id)
    .bind(why.map(clean))
    .bind(image.map(ImageId::uuid))
    .bind(digest.map(|digest| digest.bytes().to_vec()))
    .execute(&mut *tx)
    .await?;
    let moved = sqlx::query(
        "update catalog_rows r
        set state = case when $3::text is null then 'waiting' else 'failed' end, image_id = coalesce($4::uuid, r.image_id), error = $3,
            ended_at = case when $3::text is not null then now() end
        where r.catalog_id = $1 and r.picture_id = $2 and r.state = 'fetching'",
    )
    .bind(due.catalog.uuid())
    .bind(due.id)
    .bind(why.map(clean))
    .bind(image.filter(|_| why.is_none()).map(ImageId::uuid))
    .execute(&mut *tx)
    .await?
    .rows_affected();
    let failed = if why.is_some() { moved } else { 0 };
    sqlx::query(
        "update catalogs set waiting = waiting - $2, failed = failed + $2, version = version + 1 where id = $1",
    )
    .bind(due.catalog.uuid())
    .bind(crate::row::big(failed))
    .execute(tx)
    .await?;
    Ok(match (changed, why) {
        (true, _) => PictureSettled::Changed,
        _ => PictureSettled::There,
    })
}

/// Writes what rows name by its address, before the rows themselves. One that failed before is asked for again.
pub(super) async fn pictures_add(
    tx: &mut PgConnection,
    catalog: BatchId,
    rows: &[NewRow],
) -> Result<()> {
    let mut pictures: Vec<&NewPicture> =
        rows.iter().filter_map(|row| row.picture.as_ref()).collect();
    if pictures.is_empty() {
        return Ok(());
    }
    pictures.sort_unstable_by_key(|picture| picture.id);
    pictures.dedup_by_key(|picture| picture.id);
    // Held by whoever settles one, too: none of these rows is missed.
    sqlx::query("select from catalogs where id = $1 for no key update")
        .bind(catalog.uuid())
        .execute(&mut *tx)
        .await?;
    sqlx::query(
        "insert into catalog_pictures as p (catalog_id, id, address, host)
        select $1, a.id, a.address, a.host from unnest($2::uuid[], $3::text[], $4::text[]) as a (id, address, host) order by a.id
        on conflict (catalog_id, id) do update
        set state = 'waiting', tries = 0, due_at = now(), error = null
        where p.state = 'failed'",
    )
    .bind(catalog.uuid())
    .bind(pictures.iter().map(|one| one.id).collect::<Vec<_>>())
    .bind(pictures.iter().map(|one| clean(&one.address)).collect::<Vec<_>>())
    .bind(pictures.iter().map(|one| clean(&one.host)).collect::<Vec<_>>())
    .execute(tx)
    .await?;
    Ok(())
}

/// Rows of pictures that are there already wait for their turn.
pub(super) async fn pictures_known(
    tx: &mut PgConnection,
    catalog: BatchId,
    rows: &[NewRow],
) -> Result<()> {
    let numbers = rows.iter().filter(|row| row.picture.is_some());
    let numbers: Vec<i64> = numbers.map(|row| crate::row::big(row.number)).collect();
    if numbers.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "update catalog_rows r set state = 'waiting', image_id = p.image_id
        from catalog_pictures p
        where r.catalog_id = $1 and r.number = any ($2) and r.state = 'fetching'
            and p.catalog_id = $1 and p.id = r.picture_id and p.state = 'there'",
    )
    .bind(catalog.uuid())
    .bind(numbers)
    .execute(tx)
    .await?;
    Ok(())
}

fn picture(row: &PgRow) -> Result<PictureDue> {
    Ok(PictureDue {
        catalog: id(row, "catalog_id")?,
        tenant: id(row, "tenant_id")?,
        id: get(row, "id")?,
        address: get(row, "address")?,
        tries: small(row, "tries")?,
        lease: get(row, "lease")?,
    })
}
