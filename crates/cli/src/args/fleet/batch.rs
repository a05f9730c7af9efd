//! `limekiln batch`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use limekiln_jobs::BatchId;
use limekiln_jobs::catalog::RowState;
use url::Url;

use super::GatewayArgs;

/// Edit a whole catalog: every picture in every color
///
/// `submit` makes a catalog on the gateway of a manifest, whose rows are edited a few at a time while the fleet has room; the other
/// commands follow it, and fetch what it made.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct BatchArgs {
    #[command(subcommand)]
    pub(crate) command: Batch,
}

const EXAMPLES: &str = "\
Examples:
  limekiln batch submit products.csv --instruction \"make the {object} {color}\" --set color=red,teal,#1F6F8B --preset recolor
      products.csv has the columns image and object; every row in three colors
  limekiln batch submit photos/ --instruction \"make the sofa {color}\" --palette brand.csv --preset recolor --dry-run
      says what would be sent
  limekiln batch status 01939e0c-...
  limekiln batch sheet 01939e0c-... -o sheet.html
      a page to look at: input, region and every color of each product
  limekiln batch results 01939e0c-... --out done --files \"{sku}/{color}.png\"
      downloads what passed, and writes done/results.csv";

/// The parts of `batch`.
#[derive(Debug, Subcommand)]
pub(crate) enum Batch {
    Submit(Box<BatchSubmitArgs>),
    /// Show how far a catalog is; with --follow until it ended
    Status(BatchStatusArgs),
    /// Start no more rows until it is resumed
    Pause(BatchOneArgs),
    /// Go on with a paused catalog
    Resume(BatchOneArgs),
    /// Cancel all rows that have not ended
    Cancel(BatchOneArgs),
    /// Try the rows that failed again
    RetryFailed(BatchOneArgs),
    Results(BatchResultsArgs),
    Sheet(BatchSheetArgs),
}

/// Make a catalog of a manifest
///
/// Everything is checked before anything is sent. Interrupted, run it again: rows that are there already are not sent twice.
#[derive(Args, Debug)]
pub(crate) struct BatchSubmitArgs {
    /// A file of rows (.csv, .tsv or .jsonl, also compressed as .gz), a folder of pictures, or a pattern such as 'photos/*.jpg'
    #[arg(value_name = "MANIFEST")]
    pub(crate) manifest: PathBuf,

    /// What to change, in English; {name} stands for a column, or for a name of --set [default: the column `instruction`]
    #[arg(long, value_name = "TEXT")]
    pub(crate) instruction: Option<String>,

    /// What to change next in what that made, such as "make the {object2} {color2}"; may be given several times: one row is about several
    /// objects, each found by its words and edited one after the other
    #[arg(long = "also", value_name = "TEXT")]
    pub(crate) also: Vec<String>,

    /// Values for {NAME}: every row is sent with each of them; may be given several times
    #[arg(long = "set", value_name = "NAME=A,B,C")]
    pub(crate) sets: Vec<String>,

    /// A file of colors with the columns name and hex: every row is sent in each, as {color} and {color_hex}
    #[arg(long, value_name = "CSV")]
    pub(crate) palette: Option<PathBuf>,

    /// The color that the object ends at [default: {color_hex} with --palette; {color} where there is one and the preset recolors]
    #[arg(long, value_name = "TEXT")]
    pub(crate) color: Option<String>,

    /// The column with the pictures' paths, from the manifest's folder
    #[arg(long, value_name = "COLUMN", default_value = "image")]
    pub(crate) image_column: String,

    /// The preset [default: the gateway's]
    #[arg(long, value_name = "PRESET")]
    pub(crate) preset: Option<String>,

    /// The model, by the name that workers serve it as [default: the gateway's]
    #[arg(long = "as", value_name = "NAME")]
    pub(crate) served_as: Option<String>,

    /// What the catalog is called; the same manifest under another name is another catalog
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) name: String,

    /// Catalogs of a higher priority go before your others
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true, value_parser = clap::value_parser!(i16).range(-100..=100))]
    pub(crate) priority: i16,

    /// The manifest's encoding, such as windows-1252 [default: UTF-8, or what its first bytes say]
    #[arg(long, value_name = "LABEL")]
    pub(crate) encoding: Option<String>,

    /// Say what would be sent, what is wrong with it, and how long it would take by what your edits took lately; send nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Send so many rows alone, drawn at random, as a catalog of their own, and write a sheet of them: look before you send the rest
    #[arg(long, value_name = "N", conflicts_with_all = ["dry_run", "detach"], value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) sample: Option<u32>,

    /// Where the sheet of a --sample goes
    #[arg(
        long,
        value_name = "FILE",
        default_value = "sample.html",
        requires = "sample"
    )]
    pub(crate) sheet: PathBuf,

    /// What an edit costs, for --dry-run
    #[arg(long, value_name = "AMOUNT", requires = "dry_run")]
    pub(crate) price: Option<f64>,

    /// An address, http or https, that is told once the catalog has ended
    #[arg(long, value_name = "URL")]
    pub(crate) webhook: Option<Url>,

    /// An address, http or https, that is told of each row's edit
    #[arg(long, value_name = "URL")]
    pub(crate) row_webhook: Option<Url>,

    /// Exit once all rows are there, and do not wait for their end
    #[arg(long)]
    pub(crate) detach: bool,

    /// Print the catalog as JSON on stdout
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}

/// A catalog.
#[derive(Args, Debug)]
pub(crate) struct BatchOneArgs {
    /// The catalog's id
    #[arg(value_name = "CATALOG")]
    pub(crate) catalog: BatchId,

    /// Print the answer as JSON on stdout
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}

/// A catalog to look at.
#[derive(Args, Debug)]
pub(crate) struct BatchStatusArgs {
    #[command(flatten)]
    pub(crate) one: BatchOneArgs,

    /// Show how far it is until it ended
    #[arg(long)]
    pub(crate) follow: bool,
}

/// Download results
///
/// Writes the pictures of rows that passed, and results.csv, a manifest of all rows. Interrupted, run it again: files that are there are
/// not downloaded twice, unless their rows were done again.
#[derive(Args, Debug)]
pub(crate) struct BatchResultsArgs {
    #[command(flatten)]
    pub(crate) one: BatchOneArgs,

    /// The folder to write to; it is made where it is not there
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,

    /// Names of the files: {name} stands for a value of the row, {row} for its number, {color} for its color. Names that repeat get
    /// the row's number
    #[arg(long, value_name = "TEXT", default_value = "{row}.png")]
    pub(crate) files: String,

    /// Download rows in review, too
    #[arg(long)]
    pub(crate) review: bool,
}

/// Show a catalog on one page
///
/// Writes an HTML file that needs nothing else: for each product its picture, the region that was found, and every color with its
/// verdict. At most 20,000 rows; --state chooses.
#[derive(Args, Debug)]
pub(crate) struct BatchSheetArgs {
    #[command(flatten)]
    pub(crate) one: BatchOneArgs,

    /// Where to write it; a name that ends in .png gets as many pages as it takes: sheet-1.png, ...
    #[arg(short, long, value_name = "FILE", default_value = "sheet.html")]
    pub(crate) output: PathBuf,

    /// Only rows of this state: passed, review, rejected, failed, ...
    #[arg(long, value_name = "STATE")]
    pub(crate) state: Option<RowState>,

    /// Longer side of the pictures on it, in pixels
    #[arg(long, value_name = "PX", default_value_t = 320, value_parser = clap::value_parser!(u32).range(16..=2048))]
    pub(crate) side: u32,
}
