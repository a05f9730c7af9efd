//! From a row to what is stored of it: its edit requests are resolved and checked as any edit is, and what many have in common is told apart.

use limekiln_jobs::api::{CatalogRequest, CatalogRow, Invalid};
use limekiln_jobs::source::Address;
use limekiln_jobs::{Digest, EditRequest, ImageId, TenantId};
use limekiln_store::{NewBase, NewPicture, NewRow, NewStep};
use uuid::Uuid;

use super::bases::Bases;
use super::request::{ADDRESS, OBJECTS, Words};
use crate::State;
use crate::edits::submit;
use crate::fetching;
use crate::problem::Problem;

/// What is done once for all rows of a request: the catalog's templates are read, and what rows have in common is made.
pub(crate) struct Expander<'a> {
    state: &'a State,
    tenant: TenantId,
    words: Words<'a>,
    bases: Bases,
    /// Places that pictures may be fetched from, once they were asked for.
    places: Option<Vec<Address>>,
}

impl<'a> Expander<'a> {
    pub(crate) fn new(state: &'a State, tenant: TenantId, catalog: &'a CatalogRequest) -> Self {
        Self {
            state,
            tenant,
            words: Words::new(catalog),
            bases: Bases::default(),
            places: None,
        }
    }

    /// A picture that a row names by its address, where that is in a place that the tenant's pictures may be fetched from.
    async fn picture(&mut self, address: &Address) -> Result<NewPicture, Problem> {
        let places = match &self.places {
            Some(places) => places,
            None => {
                let found = fetching::places(self.state, self.tenant).await?;
                self.places.insert(found)
            }
        };
        if !places.iter().any(|place| place.begins(address)) {
            let says = format!(
                "{} is not among the places that your pictures may be fetched from: ask the operator to allow it",
                address.host()
            );
            return Err(Problem::field(ADDRESS, says));
        }
        let text = address.to_string();
        let mut id = [0; 16];
        id.copy_from_slice(&blake3::hash(text.as_bytes()).as_bytes()[..16]);
        Ok(NewPicture {
            id: Uuid::from_bytes(id),
            address: text,
            host: address.host(),
        })
    }

    /// The row as it is stored.
    pub(crate) async fn expand(&mut self, row: CatalogRow) -> Result<NewRow, Problem> {
        let invalid = |error: Invalid| Problem::invalid(vec![error]);
        let mut edits = self.words.requests(&row).map_err(invalid)?;
        let further = edits.split_off(1);
        let Some((mut edit, address)) = edits.pop() else {
            return Err(Problem::field(OBJECTS, "must name an object"));
        };
        let picture = match &address {
            Some(address) => Some(self.picture(address).await?),
            None => None,
        };
        if let Some(picture) = &picture {
            edit.image = Some(picture.id.into());
        }
        edit.validate().map_err(Problem::invalid)?;
        let canonical = serde_json::to_vec(&row).map_err(|error| Problem::internal(&error))?;
        let (submission, words) =
            submit::checked(self.state, self.tenant, edit, false, None, None).await?;
        let Some(image) = submission.image else {
            return Err(Problem::field("image", "must be given"));
        };
        let mask = submission.mask;
        let (common, fields) = self
            .bases
            .split(submission)
            .map_err(|error| Problem::internal(&error))?;
        let object = words.map_or(Uuid::nil(), |words| common.object(&words));
        let base = common.base.id;
        let steps = self.steps(further, image).await?;
        let mut sent = row.fields;
        sent.remove("image");
        Ok(NewRow {
            number: row.row,
            base,
            image,
            picture,
            mask,
            object,
            fields,
            steps,
            sent,
            values: row.values,
            digest: Digest::of(&canonical),
        })
    }

    /// What comes after the first edit of a row about several objects. Its picture, which stands for the results in between, is what it
    /// is checked with.
    async fn steps(
        &mut self,
        further: Vec<(EditRequest, Option<Address>)>,
        image: ImageId,
    ) -> Result<Vec<NewStep>, Problem> {
        let mut steps = Vec::with_capacity(further.len());
        for (at, (mut edit, _)) in (2..).zip(further) {
            let of_object = |mut problem: Problem| {
                for error in &mut problem.errors {
                    error.field = format!("objects, number {at}: {}", error.field);
                }
                problem
            };
            edit.image = Some(image);
            edit.validate()
                .map_err(Problem::invalid)
                .map_err(of_object)?;
            let checked = submit::checked(self.state, self.tenant, edit, false, None, None).await;
            let (submission, _) = checked.map_err(of_object)?;
            let (common, fields) = self
                .bases
                .split(submission)
                .map_err(|error| Problem::internal(&error))?;
            steps.push(NewStep {
                base: common.base.id,
                fields,
            });
        }
        Ok(steps)
    }

    /// What the rows have in common.
    pub(crate) fn into_bases(self) -> Vec<NewBase> {
        self.bases.into_all()
    }
}

/// Images that a row names.
pub(super) fn images(row: &NewRow) -> impl Iterator<Item = ImageId> {
    let image = row.picture.is_none().then_some(row.image);
    image.into_iter().chain(row.mask)
}
