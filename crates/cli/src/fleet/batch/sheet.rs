//! `limekiln batch sheet`: a catalog on one page, product by product. Pictures are fetched a few at a time and written as they come, so
//! that the page may be larger than memory.

use std::collections::HashMap;
use std::io::BufWriter;
use std::path::Path;

use anyhow::{Result, bail};
use futures_util::StreamExt;
use futures_util::stream;
use limekiln_jobs::ImageId;
use limekiln_jobs::api::{CatalogView, RowPage, RowView};
use limekiln_jobs::catalog::RowState;
use limekiln_pictures::encode::preview;
use limekiln_pictures::{Limits, decode};
use tempfile::NamedTempFile;

use super::page::{Page, Picture, Shown};
use super::pages::Pages;
use super::{client, get};
use crate::args::BatchSheetArgs;
use crate::fleet::client::{Client, Refused};
use crate::output;
use crate::progress::Progress;

/// Rows that are read at once.
const PAGE: u32 = 1000;
/// Rows of a sheet, at most.
const ROWS_MOST: usize = 20_000;
/// Pictures that are fetched at once.
const FETCHES: usize = 8;
/// Longer side of the pictures on a sheet, unless somebody says otherwise.
pub(super) const SIDE: u32 = 320;
/// Bytes of a picture on the sheet, at most.
const BYTES_MOST: usize = 256 << 10;

/// `limekiln batch sheet`.
///
/// # Errors
///
/// One line that says what to do.
pub(super) async fn run(args: &BatchSheetArgs) -> Result<()> {
    let client = client(&args.one)?;
    let view = get(&client, args.one.catalog).await?;
    let drawn = draw(&client, &view, &args.output, args.state, args.side).await?;
    output::print(&if args.one.json {
        serde_json::json!({"sheet": args.output, "rows": drawn.rows, "missing": drawn.missing})
            .to_string()
    } else {
        drawn.says(&args.output)
    });
    Ok(())
}

/// What is on a sheet.
pub(super) struct Drawn {
    rows: usize,
    missing: usize,
}

impl Drawn {
    pub(super) fn says(&self, path: &Path) -> String {
        let missing = match self.missing {
            0 => String::new(),
            missing => format!("; {missing} pictures are not there any more"),
        };
        format!("{} shows {} rows{missing}", path.display(), self.rows)
    }
}

/// What a sheet is drawn on: the name says which.
enum Paper {
    Html(Box<Page<BufWriter<NamedTempFile>>>),
    Png(Pages),
}

impl Paper {
    fn begin(path: &Path, view: &CatalogView, rows: usize) -> Result<Self> {
        let png = path
            .extension()
            .is_some_and(|ending| ending.eq_ignore_ascii_case("png"));
        if png {
            return Ok(Self::Png(Pages::begin(path, view)));
        }
        let file = output::temporary(output::folder_of(path))?;
        let page = Page::begin(BufWriter::new(file), view, rows)?;
        Ok(Self::Html(page.into()))
    }

    fn product(&mut self, rows: &[RowView], input: &Picture, region: &Picture) -> Result<()> {
        match self {
            Self::Html(page) => page.product(rows, input, region)?,
            Self::Png(pages) => pages.product(rows, input, region),
        }
        Ok(())
    }

    fn row(&mut self, shown: &Shown<'_>) -> Result<()> {
        match self {
            Self::Html(page) => page.row(shown)?,
            Self::Png(pages) => pages.row(shown),
        }
        Ok(())
    }

    fn product_end(&mut self) -> Result<()> {
        match self {
            Self::Html(page) => Ok(page.product_end()?),
            Self::Png(pages) => pages.product_end(),
        }
    }

    /// A file that is there is replaced once the new one is whole.
    fn end(self, path: &Path) -> Result<()> {
        match self {
            Self::Html(page) => {
                let file = page
                    .end()?
                    .into_inner()
                    .map_err(|error| error.into_error())?;
                file.persist(path).map_err(|error| error.error)?;
                Ok(())
            }
            Self::Png(pages) => pages.end().map(drop),
        }
    }
}

/// Rows about one picture.
struct Product {
    image: ImageId,
    rows: Vec<RowView>,
}

/// Writes the sheet of a catalog.
pub(super) async fn draw(
    client: &Client,
    view: &CatalogView,
    path: &Path,
    state: Option<RowState>,
    side: u32,
) -> Result<Drawn> {
    let products = products(client, view, state).await?;
    let rows = products.iter().map(|product| product.rows.len()).sum();
    let bar = Progress::new("");
    let (mut done, mut missing) = (0, 0);
    output::name_probe(path)?;
    let mut paper = Paper::begin(path, view, rows)?;
    for product in &products {
        let region = product
            .rows
            .iter()
            .find_map(|row| row.edit.filter(|_| has_result(row)));
        let input = format!("/v1/images/{}/content", product.image);
        let overlay = region.map(|edit| format!("/v1/edits/{edit}/overlay"));
        let results = product.rows.iter().map(|row| {
            let edit = row.edit.filter(|_| has_result(row))?;
            Some(format!(
                "/v1/edits/{edit}/result?format=jpeg&quality=85&max_side={side}"
            ))
        });
        let paths = [Some(input), overlay].into_iter().chain(results);
        let pictures = paths.map(|path| picture(client, path, side));
        let mut pictures = stream::iter(pictures).buffered(FETCHES);
        let mut next = async || match pictures.next().await {
            Some(picture) => picture,
            None => Ok(Picture::None),
        };
        paper.product(&product.rows, &next().await?, &next().await?)?;
        for row in &product.rows {
            let picture = next().await?;
            missing += usize::from(matches!(picture, Picture::Gone));
            paper.row(&Shown { row, picture })?;
            done += 1;
            bar.count("rows", done, rows);
        }
        paper.product_end()?;
    }
    paper.end(path)?;
    bar.finish();
    Ok(Drawn { rows, missing })
}

fn has_result(row: &RowView) -> bool {
    matches!(
        row.state,
        RowState::Passed | RowState::Review | RowState::Rejected
    )
}

/// All rows, by their pictures in the order in which these come first.
async fn products(
    client: &Client,
    view: &CatalogView,
    state: Option<RowState>,
) -> Result<Vec<Product>> {
    let (mut products, mut places) = (Vec::<Product>::new(), HashMap::new());
    let (mut after, mut count) = (0, 0);
    loop {
        let mut path = format!("/v1/catalogs/{}/rows?limit={PAGE}&after={after}", view.id);
        if let Some(state) = state {
            path += &format!("&state={state}");
        }
        let page: RowPage = client.get(&path).await?;
        for row in page.rows {
            count += 1;
            if count > ROWS_MOST {
                bail!(
                    "a sheet has at most {ROWS_MOST} rows: choose some by --state, such as --state review"
                );
            }
            let place = *places.entry(row.image).or_insert(products.len());
            match products.get_mut(place) {
                Some(product) => product.rows.push(row),
                None => products.push(Product {
                    image: row.image,
                    rows: vec![row],
                }),
            }
        }
        match page.next {
            Some(next) => after = next,
            None => return Ok(products),
        }
    }
}

/// The picture at this path, as a small JPEG.
async fn picture(client: &Client, path: Option<String>, side: u32) -> Result<Picture> {
    let Some(path) = path else {
        return Ok(Picture::None);
    };
    let bytes = match client.bytes_get(&path).await {
        Ok(bytes) => bytes,
        // What was deleted, or is too old, leaves its place empty.
        Err(error) if error.is::<Refused>() => return Ok(Picture::Gone),
        Err(error) => return Err(error),
    };
    let small = tokio::task::spawn_blocking(move || {
        let picture = decode(&bytes, &Limits::ACCEPTED).ok()?;
        preview(&picture.on_white(), side, BYTES_MOST).ok()?
    });
    Ok(small.await?.map_or(Picture::Gone, Picture::Jpeg))
}
