//! What specs of rows have in common, made and stored once for all of them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use limekiln_store::{NewBase, Submission};
use serde_json::{Map, Value};
use uuid::Uuid;

/// Fields of a spec that are a row's own, in the order in which [`Bases::split`] takes them out; the others are its base's.
const OWN: [&str; 4] = ["instruction", "color", "material", "seed"];

/// What rows have in common, by the digest of all that it is made of.
#[derive(Default)]
pub(super) struct Bases(HashMap<[u8; 32], Common>);

/// A base, and what the names of its rows' objects begin with.
pub(super) struct Common {
    pub(super) base: NewBase,
    objects: blake3::Hasher,
}

impl Bases {
    /// All of them.
    pub(super) fn into_all(self) -> Vec<NewBase> {
        self.0.into_values().map(|one| one.base).collect()
    }

    /// What rows have in common, and what this one has of its own.
    pub(super) fn split(
        &mut self,
        mut submission: Submission,
    ) -> Result<(&Common, Map<String, Value>), serde_json::Error> {
        let mut needs = submission.spec.needs();
        needs.extend(submission.needs.iter().map(str::to_owned));
        let needs: Vec<String> = needs.into_iter().collect();
        let spec = &mut submission.spec;
        let own: [Option<Value>; OWN.len()] = [
            Some(std::mem::take(&mut spec.instruction).into()),
            spec.color.take().map(Value::from),
            spec.material.take().map(Value::from),
            Some(std::mem::take(&mut spec.seed).into()),
        ];
        let own = OWN.iter().zip(own);
        let fields = own.filter_map(|(name, value)| Some(((*name).to_owned(), value?)));
        let digest = blake3::hash(&serde_json::to_vec(&(
            submission.model.as_str(),
            &submission.spec,
            &needs,
            submission.max_attempts,
            &submission.webhook_url,
        ))?);
        let fields = fields.collect();
        let common: &Common = match self.0.entry(*digest.as_bytes()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert(Common::of(submission, needs)?),
        };
        Ok((common, fields))
    }
}

impl Common {
    /// Of a submission without what is its row's own.
    fn of(submission: Submission, needs: Vec<String>) -> Result<Self, serde_json::Error> {
        let mut spec = serde_json::to_value(&submission.spec)?;
        if let Some(spec) = spec.as_object_mut() {
            OWN.iter().for_each(|name| drop(spec.remove(*name)));
        }
        let whole = serde_json::to_vec(&(
            submission.model.as_str(),
            &spec,
            &needs,
            submission.max_attempts,
            &submission.webhook_url,
        ))?;
        let mut id = [0; 16];
        id.copy_from_slice(&blake3::hash(&whole).as_bytes()[..16]);
        let mut objects = blake3::Hasher::new();
        // Not what it needs of a worker: a color that is given beside the words is a need, and says nothing of where.
        objects.update(format!("{}\n{spec}\n", submission.model).as_bytes());
        let base = NewBase {
            id: Uuid::from_bytes(id),
            model: submission.model.to_string(),
            spec,
            needs,
            max_attempts: submission.max_attempts,
            webhook_url: submission.webhook_url,
        };
        Ok(Self { base, objects })
    }

    /// Rows of a picture with this in common take the same region: their words for the object, and all that says how it is looked for.
    pub(super) fn object(&self, words: &[String]) -> Uuid {
        let mut hash = self.objects.clone();
        for word in words {
            hash.update(word.as_bytes()).update(b"\n");
        }
        let mut id = [0; 16];
        hash.finalize_xof().fill(&mut id);
        Uuid::from_bytes(id)
    }
}

#[cfg(test)]
mod tests {
    use limekiln_jobs::{Class, EditId, Needs, TenantId};
    use serde_json::json;

    use super::*;

    #[test]
    fn rows_have_a_base_in_common_and_the_rest_of_their_spec_of_their_own() {
        let submission = |spec: Value| Submission {
            id: EditId::new(),
            tenant: TenantId::new(),
            image: None,
            parent: None,
            session: None,
            version: None,
            mask: None,
            batch: None,
            model: "rooms".parse().unwrap(),
            class: Class::Bulk,
            spec: serde_json::from_value(spec).unwrap(),
            needs: Needs::from_iter(["preset.locate.from"]),
            max_attempts: 3,
            webhook_url: None,
            idempotency: None,
            trace: None,
        };
        let mut bases = Bases::default();
        let mut of = |spec: Value| {
            let whole = submission(spec);
            let spec = serde_json::to_value(&whole.spec).unwrap();
            let (common, fields) = bases.split(whole).unwrap();
            // Both together are the spec, and no field is in both.
            let mut both = common.base.spec.as_object().unwrap().clone();
            assert!(fields.keys().all(|name| !both.contains_key(name)));
            both.extend(fields);
            assert_eq!(Value::Object(both), spec);
            let sofa = common.object(&["sofa".to_owned()]);
            assert_ne!(sofa, common.object(&["lamp".to_owned()]));
            (common.base.clone(), sofa)
        };
        let red = of(json!({"instruction": "make the sofa red", "preset": "recolor", "seed": 1}));
        let blue = of(json!({"instruction": "make the sofa blue", "preset": "recolor", "seed": 2}));
        assert_eq!(red, blue);
        assert_eq!(red.0.needs, ["preset.locate.from"]);
        // A color beside the words is a need, and says nothing of where.
        let given =
            of(json!({"instruction": "make the sofa", "color": "teal", "preset": "recolor"}));
        assert_ne!(red.0.id, given.0.id);
        assert_eq!((red.1, &red.0.spec), (given.1, &given.0.spec));
        let other = of(json!({"instruction": "make the sofa red", "preset": "fast"}));
        assert!(other.0.id != red.0.id && other.1 != red.1);
        assert_eq!(bases.0.len(), 3);
    }
}
