//! From a row to the edit that it asks for: what all rows have in common, what the row says, and its values in the templates' places.

use limekiln_jobs::api::{CatalogRequest, CatalogRow, Invalid};
use limekiln_jobs::catalog::{Template, VALUES_MAX};
use limekiln_jobs::{Class, Digest, EditRequest, ImageId, Reuse, TenantId};
use limekiln_store::{NewBase, NewRow, Submission};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::State;
use crate::edits::submit;
use crate::problem::Problem;

/// Fields of an edit request that no row has.
const WITHOUT: [&str; 3] = ["parent", "session", "class"];
/// Fields that are templates.
const TEMPLATES: [&str; 3] = ["instruction", "color", "material"];
/// Fields of a spec that are a row's own; the others are its base's.
const OWN: [&str; 4] = ["instruction", "color", "material", "seed"];
/// Rows that give no seed have this one, so that rows of one picture start alike.
const SEED: u64 = 0;

/// Checks what all rows of a catalog have in common.
pub(super) fn check(request: &CatalogRequest) -> Result<(), Invalid> {
    let within = |error: Invalid| Invalid::new(format!("defaults.{}", error.field), error.message);
    let mut fields = request.defaults.clone();
    forbidden(&fields).map_err(within)?;
    for name in TEMPLATES {
        if let Some(Value::String(text)) = fields.get(name) {
            Template::parse(text)
                .map_err(|error| Invalid::new(format!("defaults.{name}"), error.to_string()))?;
        }
    }
    if let Some(webhook) = &request.webhook {
        let image = Value::String(Uuid::nil().to_string());
        let trial = [
            ("instruction", "any".into()),
            ("image", image),
            ("webhook", webhook.as_str().into()),
        ];
        let trial = trial
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value));
        let first = |errors: Vec<Invalid>| errors.into_iter().next();
        if let Some(error) = parse(trial.collect())?.validate().err().and_then(first) {
            return Err(error);
        }
    }
    // What is missing may come with the rows.
    fields
        .entry("instruction")
        .or_insert_with(|| Value::String("any".to_owned()));
    fields
        .entry("image")
        .or_insert_with(|| Uuid::nil().to_string().into());
    let edit = parse(fields).map_err(within)?;
    edit.validate().map_err(|errors| {
        let first = errors.into_iter().next();
        first.map_or_else(|| Invalid::new("defaults", "is wrong"), within)
    })
}

/// The edit request of a row.
pub(super) fn request(catalog: &CatalogRequest, row: &CatalogRow) -> Result<EditRequest, Invalid> {
    if row.values.len() > VALUES_MAX {
        let message = format!("must have at most {VALUES_MAX} entries");
        return Err(Invalid::new("values", message));
    }
    let mut values = Map::new();
    for (name, value) in &row.values {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Bool(is) => is.to_string(),
            Value::Null => String::new(),
            Value::Array(_) | Value::Object(_) => {
                let message = "must be a text, a number or a boolean";
                return Err(Invalid::new(format!("values.{name}"), message));
            }
        };
        values.insert(name.clone(), Value::String(text));
    }
    forbidden(&row.fields)?;
    let mut fields = catalog.defaults.clone();
    fields.extend(row.fields.clone());
    for name in TEMPLATES {
        let Some(Value::String(text)) = fields.get_mut(name) else {
            continue;
        };
        if text.contains(['{', '}']) {
            *text = Template::parse(text)
                .and_then(|template| template.fill(|name| values.get(name)?.as_str()))
                .map_err(|error| Invalid::new(name, error.to_string()))?;
        }
    }
    let mut edit = parse(fields)?;
    edit.class = Class::Bulk;
    edit.seed = edit.seed.or(Some(SEED));
    // All colors of an object change the same pixels, and it is looked for once.
    if edit.mask.is_none() && edit.region.is_none() {
        edit.reuse = edit.reuse.or(Some(Reuse::Object));
    }
    Ok(edit)
}

fn forbidden(fields: &Map<String, Value>) -> Result<(), Invalid> {
    match WITHOUT.iter().find(|name| fields.contains_key(**name)) {
        Some(name) => Err(Invalid::new(*name, "is nothing that rows of catalogs have")),
        None => Ok(()),
    }
}

fn parse(fields: Map<String, Value>) -> Result<EditRequest, Invalid> {
    serde_path_to_error::deserialize(Value::Object(fields)).map_err(|error| {
        let path = error.path().to_string();
        let message = error.into_inner().to_string();
        // A field that is unknown or missing is named by the message alone.
        let named = message.split('`').nth(1).unwrap_or_default().to_owned();
        Invalid::new(if path == "." { named } else { path }, message)
    })
}

/// The row as it is stored, and what it has in common with others.
pub(super) async fn expand(
    state: &State,
    tenant: TenantId,
    catalog: &CatalogRequest,
    row: CatalogRow,
) -> Result<(NewBase, NewRow), Problem> {
    let edit = request(catalog, &row).map_err(|error| Problem::invalid(vec![error]))?;
    edit.validate().map_err(Problem::invalid)?;
    let canonical = serde_json::to_vec(&row).map_err(|error| Problem::internal(&error))?;
    let (submission, words) = submit::checked(state, tenant, edit, false, None, None).await?;
    let Some(image) = submission.image else {
        return Err(Problem::field("image", "must be given"));
    };
    let (base, fields) = split(&submission).map_err(|error| Problem::internal(&error))?;
    let object = words.map_or(Uuid::nil(), |words| object(&base, &words));
    let mut sent = row.fields;
    sent.remove("image");
    Ok((
        base.clone(),
        NewRow {
            number: row.row,
            base: base.id,
            image,
            mask: submission.mask,
            object,
            fields,
            sent,
            values: row.values,
            digest: Digest::of(&canonical),
        },
    ))
}

/// What rows have in common, and what this one has of its own.
fn split(submission: &Submission) -> Result<(NewBase, Map<String, Value>), serde_json::Error> {
    let mut spec = serde_json::to_value(&submission.spec)?;
    let mut fields = Map::new();
    if let Some(spec) = spec.as_object_mut() {
        for name in OWN {
            if let Some(value) = spec.remove(name) {
                fields.insert(name.to_owned(), value);
            }
        }
    }
    let mut needs = submission.spec.needs();
    needs.extend(submission.needs.iter().map(str::to_owned));
    let needs: Vec<String> = needs.into_iter().collect();
    let whole = serde_json::to_vec(&(
        submission.model.as_str(),
        &spec,
        &needs,
        submission.max_attempts,
        &submission.webhook_url,
    ))?;
    let mut id = [0; 16];
    id.copy_from_slice(&blake3::hash(&whole).as_bytes()[..16]);
    let base = NewBase {
        id: Uuid::from_bytes(id),
        model: submission.model.to_string(),
        spec,
        needs,
        max_attempts: submission.max_attempts,
        webhook_url: submission.webhook_url.clone(),
    };
    Ok((base, fields))
}

/// Rows of a picture with this in common take the same region: their words for the object, and all that says how it is looked for.
fn object(base: &NewBase, words: &[String]) -> Uuid {
    let mut hash = blake3::Hasher::new();
    // Not what it needs of a worker: a color that is given beside the words is a need, and says nothing of where.
    hash.update(format!("{}\n{}\n", base.model, base.spec).as_bytes());
    for word in words {
        hash.update(word.as_bytes()).update(b"\n");
    }
    let mut id = [0; 16];
    hash.finalize_xof().fill(&mut id);
    Uuid::from_bytes(id)
}

/// Images that a row names.
pub(super) fn images(row: &NewRow) -> impl Iterator<Item = ImageId> {
    std::iter::once(row.image).chain(row.mask)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn catalog(defaults: Value) -> CatalogRequest {
        serde_json::from_value(json!({ "defaults": defaults })).unwrap()
    }

    fn row(row: Value) -> CatalogRow {
        serde_json::from_value(row).unwrap()
    }

    const IMAGE: &str = "01939e0c-8a52-7c31-9d0f-3b1d6c2a4e57";

    #[test]
    fn a_row_fills_the_templates_and_has_the_last_word() {
        let catalog = catalog(json!({
            "instruction": "make the {object} {color}", "color": "{color}", "preset": "recolor",
        }));
        check(&catalog).unwrap();
        let values = json!({"object": "sofa", "color": "teal", "size": 3});
        let edit = request(
            &catalog,
            &row(json!({"row": 1, "image": IMAGE, "values": values})),
        )
        .unwrap();
        assert_eq!(edit.instruction, "make the sofa teal");
        assert_eq!(edit.color.as_deref(), Some("teal"));
        assert_eq!((edit.class, edit.seed), (Class::Bulk, Some(0)));
        // What is looked for is looked for once; a mask says where, and whoever wants every row to look for itself says so.
        let reuse = |field: &str, value: Value| {
            let mut own = json!({"row": 1, "image": IMAGE, "values": values});
            own[field] = value;
            request(&catalog, &row(own)).unwrap().reuse
        };
        assert_eq!(reuse("seed", json!(1)), Some(Reuse::Object));
        assert_eq!(reuse("mask", json!(IMAGE)), None);
        assert_eq!(reuse("reuse", json!("exact")), Some(Reuse::Exact));
        let own = json!({
            "row": 1, "image": IMAGE, "values": values, "instruction": "size {size}", "color": "#1F6F8B", "seed": 9,
        });
        let edit = request(&catalog, &row(own)).unwrap();
        assert_eq!(edit.instruction, "size 3");
        assert_eq!(edit.color.as_deref(), Some("#1F6F8B"));
        assert_eq!(edit.seed, Some(9));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (defaults, field) in [
            (json!({"instruction": "make {it"}), "defaults.instruction"),
            (json!({"parent": IMAGE}), "defaults.parent"),
            (json!({"sise": 3}), "defaults.sise"),
            (json!({"size": 3}), "defaults.size"),
            (json!({"size": "3"}), "defaults.size"),
        ] {
            let error = check(&catalog(defaults.clone())).unwrap_err();
            assert_eq!(error.field, field, "{defaults}");
        }
        let catalog = catalog(json!({"instruction": "make the {object} red"}));
        for (bad, field) in [
            (json!({"row": 1, "image": IMAGE}), "instruction"),
            (json!({"row": 1, "values": {"object": " "}}), "instruction"),
            (json!({"row": 1, "values": {"object": []}}), "values.object"),
            (
                json!({"row": 1, "class": "interactive", "values": {"object": "a"}}),
                "class",
            ),
            (
                json!({"row": 1, "colour": "red", "values": {"object": "a"}}),
                "colour",
            ),
        ] {
            let error = request(&catalog, &row(bad.clone())).unwrap_err();
            assert_eq!(error.field, field, "{bad}");
        }
    }
}
