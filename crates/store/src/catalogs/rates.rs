//! How long edits took lately.

use limekiln_jobs::api::Rate;
use limekiln_jobs::{ModelName, TenantId};

use crate::row::{get, whole};
use crate::{Result, Store};

/// Edits that are looked at.
const NEWEST: i32 = 2_000;

impl Store {
    /// How long the tenant's newest edits of a model and a preset took: those that looked for their region, and those that took another's.
    pub async fn edits_rates(
        &self,
        tenant: TenantId,
        model: &ModelName,
        preset: &str,
    ) -> Result<(Option<Rate>, Option<Rate>)> {
        let statement = sqlx::query(include_str!("../sql/edits_rates.sql"))
            .bind(tenant.uuid())
            .bind(model.as_str())
            .bind(preset)
            .bind(NEWEST);
        let (mut first, mut further) = (None, None);
        for row in &self.rows("edits_rates", statement).await? {
            let (seconds, device): (Vec<f64>, Vec<f64>) =
                (get(row, "seconds")?, get(row, "device")?);
            let of = |values: &[f64], at: usize| values.get(at).copied().unwrap_or_default();
            let rate = Rate {
                edits: whole(row, "edits")?,
                seconds_low: of(&seconds, 0),
                seconds_high: of(&seconds, 1),
                device_low: of(&device, 0),
                device_high: of(&device, 1),
            };
            match get::<bool>(row, "further")? {
                true => further = Some(rate),
                false => first = Some(rate),
            }
        }
        Ok((first, further))
    }
}
