//! Every row with every value: what is sent, row by row, and what is wrong with it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use limekiln_jobs::catalog::{Template, value_text};
use limekiln_jobs::source::Address;
use serde_json::{Map, Value, json};

use super::manifest::{Entry, Manifest};
use crate::args::BatchSubmitArgs;

/// Columns that are fields of an edit, beside being values.
const FIELDS: [&str; 4] = ["instruction", "color", "material", "seed"];

/// Where a row's picture is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Picture {
    /// Here: it is uploaded.
    File(PathBuf),
    /// Elsewhere: the service fetches it.
    Address(String),
}

impl Picture {
    /// The file, where it is here.
    pub(super) fn file(&self) -> Option<&PathBuf> {
        match self {
            Self::File(file) => Some(file),
            Self::Address(_) => None,
        }
    }
}

/// A row that is sent.
#[derive(Debug, PartialEq)]
pub(super) struct Row {
    /// Its number, from 1.
    pub(super) number: u64,
    /// The picture.
    pub(super) image: Picture,
    /// The mask, if the manifest names one.
    pub(super) mask: Option<PathBuf>,
    /// Values for the templates.
    pub(super) values: Map<String, Value>,
    /// Fields of an edit request.
    pub(super) fields: Map<String, Value>,
}

/// What a manifest is made into.
pub(super) struct Product {
    manifest: Manifest,
    folder: PathBuf,
    image_column: String,
    /// What each entry is multiplied by: several values at once for each.
    factors: Vec<Vec<Map<String, Value>>>,
    /// What all rows have in common.
    pub(super) defaults: Map<String, Value>,
    templates: Vec<(&'static str, Template)>,
    /// Further objects of each row.
    also: Vec<String>,
}

impl Product {
    /// Reads what the command line says.
    ///
    /// # Errors
    ///
    /// One line that says what is wrong.
    pub(super) fn new(args: &BatchSubmitArgs) -> Result<Self> {
        let manifest = Manifest::open(&args.manifest, args.encoding.as_deref())?;
        let mut factors = Vec::new();
        for set in &args.sets {
            factors.push(values(set)?);
        }
        if let Some(path) = &args.palette {
            factors.push(palette(path)?);
        }
        let named = |name: &str| {
            factors
                .iter()
                .flatten()
                .any(|values| values.contains_key(name))
        };
        let recolors = matches!(args.preset.as_deref(), Some("recolor" | "auto"));
        let color = match &args.color {
            Some(color) => Some(color.clone()),
            None if named("color_hex") => Some("{color_hex}".to_owned()),
            None if recolors && named("color") => Some("{color}".to_owned()),
            None => None,
        };
        let mut defaults = Map::new();
        let mut templates = Vec::new();
        for (name, text) in [("instruction", &args.instruction), ("color", &color)] {
            if let Some(text) = text {
                let template = Template::parse(text).with_context(|| format!("--{name}"))?;
                templates.push((name, template));
                defaults.insert(name.to_owned(), text.clone().into());
            }
        }
        for text in &args.also {
            let template = Template::parse(text).context("--also")?;
            templates.push(("also", template));
        }
        for (name, value) in [("preset", &args.preset), ("model", &args.served_as)] {
            if let Some(value) = value {
                defaults.insert(name.to_owned(), value.clone().into());
            }
        }
        if let Some(url) = &args.row_webhook {
            defaults.insert("webhook".to_owned(), url.as_str().into());
        }
        Ok(Self {
            folder: manifest.folder(),
            manifest,
            image_column: args.image_column.clone(),
            factors,
            defaults,
            templates,
            also: args.also.clone(),
        })
    }

    /// All rows, or what is wrong with them.
    ///
    /// # Errors
    ///
    /// When the manifest can't be read.
    pub(super) fn rows(&self) -> Result<impl Iterator<Item = Result<Row>>> {
        let entries = self.manifest.entries(&self.image_column)?;
        let rows = entries.flat_map(|entry| match entry {
            Ok(entry) => self.multiplied(entry),
            Err(error) => vec![Err(error)],
        });
        let mut number = 0;
        Ok(rows.map(move |row| {
            number += 1;
            row.map(|row| Row { number, ..row })
        }))
    }

    /// An entry with every value.
    fn multiplied(&self, entry: Entry) -> Vec<Result<Row>> {
        let mut rows = vec![entry.values];
        for factor in &self.factors {
            let each = rows.iter().flat_map(|row| {
                factor.iter().map(|values| {
                    let mut row = row.clone();
                    row.extend(values.clone());
                    row
                })
            });
            rows = each.collect();
        }
        rows.into_iter()
            .map(|values| self.row(&entry.at, values))
            .collect()
    }

    fn row(&self, at: &str, values: Map<String, Value>) -> Result<Row> {
        let text = |name: &str| values.get(name).and_then(Value::as_str);
        let column = &self.image_column;
        let image = match values.get(column) {
            None => bail!(
                "{at}: has no column {column}: name the one with the pictures by --image-column"
            ),
            Some(Value::String(text)) if Address::is_meant(text) => {
                let address: Result<Address, _> = text.trim().parse();
                match address {
                    // As a template of the gateway's its braces are meant.
                    Ok(address) => {
                        let text = address.to_string();
                        Picture::Address(text.replace('{', "{{").replace('}', "}}"))
                    }
                    Err(error) => bail!("{at}: column {column} {error}: {text}"),
                }
            }
            Some(Value::String(path)) if !path.trim().is_empty() => {
                Picture::File(self.folder.join(path.trim()))
            }
            Some(_) => bail!("{at}: column {column} is empty"),
        };
        if let Some(file) = image.file().filter(|file| !file.is_file()) {
            bail!("{at}: column {column}: there is no file {}", file.display());
        }
        let mask = text("mask").map(str::trim).filter(|path| !path.is_empty());
        let mask = mask.map(|path| self.folder.join(path));
        if let Some(mask) = mask.as_ref().filter(|mask| !mask.is_file()) {
            bail!("{at}: column mask: there is no file {}", mask.display());
        }
        for (name, template) in &self.templates {
            let shown: Vec<(&str, String)> = template
                .names()
                .filter_map(|name| Some((name, value_text(values.get(name)?))))
                .collect();
            let value = |asked: &str| {
                let found = shown.iter().find(|(name, _)| *name == asked);
                found.map(|(_, value)| value.as_str())
            };
            if let Err(error) = template.fill(value) {
                bail!("{at}: --{name} {error}");
            }
        }
        let given = |name: &str| self.templates.iter().any(|(template, _)| *template == name);
        let mut fields = Map::new();
        for name in FIELDS.into_iter().filter(|name| !given(name)) {
            match values.get(name).map(value_text) {
                Some(value) if value.trim().is_empty() => {}
                Some(value) if name == "seed" => {
                    let seed: u64 = value
                        .trim()
                        .parse()
                        .with_context(|| format!("{at}: column seed is no whole number"))?;
                    fields.insert(name.to_owned(), seed.into());
                }
                // Whoever writes a product's color into a column of this name may only mean its words.
                Some(_) if name == "color" && given("instruction") => {}
                Some(value) => {
                    fields.insert(name.to_owned(), value.trim().into());
                }
                None => {}
            }
        }
        if !given("instruction") && !fields.contains_key("instruction") {
            bail!("{at}: has no instruction: give --instruction, or a column of that name");
        }
        if !self.also.is_empty() {
            // The color of a further object is in its words, and not that of the first.
            let further = self
                .also
                .iter()
                .map(|text| json!({"instruction": text, "color": null}));
            let objects: Vec<Value> = std::iter::once(json!({})).chain(further).collect();
            fields.insert("objects".to_owned(), objects.into());
        }
        Ok(Row {
            number: 0,
            image,
            mask,
            values,
            fields,
        })
    }
}

/// `NAME=A,B,C`.
fn values(set: &str) -> Result<Vec<Map<String, Value>>> {
    let (name, list) = set
        .split_once('=')
        .filter(|(name, _)| !name.trim().is_empty())
        .with_context(|| format!("--set: {set}: write NAME=A,B,C"))?;
    let list: Vec<&str> = list.split(',').map(str::trim).collect();
    if list.iter().any(|value| value.is_empty()) {
        bail!("--set: {set}: has an empty value");
    }
    for (at, value) in list.iter().enumerate() {
        if list[..at].contains(value) {
            bail!("--set: {set}: has {value} twice");
        }
    }
    let one = |value: &&str| Map::from_iter([(name.trim().to_owned(), Value::from(*value))]);
    Ok(list.iter().map(one).collect())
}

/// A file with the columns name and hex.
fn palette(path: &Path) -> Result<Vec<Map<String, Value>>> {
    let shown = path.display().to_string();
    let manifest = Manifest::open(path, None).context("--palette")?;
    let mut colors = Vec::new();
    for entry in manifest.entries("name")? {
        let entry = entry.with_context(|| format!("--palette: {shown}"))?;
        let cell = |column: &str| {
            let cell = entry.values.get(column).and_then(Value::as_str);
            let cell = cell.map(str::trim).filter(|cell| !cell.is_empty());
            cell.with_context(|| {
                format!(
                    "--palette: {shown}: {}: column {column} is missing or empty",
                    entry.at
                )
            })
        };
        let (name, hex) = (cell("name")?, cell("hex")?);
        colors.push(Map::from_iter([
            ("color".to_owned(), Value::from(name)),
            ("color_hex".to_owned(), Value::from(hex)),
        ]));
    }
    if colors.is_empty() {
        bail!("--palette: {shown}: has no colors");
    }
    Ok(colors)
}
