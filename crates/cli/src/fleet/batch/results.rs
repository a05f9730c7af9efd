//! `limekiln batch results`: files by a template, and a manifest of all rows.

use std::collections::HashSet;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use limekiln_jobs::api::{CatalogView, RowPage, RowView};
use limekiln_jobs::catalog::{RowState, Template, cell_text, value_text};
use limekiln_pictures::Format;

use super::had::Had;
use super::{client, get};
use crate::args::BatchResultsArgs;
use crate::fleet::client::Client;
use crate::output;
use crate::progress::Progress;

/// Rows that are read at once.
const PAGE: u32 = 500;
/// The manifest's name.
const MANIFEST: &str = "results.csv";
/// Characters of a part of a path, at most.
const PART_CHARS_MAX: usize = 120;

/// `limekiln batch results`.
///
/// # Errors
///
/// One line that says what to do.
pub(super) async fn run(args: &BatchResultsArgs) -> Result<()> {
    let files = Template::parse(&args.files).context("--files")?;
    let format = format(&args.files)?;
    let client = client(&args.one)?;
    let view = get(&client, args.one.catalog).await?;
    std::fs::create_dir_all(&args.out).with_context(|| args.out.display().to_string())?;
    let path = args.out.join(MANIFEST);
    // Beside its place, so that a manifest of before stays until this one is whole; a file, since there may be a million rows.
    let manifest = output::temporary(&args.out);
    let manifest = manifest.with_context(|| args.out.display().to_string())?;
    let mut fetching = Fetching {
        client: &client,
        args,
        files,
        format,
        names: HashSet::from([MANIFEST.to_owned()]),
        had: Had::open(&args.out, &path)?,
        downloaded: 0,
    };
    let mut lines = csv::Writer::from_writer(BufWriter::new(manifest.as_file()));
    fetching.all(&view, &mut lines).await?;
    lines.flush()?;
    drop(lines);
    let written = manifest.persist(&path).map_err(|error| error.error);
    written.with_context(|| path.display().to_string())?;
    let downloaded = fetching.downloaded;
    fetching.had.end()?;
    output::print(&if args.one.json {
        serde_json::json!({"downloaded": downloaded, "rows": view.rows, "manifest": path})
            .to_string()
    } else {
        format!(
            "{downloaded} files downloaded; {} tells of all {} rows",
            path.display(),
            view.rows
        )
    });
    Ok(())
}

struct Fetching<'a> {
    client: &'a Client,
    args: &'a BatchResultsArgs,
    files: Template,
    format: Format,
    /// Names that are taken, in lower case.
    names: HashSet<String>,
    had: Had,
    downloaded: u64,
}

impl Fetching<'_> {
    /// Downloads all files, and writes the manifest of all rows.
    async fn all(
        &mut self,
        view: &CatalogView,
        manifest: &mut csv::Writer<impl Write>,
    ) -> Result<()> {
        let bar = Progress::new("");
        let mut columns: Option<Vec<String>> = None;
        let (mut after, mut done) = (0, 0);
        loop {
            let path = format!("/v1/catalogs/{}/rows?limit={PAGE}&after={after}", view.id);
            let page: RowPage = self.client.get(&path).await?;
            for row in &page.rows {
                let file = self.row(row).await?;
                let columns = match &columns {
                    Some(columns) => columns,
                    None => {
                        let named: Vec<String> = row.values.keys().cloned().collect();
                        let all = COLUMNS.into_iter().map(str::to_owned).chain(named.clone());
                        manifest.write_record(all)?;
                        columns.insert(named)
                    }
                };
                let cells = cells(row, file.as_deref(), columns);
                manifest.write_record(cells.iter().map(|cell| cell_text(cell).into_owned()))?;
                done += 1;
                bar.count("rows", done, view.rows.max(1) as usize);
            }
            match page.next {
                Some(next) => after = next,
                None => break,
            }
        }
        bar.finish();
        Ok(())
    }

    /// Downloads the file of a row, unless it is there; its name.
    async fn row(&mut self, row: &RowView) -> Result<Option<String>> {
        let wanted =
            row.state == RowState::Passed || row.state == RowState::Review && self.args.review;
        let (true, Some(edit)) = (wanted, row.edit) else {
            return Ok(None);
        };
        let mut name = name(&self.files, row)?;
        // Names that differ in case only are one on other disks.
        if !self.names.insert(name.to_lowercase()) {
            name = numbered(&name, row.row);
            self.names.insert(name.to_lowercase());
        }
        let path = self.args.out.join(&name);
        if path.exists() && self.had.is(row.row, edit) {
            return Ok(Some(name));
        }
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        let file = self
            .client
            .result_get(edit, Some(self.format))
            .await
            .with_context(|| format!("row {}", row.row))?;
        output::write(&path, &file.bytes)?;
        self.had.add(row.row, edit)?;
        self.downloaded += 1;
        Ok(Some(name))
    }
}

/// Columns before those of the rows' values.
const COLUMNS: [&str; 17] = [
    "row",
    "state",
    "reasons",
    "error",
    "file",
    "asked",
    "edit",
    "sure",
    "share",
    "delta_e",
    "delta_e_p95",
    "changed_outside",
    "seconds",
    "used_seed",
    "reused",
    "region_from",
    "fingerprint",
];

fn cells(row: &RowView, file: Option<&str>, columns: &[String]) -> Vec<String> {
    let reasons: Vec<&str> = row.reasons.iter().map(|reason| reason.as_str()).collect();
    let own = [
        row.row.to_string(),
        row.state.to_string(),
        reasons.join(" "),
        row.error.clone().unwrap_or_default(),
        file.unwrap_or_default().to_owned(),
        row.instruction.clone(),
        row.edit.map(|edit| edit.to_string()).unwrap_or_default(),
    ];
    let values = columns
        .iter()
        .map(|name| row.values.get(name).map(value_text).unwrap_or_default());
    let measured = row.measures.cells();
    own.into_iter().chain(measured).chain(values).collect()
}

/// The format of files with this template's name.
fn format(template: &str) -> Result<Format> {
    let ending = Path::new(template).extension();
    let ending = ending
        .and_then(|ending| ending.to_str())
        .unwrap_or_default();
    let found = match ending.to_ascii_lowercase().as_str() {
        "png" => Format::Png,
        "jpg" | "jpeg" => Format::Jpeg,
        "webp" => Format::WebP,
        _ => bail!("--files: {template}: must end in .png, .jpg or .webp"),
    };
    Ok(found)
}

/// The name of a row's file: it stays in the folder, whatever the values say.
fn name(template: &Template, row: &RowView) -> Result<String> {
    let mut values: Vec<(&str, String)> = row
        .values
        .iter()
        .map(|(name, value)| (name.as_str(), part(&value_text(value))))
        .collect();
    values.push(("row", row.row.to_string()));
    if let Some(color) = &row.color {
        values.push(("color", part(color)));
    }
    let filled = template
        .fill(|asked| {
            let found = values.iter().find(|(name, _)| *name == asked);
            found.map(|(_, value)| value.as_str())
        })
        .map_err(|error| anyhow::anyhow!("--files {error} (row {})", row.row))?;
    let parts: Vec<&str> = filled.split('/').collect();
    let leaves = |part: &&str| part.is_empty() || matches!(*part, "." | "..");
    if parts.iter().any(leaves) || Path::new(&filled).is_absolute() {
        bail!(
            "--files: row {}: {filled} leaves the folder, or is no name",
            row.row
        );
    }
    Ok(parts.join("/"))
}

/// A value as a part of a file's name.
fn part(value: &str) -> String {
    let plain = |c: char| match c {
        '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|' => '_',
        c if c.is_control() => '_',
        c => c,
    };
    let text: String = value
        .trim()
        .chars()
        .map(plain)
        .take(PART_CHARS_MAX)
        .collect();
    // Neither hidden nor a way up.
    text.trim_start_matches('.')
        .trim_end_matches(['.', ' '])
        .to_owned()
}

/// The name with the row's number before its ending.
fn numbered(name: &str, row: u64) -> String {
    let path = PathBuf::from(name);
    let ending = path
        .extension()
        .and_then(|ending| ending.to_str())
        .unwrap_or_default();
    let stem = name.strip_suffix(&format!(".{ending}")).unwrap_or(name);
    format!("{stem}-{row}.{ending}")
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use serde_json::json;

    fn row(number: u64, values: Value) -> RowView {
        let view = json!({
            "row": number, "state": "passed", "reasons": [], "error": null, "values": values, "color": "teal",
            "image": "01939e0c-8a52-7c31-9d0f-3b1d6c2a4e57", "instruction": "make it teal", "edit": null, "measures": {},
        });
        serde_json::from_value(view).unwrap()
    }

    #[test]
    fn names_stay_in_the_folder() {
        let of = |template: &str, values: Value| {
            name(&Template::parse(template).unwrap(), &row(7, values))
        };
        assert_eq!(
            of("{sku}/{color}.png", json!({"sku": "A-1"})).unwrap(),
            "A-1/teal.png"
        );
        assert_eq!(
            of("{sku}.png", json!({"sku": "../../etc/x"})).unwrap(),
            "_.._etc_x.png"
        );
        assert_eq!(
            of("{sku}.png", json!({"sku": "/a\\b:c\n"})).unwrap(),
            "_a_b_c.png"
        );
        assert_eq!(of("{row}.png", json!({})).unwrap(), "7.png");
        for (template, values) in [
            ("{sku}/{color}.png", json!({"sku": ".."})),
            ("../{color}.png", json!({})),
            ("/tmp/{color}.png", json!({})),
            ("a//{color}.png", json!({})),
            ("{none}.png", json!({})),
        ] {
            assert!(of(template, values).is_err(), "{template}");
        }
        assert_eq!(numbered("a/b.png", 3), "a/b-3.png");
        assert!(format("{sku}.gif").is_err());
    }
}
