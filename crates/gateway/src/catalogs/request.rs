//! From a row to the edit requests that it stands for: what all rows have in common, what the row says, and its values in the
//! templates' places.

use std::borrow::Cow;

use limekiln_jobs::api::{CatalogRequest, CatalogRow, Invalid};
use limekiln_jobs::catalog::{Template, VALUES_MAX};
use limekiln_jobs::source::{Address, AddressError};
use limekiln_jobs::{Class, EditRequest, Reuse};
use serde_json::{Map, Value};
use uuid::Uuid;

/// Fields of an edit request that no row has.
const WITHOUT: [&str; 3] = ["parent", "session", "class"];
/// Fields that are templates.
const TEMPLATES: [&str; 3] = ["instruction", "color", "material"];
/// The field that names a picture by its address, a template as well.
pub(super) const ADDRESS: &str = "image_url";
/// The field with the objects of a row about several.
pub(super) const OBJECTS: &str = "objects";
/// The most objects of a row.
const OBJECTS_MAX: usize = 8;
/// Fields that the first edit of a row about several objects may not have: each is found by its words.
const WHERE: [&str; 4] = ["mask", "region", "matte", "carry"];
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
    match fields.remove(ADDRESS) {
        Some(Value::String(text)) => Template::parse(&text)
            .map(drop)
            .map_err(|error| Invalid::new(format!("defaults.{ADDRESS}"), error.to_string()))?,
        Some(_) => return Err(within(Invalid::new(ADDRESS, "must be a text"))),
        None => {}
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

/// What rows of a catalog say unless they say otherwise.
pub(super) struct Words<'a> {
    defaults: &'a Map<String, Value>,
    /// Templates among them that are read, by field.
    templates: Vec<(&'static str, Template)>,
}

impl<'a> Words<'a> {
    pub(super) fn new(catalog: &'a CatalogRequest) -> Self {
        let template = |name: &&'static str| {
            let text = catalog.defaults.get(*name)?.as_str()?;
            // One that can't be read is told of the row.
            Some((*name, Template::parse(text).ok()?))
        };
        Self {
            defaults: &catalog.defaults,
            templates: TEMPLATES.iter().filter_map(template).collect(),
        }
    }

    /// The edit requests of a row, one for each of its objects. All but the last tell nobody of their end.
    pub(super) fn requests(
        &self,
        row: &CatalogRow,
    ) -> Result<Vec<(EditRequest, Option<Address>)>, Invalid> {
        let Some(objects) = row.fields.get(OBJECTS) else {
            return Ok(vec![self.request(row)?]);
        };
        let wrong = |message: String| Invalid::new(OBJECTS, message);
        let objects = objects
            .as_array()
            .filter(|objects| (1..=OBJECTS_MAX).contains(&objects.len()));
        let objects = objects.ok_or_else(|| {
            wrong(format!(
                "must be a list of 1 to {OBJECTS_MAX} objects, each with fields of an edit"
            ))
        })?;
        if let Some(name) = WHERE
            .iter()
            .find(|name| row.fields.contains_key(**name) || self.defaults.contains_key(**name))
        {
            return Err(wrong(format!(
                "can't come with {name}: each object is found by its words"
            )));
        }
        let mut requests = Vec::with_capacity(objects.len());
        for (at, object) in objects.iter().enumerate() {
            let number = at + 1;
            let Some(own) = object.as_object() else {
                return Err(wrong(format!("number {number} must be an object")));
            };
            let elsewhere = ["image", ADDRESS, "webhook", OBJECTS];
            let mut not = elsewhere.iter().chain(&WHERE);
            if let Some(name) = not.find(|name| own.contains_key(**name)) {
                return Err(wrong(format!("number {number} can't have {name}")));
            }
            let mut one = CatalogRow {
                row: row.row,
                values: row.values.clone(),
                fields: row.fields.clone(),
            };
            one.fields.remove(OBJECTS);
            one.fields.extend(own.clone());
            let named = |error: Invalid| {
                Invalid::new(
                    format!("objects, number {number}: {}", error.field),
                    error.message,
                )
            };
            let (mut edit, address) = self.request(&one).map_err(named)?;
            if number < objects.len() {
                edit.webhook = None;
            }
            requests.push((edit, address));
        }
        Ok(requests)
    }

    /// The edit request of a row, and where its picture is, if it names that by its address.
    fn request(&self, row: &CatalogRow) -> Result<(EditRequest, Option<Address>), Invalid> {
        if row.values.len() > VALUES_MAX {
            let message = format!("must have at most {VALUES_MAX} entries");
            return Err(Invalid::new("values", message));
        }
        let mut values = Vec::with_capacity(row.values.len());
        for (name, value) in &row.values {
            let text = match value {
                Value::String(text) => Cow::Borrowed(text.as_str()),
                Value::Number(number) => Cow::Owned(number.to_string()),
                Value::Bool(is) => Cow::Owned(is.to_string()),
                Value::Null => Cow::Borrowed(""),
                Value::Array(_) | Value::Object(_) => {
                    let message = "must be a text, a number or a boolean";
                    return Err(Invalid::new(format!("values.{name}"), message));
                }
            };
            values.push((name.as_str(), text));
        }
        let value = |asked: &str| {
            let found = values.iter().find(|(name, _)| *name == asked);
            found.map(|(_, text)| &**text)
        };
        forbidden(&row.fields)?;
        let mut fields = self.defaults.clone();
        fields.extend(row.fields.clone());
        for name in TEMPLATES {
            let Some(Value::String(text)) = fields.get_mut(name) else {
                continue;
            };
            if !text.contains(['{', '}']) {
                continue;
            }
            let ours = self.templates.iter().find(|(field, _)| *field == name);
            let filled = match ours.filter(|_| !row.fields.contains_key(name)) {
                Some((_, template)) => template.fill(value),
                None => Template::parse(text).and_then(|template| template.fill(value)),
            };
            *text = filled.map_err(|error| Invalid::new(name, error.to_string()))?;
        }
        let address = match fields.remove(ADDRESS) {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => {
                let filled = Template::parse(&text).and_then(|template| template.fill(value));
                let filled = filled.map_err(|error| Invalid::new(ADDRESS, error.to_string()))?;
                let read = filled.trim().parse();
                Some(read.map_err(|error: AddressError| Invalid::new(ADDRESS, error.to_string()))?)
            }
            Some(_) => return Err(Invalid::new(ADDRESS, "must be a text")),
        };
        if address.is_some() && fields.get("image").is_some_and(|image| !image.is_null()) {
            return Err(Invalid::new(
                ADDRESS,
                "stands in place of image: give one of the two",
            ));
        }
        let mut edit = parse(fields)?;
        edit.class = Class::Bulk;
        edit.seed = edit.seed.or(Some(SEED));
        // All colors of an object change the same pixels, and it is looked for once.
        if edit.mask.is_none() && edit.region.is_none() {
            edit.reuse = edit.reuse.or(Some(Reuse::Object));
        }
        Ok((edit, address))
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn catalog(defaults: Value) -> CatalogRequest {
        serde_json::from_value(json!({ "defaults": defaults })).unwrap()
    }

    fn request(catalog: &CatalogRequest, row: &CatalogRow) -> Result<EditRequest, Invalid> {
        Words::new(catalog).request(row).map(|(edit, _)| edit)
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
    fn a_row_names_its_picture_by_an_address() {
        let catalog = catalog(json!({
            "instruction": "make it red", "image_url": "https://cdn.example/{sku}.jpg?of={{1}}",
        }));
        check(&catalog).unwrap();
        let of = |own: Value| Words::new(&catalog).request(&row(own));
        let (_, address) = of(json!({"row": 1, "values": {"sku": "A-17"}})).unwrap();
        let address = address.unwrap().to_string();
        assert_eq!(address, "https://cdn.example/A-17.jpg?of={1}");
        for (own, says) in [
            (json!({"row": 1}), "there is no such value"),
            (
                json!({"row": 1, "image": IMAGE, "values": {"sku": "a"}}),
                "one of the two",
            ),
            (json!({"row": 1, "image_url": "a.jpg"}), "must begin with"),
            (json!({"row": 1, "image_url": 7}), "must be a text"),
        ] {
            let error = of(own).unwrap_err();
            assert_eq!(error.field, "image_url");
            assert!(error.message.contains(says), "{}", error.message);
        }
    }

    #[test]
    fn a_row_about_several_objects_is_an_edit_of_each() {
        let catalog = catalog(json!({
            "instruction": "make the {object} {color}", "preset": "recolor", "webhook": "https://shop.example/",
        }));
        let of = |objects: Value| {
            let own = json!({
                "row": 1, "image": IMAGE, "values": {"object": "sofa", "color": "teal", "lamp": "brass"}, "objects": objects,
            });
            Words::new(&catalog).requests(&row(own))
        };
        let edits = of(json!([{}, {"instruction": "make the lamp {lamp}", "seed": 4}])).unwrap();
        let [(sofa, _), (lamp, _)] = &edits[..] else {
            panic!("{edits:?}")
        };
        assert_eq!(
            (&*sofa.instruction, sofa.seed),
            ("make the sofa teal", Some(0))
        );
        assert_eq!(
            (&*lamp.instruction, lamp.seed),
            ("make the lamp brass", Some(4))
        );
        assert_eq!(
            (sofa.image, lamp.preset.as_deref()),
            (lamp.image, Some("recolor"))
        );
        // One row, one word of its end.
        assert!(sofa.webhook.is_none() && lamp.webhook.is_some());
        for (objects, says) in [
            (json!([]), "must be a list of 1 to 8"),
            (json!({}), "must be a list of 1 to 8"),
            (json!(vec![json!({}); 9]), "must be a list of 1 to 8"),
            (json!([{}, 7]), "number 2 must be an object"),
            (json!([{}, {"mask": IMAGE}]), "number 2 can't have mask"),
            (json!([{}, {"image": IMAGE}]), "number 2 can't have image"),
            (
                json!([{}, {"instruction": "make the {rug} red"}]),
                "there is no such value",
            ),
        ] {
            let error = of(objects).unwrap_err();
            assert!(
                error.field.starts_with("objects") && error.message.contains(says),
                "{error}"
            );
        }
        let masked =
            json!({"row": 1, "image": IMAGE, "mask": IMAGE, "instruction": "a", "objects": [{}]});
        let error = Words::new(&catalog).requests(&row(masked)).unwrap_err();
        assert!(error.message.contains("can't come with mask"), "{error}");
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
