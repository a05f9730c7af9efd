//! A batch's file becomes rows of its catalog. What was written is never written twice: a row's number is its line's, and how far the
//! file was read is written with what was read, so that another gateway goes on where one died.

use std::collections::HashMap;
use std::time::Duration;

use limekiln_jobs::api::{CatalogRequest, CatalogRow, OpenAiBatchError};
use limekiln_jobs::{EditRequest, ImageId};
use limekiln_memory::Share;
use limekiln_store::{Limits, NewRow, OpenAiDue, OpenAiRead, OpenAiRefused, RowsAdded};
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::super::form::Form;
use super::super::picture::{self, Picture, PictureRef};
use super::super::{error, form, in_the_form, json};
use super::line::{self, Names, Request, wrong};
use super::lines::Lines;
use super::run::LEASE;
use crate::State;
use crate::catalogs::Expander;
use crate::memory::body_too_large;
use crate::problem::{Problem, ProblemCode};

/// Requests of a batch, at most, as in OpenAI's API.
const REQUESTS_MAX: u64 = 50_000;
/// Wrong lines that are told of.
const ERRORS_MAX: usize = 50;
/// Rows that are written at once, and how long the first of them waits for the others.
const ROWS: usize = 200;
const GATHER: Duration = Duration::from_secs(10);
/// Pictures of files that are remembered.
const KNOWN_MAX: usize = 1_000;
/// What a line takes beside itself: its values, and the pictures in them.
const COPIES: u64 = 3;
/// Fields of a request that are templates in a catalog.
const TEMPLATES: [&str; 4] = ["instruction", "color", "material", "image_url"];
/// Fields of a request that rows have not.
const WITHOUT: [&str; 3] = ["parent", "session", "class"];

/// What became of reading.
#[derive(Debug, PartialEq)]
pub(super) enum Ended {
    /// All of it became rows.
    Whole,
    /// These lines are wrong.
    Wrong(Vec<OpenAiBatchError>),
    /// The batch is another's by now, or was cancelled.
    Lost,
}

/// Reads the file of a batch from where it was read to.
///
/// # Errors
/// What another try may mend.
pub(super) async fn read(state: &State, due: &OpenAiDue) -> Result<Ended, Problem> {
    let gone = |message: &str| Ended::Wrong(vec![wrong(None, "invalid_input_file", None, message)]);
    let store = &state.services.store;
    if store.file_get(due.tenant, due.input).await?.is_none() {
        return Ok(gone(
            "The file was deleted or expired before all of it was read.",
        ));
    }
    let parts = store.file_parts(due.input).await?;
    let found = store.catalog_request(due.tenant, due.id).await?;
    let tenant = store.tenant_get(due.tenant).await?;
    let (Some((catalog, true)), Some(tenant)) = (found, tenant) else {
        return Ok(Ended::Lost);
    };
    let bytes_max = state.settings.limits.upload_bytes;
    let line_max = json::bytes_max(2 * bytes_max, form::TEXT_BYTES_MAX);
    let from = (due.read.file_lines, due.read.bytes);
    let mut lines = Lines::start(state, parts, from, line_max).await?;
    let mut ingest = Ingest {
        state,
        due,
        catalog: &catalog,
        limits: tenant.limits,
        known: HashMap::new(),
        read: due.read,
        rows: Vec::new(),
        refused: Vec::new(),
        since: Instant::now(),
    };
    let mut names = names(state, due).await?;
    let mut errors = Vec::new();
    while let Some(next) = lines.next().await? {
        let number = next.number;
        let Some(bytes) = next.bytes else {
            let says = format!("This line has more than {line_max} bytes.");
            errors.push(wrong(Some(number), "line_too_long", None, says));
            continue;
        };
        if !bytes.trim_ascii().is_empty() {
            ingest.read.requests += 1;
            if ingest.read.requests > REQUESTS_MAX {
                let says = format!("The file has more than {REQUESTS_MAX} requests.");
                errors.push(wrong(Some(number), "too_many_requests", None, says));
            }
            let needed = COPIES * bytes.len() as u64;
            let mut held = state.memory.share(needed, body_too_large).await?;
            match line::read(number, &bytes, &mut names) {
                Err(error) => errors.push(error),
                // Nothing runs where a line is wrong: the others are only looked at.
                Ok(_) if !errors.is_empty() => {}
                Ok(request) => ingest.take(number, request, &mut held).await?,
            }
        }
        if errors.len() >= ERRORS_MAX || ingest.read.requests > REQUESTS_MAX {
            break;
        }
        (ingest.read.bytes, ingest.read.file_lines) = (next.end, number);
        let full = ingest.rows.len() + ingest.refused.len() >= ROWS;
        if (full || ingest.since.elapsed() >= GATHER) && !ingest.write().await? {
            return Ok(Ended::Lost);
        }
    }
    if !errors.is_empty() {
        return Ok(Ended::Wrong(errors));
    }
    if ingest.read.requests == 0 {
        let says = "The file has no request.";
        return Ok(Ended::Wrong(vec![wrong(None, "empty_file", None, says)]));
    }
    Ok(match ingest.write().await? {
        true => Ended::Whole,
        false => Ended::Lost,
    })
}

/// Names of the requests that were read before.
async fn names(state: &State, due: &OpenAiDue) -> Result<Names, Problem> {
    let (store, mut names) = (&state.services.store, Names::default());
    if due.read.bytes == 0 {
        return Ok(names);
    }
    let mut after = Some(0);
    while let Some(from) = after {
        let page = store.catalog_rows(due.tenant, due.id, None, from, 1_000);
        let Some(page) = page.await? else {
            break;
        };
        let given = page
            .rows
            .iter()
            .filter(|row| row.row <= due.read.file_lines);
        for row in given {
            names.add(custom_id(&row.values));
        }
        after = page.next;
    }
    let mut after = 0;
    loop {
        let page = store.openai_batch_refused(due.id, after, 1_000).await?;
        let Some(last) = page.last() else {
            return Ok(names);
        };
        after = last.line;
        for one in page.iter().filter(|one| one.line <= due.read.file_lines) {
            names.add(&one.custom_id);
        }
    }
}

/// The name of the request that a row was.
pub(super) fn custom_id(values: &Map<String, Value>) -> &str {
    let name = values.get("custom_id").and_then(Value::as_str);
    name.unwrap_or_default()
}

/// A batch whose file is being read.
struct Ingest<'a> {
    state: &'a State,
    due: &'a OpenAiDue,
    catalog: &'a CatalogRequest,
    limits: Limits,
    /// Pictures that are named by an id, with what their transparency says.
    known: HashMap<PictureRef, (ImageId, Option<ImageId>)>,
    read: OpenAiRead,
    rows: Vec<CatalogRow>,
    refused: Vec<OpenAiRefused>,
    /// When the last were written.
    since: Instant,
}

impl Ingest<'_> {
    /// A request becomes a row or a refusal.
    async fn take(&mut self, line: u64, request: Request, held: &mut Share) -> Result<(), Problem> {
        let custom_id = request.custom_id.clone();
        match self.row(line, request, held).await {
            Ok(row) => self.rows.push(row),
            Err(problem) => self.refuse(line, custom_id, problem)?,
        }
        Ok(())
    }

    fn refuse(&mut self, line: u64, custom_id: String, problem: Problem) -> Result<(), Problem> {
        let status = problem.status();
        // What another try may mend is nothing of the request's.
        if status.as_u16() == 429
            || status.is_server_error() && problem.code != ProblemCode::Internal
        {
            return Err(problem);
        }
        let body = error(&in_the_form(problem));
        self.read.refused += 1;
        self.refused.push(OpenAiRefused {
            line,
            custom_id,
            status: status.as_u16(),
            error: serde_json::to_value(&body).map_err(|error| Problem::internal(&error))?,
        });
        Ok(())
    }

    async fn row(
        &mut self,
        line: u64,
        request: Request,
        held: &mut Share,
    ) -> Result<CatalogRow, Problem> {
        let bytes_max = self.state.settings.limits.upload_bytes;
        let form = json::of_value(request.body, bytes_max)?;
        let mut requests = form.requests()?;
        let (Some(edit), None) = (requests.pop(), requests.pop()) else {
            let says = "must be 1 in a batch: write a line for each picture, with another seed";
            return Err(Problem::field("n", says));
        };
        if form.streamed.is_some() {
            return Err(Problem::field("stream", "must be false in a batch"));
        }
        form.wish()?;
        let mut values = Map::new();
        values.insert("custom_id".to_owned(), request.custom_id.into());
        values.extend(
            form.leaving()
                .map(|(name, text)| (name.to_owned(), text.into())),
        );
        let elsewhere = match (&form.image, &form.mask) {
            (Picture::Elsewhere(address), None) => Some(address.clone()),
            (Picture::Elsewhere(_), Some(_)) => {
                let says = "needs the picture itself beside it, or the id of one: not an address";
                return Err(Problem::field("mask", says));
            }
            _ => None,
        };
        let edit = match elsewhere {
            Some(_) => EditRequest { mask: None, ..edit },
            None => {
                let (image, mask) = self.pictures(form, held).await?;
                EditRequest {
                    image: Some(image),
                    mask,
                    ..edit
                }
            }
        };
        edit.validate().map_err(Problem::invalid)?;
        let fields = match serde_json::to_value(edit) {
            Ok(Value::Object(fields)) => fields,
            Ok(_) => Map::new(),
            Err(error) => return Err(Problem::internal(&error)),
        };
        let given = fields
            .into_iter()
            .filter(|(name, value)| !value.is_null() && !WITHOUT.contains(&name.as_str()));
        let mut fields: Map<String, Value> = given.collect();
        if let Some(address) = elsewhere {
            fields.remove("image");
            fields.insert("image_url".to_owned(), address.into());
        }
        // Braces of a prompt are meant.
        for name in TEMPLATES {
            if let Some(Value::String(text)) = fields.get_mut(name) {
                *text = text.replace('{', "{{").replace('}', "}}");
            }
        }
        Ok(CatalogRow {
            row: line,
            values,
            fields,
        })
    }

    /// The pictures of a request, stored.
    async fn pictures(
        &mut self,
        form: Form,
        held: &mut Share,
    ) -> Result<(ImageId, Option<ImageId>), Problem> {
        let named = match (&form.image, &form.mask) {
            (Picture::Stored(named), None) => Some(*named),
            _ => None,
        };
        if let Some(known) = named.and_then(|named| self.known.get(&named)) {
            return Ok(*known);
        }
        let owner = (self.due.tenant, &self.limits);
        let stored = picture::stored(self.state, owner, held, form).await?;
        if let Some(named) = named {
            if self.known.len() >= KNOWN_MAX {
                self.known.clear();
            }
            self.known.insert(named, stored);
        }
        Ok(stored)
    }

    /// Writes what was gathered, and how far the file was read; whether the batch is still this gateway's.
    async fn write(&mut self) -> Result<bool, Problem> {
        let (state, due) = (self.state, self.due);
        let mut expander = Expander::new(state, due.tenant, self.catalog);
        let mut rows: Vec<NewRow> = Vec::with_capacity(self.rows.len());
        for row in std::mem::take(&mut self.rows) {
            let (line, custom_id) = (row.row, custom_id(&row.values).to_owned());
            match expander.expand(row).await {
                Ok(row) => rows.push(row),
                Err(problem) => self.refuse(line, custom_id, problem)?,
            }
        }
        let bases = expander.into_bases();
        let store = &state.services.store;
        while !rows.is_empty() {
            match store
                .catalog_rows_add(due.tenant, due.id, &bases, &rows)
                .await?
            {
                RowsAdded::Taken(taken) => {
                    metrics::counter!("limekiln_catalog_rows_taken_total").increment(taken.added);
                    break;
                }
                // A gateway that died wrote them, when their pictures had other ids.
                RowsAdded::Reused(numbers) => rows.retain(|row| !numbers.contains(&row.number)),
                RowsAdded::NoCatalog | RowsAdded::Sealed | RowsAdded::TooMany => return Ok(false),
            }
        }
        let refused = std::mem::take(&mut self.refused);
        self.since = Instant::now();
        Ok(store
            .openai_batch_read(due, self.read, &refused, LEASE)
            .await?)
    }
}
