//! Manifests: rows of CSV, TSV or JSON lines, or the pictures of a folder. Read as a stream, so that a million rows take no more memory
//! than one.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use encoding_rs::Encoding;
use limekiln_jobs::catalog::{VALUES_MAX, cell_read};
use serde_json::{Map, Value};

use super::decode::Decoded;
use super::lines::{Line, Lines};

/// Endings of files that are pictures.
const PICTURES: [&str; 7] = ["png", "jpg", "jpeg", "webp", "tif", "tiff", "jpe"];

/// A row as the manifest has it.
#[derive(Debug, PartialEq)]
pub(super) struct Entry {
    /// Where it stands: `line 3`, or the picture's path.
    pub(super) at: String,
    /// Its cells by column.
    pub(super) values: Map<String, Value>,
}

/// Where rows come from.
#[derive(Debug)]
pub(super) enum Manifest {
    /// A file of rows.
    Rows {
        path: PathBuf,
        form: Form,
        encoding: Option<&'static Encoding>,
    },
    /// Pictures, by name.
    Pictures(Vec<PathBuf>),
}

/// How a file has its rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Form {
    /// Values between these, after a line of names.
    Separated(u8),
    /// A JSON object on each line.
    JsonLines,
}

/// The rows, one after the other. An error of one row is no end of the others.
pub(super) type Entries = Box<dyn Iterator<Item = Result<Entry>>>;

impl Manifest {
    /// Finds out what a manifest is.
    ///
    /// # Errors
    ///
    /// When there is nothing there, or nothing that is a manifest.
    pub(super) fn open(path: &Path, encoding: Option<&str>) -> Result<Self> {
        let encoding = encoding
            .map(|label| {
                Encoding::for_label(label.as_bytes())
                    .with_context(|| format!("--encoding: {label} is no encoding"))
            })
            .transpose()?;
        let shown = path.display();
        if path.is_dir() {
            let files = std::fs::read_dir(path).with_context(|| format!("{shown}"))?;
            let files = files.map(|file| Ok(file?.path()));
            let files = files.collect::<Result<Vec<_>>>()?;
            return Self::pictures(files, path);
        }
        let text = path.to_string_lossy();
        if text.contains(['*', '?', '[']) && !path.exists() {
            let files = glob::glob(&text).with_context(|| format!("{shown}: is no pattern"))?;
            let files = files.collect::<std::result::Result<Vec<_>, _>>()?;
            return Self::pictures(files, path);
        }
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().to_lowercase())
            .unwrap_or_default();
        let plain = name.trim_end_matches(".gz");
        let form = match plain.rsplit_once('.').map_or("", |(_, ending)| ending) {
            "csv" | "txt" => Form::Separated(b','),
            "tsv" | "tab" => Form::Separated(b'\t'),
            "jsonl" | "ndjson" => Form::JsonLines,
            _ => bail!(
                "{shown}: is no manifest: give a .csv, .tsv or .jsonl file, a folder, or a pattern"
            ),
        };
        File::open(path).with_context(|| format!("{shown}"))?;
        Ok(Self::Rows {
            path: path.to_owned(),
            form,
            encoding,
        })
    }

    fn pictures(mut files: Vec<PathBuf>, from: &Path) -> Result<Self> {
        files.retain(|file| {
            let ending = file.extension().map(|ending| ending.to_ascii_lowercase());
            file.is_file() && ending.is_some_and(|ending| PICTURES.iter().any(|one| ending == *one))
        });
        files.sort();
        if files.is_empty() {
            bail!("{}: has no pictures", from.display());
        }
        Ok(Self::Pictures(files))
    }

    /// The folder that paths in it start from.
    pub(super) fn folder(&self) -> PathBuf {
        match self {
            Self::Rows { path, .. } => path.parent().map(Path::to_owned).unwrap_or_default(),
            Self::Pictures(_) => PathBuf::new(),
        }
    }

    /// Its rows, from the first.
    ///
    /// # Errors
    ///
    /// When it can't be read, or its first line names no columns.
    pub(super) fn entries(&self, image_column: &str) -> Result<Entries> {
        let (path, form, encoding) = match self {
            Self::Pictures(files) => return Ok(pictures(files, image_column)),
            Self::Rows {
                path,
                form,
                encoding,
            } => (path, *form, *encoding),
        };
        let shown = path.display().to_string();
        let file = File::open(path).with_context(|| shown.clone())?;
        let mut file: Box<dyn BufRead> = Box::new(BufReader::with_capacity(1 << 16, file));
        if file
            .fill_buf()
            .with_context(|| shown.clone())?
            .starts_with(&[0x1f, 0x8b])
        {
            file = Box::new(BufReader::new(flate2::bufread::MultiGzDecoder::new(file)));
        }
        let mut text = BufReader::with_capacity(1 << 16, Decoded::new(file, encoding));
        match form {
            Form::JsonLines => Ok(json_lines(text)),
            Form::Separated(by) => {
                // Spreadsheets of half the world write semicolons.
                let first = text.fill_buf().with_context(|| shown.clone())?;
                let first = first
                    .split(|byte| *byte == b'\n')
                    .next()
                    .unwrap_or_default();
                let has = |byte: u8| first.contains(&byte);
                let by = if by == b',' && !has(b',') && has(b';') {
                    b';'
                } else {
                    by
                };
                separated(text, by, &shown)
            }
        }
    }
}

fn pictures(files: &[PathBuf], image_column: &str) -> Entries {
    let column = image_column.to_owned();
    let entries: Vec<PathBuf> = files.to_vec();
    Box::new(entries.into_iter().map(move |file| {
        let text = |path: &std::ffi::OsStr| path.to_str().map(str::to_owned);
        let shown = file.display().to_string();
        let whole =
            text(file.as_os_str()).with_context(|| format!("{shown}: its name is not UTF-8"))?;
        let stem = file.file_stem().and_then(text).unwrap_or_default();
        let mut values = Map::new();
        values.insert(column.clone(), whole.into());
        values.insert("name".to_owned(), stem.into());
        Ok(Entry { at: shown, values })
    }))
}

fn separated(text: impl BufRead + 'static, by: u8, shown: &str) -> Result<Entries> {
    let mut lines = Lines::new(text, by);
    let header = lines.next().with_context(|| empty(shown))?;
    let header = header.and_then(|line| line.cells);
    let header = header.with_context(|| shown.to_owned())?;
    let names: Vec<String> = header
        .iter()
        .map(|name| cell_read(name.trim()).to_owned())
        .collect();
    if names.iter().all(String::is_empty) {
        bail!(empty(shown));
    }
    if names.len() > VALUES_MAX {
        bail!(
            "{shown}: has {} columns; {VALUES_MAX} are taken",
            names.len()
        );
    }
    let mut seen = BTreeSet::new();
    for (at, name) in names.iter().enumerate() {
        if name.is_empty() {
            bail!("{shown}: line 1: column {} has no name", at + 1);
        }
        if !seen.insert(name.as_str()) {
            bail!("{shown}: line 1: two columns have the name {name}");
        }
    }
    Ok(Box::new(lines.map(move |line| {
        let Line { number, cells } = line?;
        let cells = cells?;
        if cells.len() != names.len() {
            bail!(
                "line {number}: has {} cells, and the first line names {} columns",
                cells.len(),
                names.len()
            );
        }
        let cells = names.iter().zip(&cells);
        let values = cells.map(|(name, cell)| (name.clone(), cell_read(cell).into()));
        Ok(Entry {
            at: format!("line {number}"),
            values: values.collect(),
        })
    })))
}

fn empty(shown: &str) -> String {
    format!("{shown}: is empty: its first line names the columns")
}

fn json_lines(text: impl BufRead + 'static) -> Entries {
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line));
    let filled =
        lines.filter(|(_, line)| line.as_ref().map_or(true, |line| !line.trim().is_empty()));
    let mut ended = false;
    Box::new(
        filled
            .take_while(move |(_, line)| {
                let goes_on = !ended;
                ended = ended || line.is_err();
                goes_on
            })
            .map(|(at, line)| {
                let line = line.with_context(|| format!("line {at}"))?;
                let values: Map<String, Value> = serde_json::from_str(&line)
                    .with_context(|| format!("line {at}: is no JSON object"))?;
                for (name, value) in &values {
                    if value.is_array() || value.is_object() {
                        bail!("line {at}: {name} must be a text, a number or a boolean");
                    }
                }
                if values.len() > VALUES_MAX {
                    bail!(
                        "line {at}: has {} values; {VALUES_MAX} are taken",
                        values.len()
                    );
                }
                Ok(Entry {
                    at: format!("line {at}"),
                    values,
                })
            }),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, bytes: &[u8], encoding: Option<&str>) -> Result<Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let manifest = Manifest::open(&path, encoding)?;
        let shown = |entry: Result<Entry>| match entry {
            Ok(entry) => format!("{}: {}", entry.at, Value::Object(entry.values)),
            Err(error) => format!("bad {error:#}"),
        };
        Ok(manifest.entries("image")?.map(shown).collect())
    }

    fn utf16(text: &str) -> Vec<u8> {
        let units = std::iter::once(0xfeff).chain(text.encode_utf16());
        units.flat_map(u16::to_le_bytes).collect()
    }

    #[test]
    fn manifests_are_read_as_spreadsheets_and_programs_write_them() {
        let expected = [
            r#"line 2: {"image":"a.png","object":"sofa, \"big\"\nred"}"#,
            r#"line 4: {"image":"ü.png","object":""}"#,
        ];
        let text = "image,object\r\na.png,\"sofa, \"\"big\"\"\nred\"\r\nü.png,\r\n";
        let with_bom = format!("\u{feff}{text}");
        let semicolons = "image;object\r\na.png;\"sofa, \"\"big\"\"\nred\"\r\nü.png;\r\n";
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut gz, text.as_bytes()).unwrap();
        let gz = gz.finish().unwrap();
        for (name, bytes) in [
            ("a.csv", text.as_bytes()),
            ("b.CSV", with_bom.as_bytes()),
            ("c.csv", &utf16(text)),
            ("d.csv", semicolons.as_bytes()),
            ("e.csv.gz", &gz),
            (
                "f.tsv",
                text.replace("image,object", "image\tobject")
                    .replace("g,\"", "g\t\"")
                    .replace("g,\r", "g\t\r")
                    .as_bytes(),
            ),
        ] {
            assert_eq!(read(name, bytes, None).unwrap(), expected, "{name}");
        }
        let blank = read("a.csv", b"\r\n\nimage\r\n\r\n\na.png\r\n\r\n", None).unwrap();
        assert_eq!(blank, [r#"line 6: {"image":"a.png"}"#]);
        let latin = read("a.csv", b"image\n\xfc.png\n", Some("latin1")).unwrap();
        assert_eq!(latin, [r#"line 2: {"image":"ü.png"}"#]);
        let json = b"{\"image\": \"a.png\", \"size\": 3}\r\n\n{\"image\": null}";
        let json = read("a.jsonl", json, None).unwrap();
        assert_eq!(
            json,
            [
                r#"line 1: {"image":"a.png","size":3}"#,
                r#"line 3: {"image":null}"#
            ]
        );
    }

    #[test]
    fn what_is_wrong_is_named_by_its_place() {
        for (name, bytes, says) in [
            ("a.csv", &b""[..], "is empty"),
            ("a.csv", b"image,image\n", "two columns have the name image"),
            ("a.csv", b"image,,b\n", "column 2 has no name"),
            ("a.xlsx", b"PK", "is no manifest"),
        ] {
            let error = read(name, bytes, None).unwrap_err();
            assert!(format!("{error:#}").contains(says), "{error:#}");
        }
        for (name, bytes, says) in [
            (
                "a.csv",
                &b"image,b\na.png\nb.png,c\n"[..],
                "line 2: has 1 cells",
            ),
            (
                "a.csv",
                b"image\n\n\xfc.png\n",
                "line 3: column 1 is not UTF-8",
            ),
            (
                "a.jsonl",
                b"{\"image\": 1}\n{\"image\": \n",
                "line 2: is no JSON object",
            ),
            ("a.jsonl", b"{\"image\": [1]}\n", "line 1: image must be"),
        ] {
            let rows = read(name, bytes, None).unwrap();
            let bad = rows.iter().find(|row| row.starts_with("bad")).unwrap();
            assert!(bad.contains(says), "{bad}");
        }
        assert!(read("a.csv", b"a\n", Some("klingon")).is_err());
    }
}
