//! The page of `limekiln batch sheet`: HTML that needs nothing else. Whatever a manifest or a gateway says is text on it.

use std::io::{Result, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use limekiln_jobs::api::{CatalogView, RowView};
use limekiln_jobs::catalog::{RowState, value_text};
use serde_json::Value;

const STYLE: &str = "\
body{font:14px/1.4 system-ui,sans-serif;margin:0;background:#faf9f6;color:#1e1e22}\
header{position:sticky;top:0;background:#faf9f6;border-bottom:1px solid #ddd;padding:10px 16px;z-index:1}\
h1{font-size:18px;margin:0}h2{font-size:15px;margin:0 0 2px}p{margin:2px 0;color:#55555c}\
section{padding:14px 16px;border-bottom:1px solid #e4e2dc;content-visibility:auto;contain-intrinsic-size:auto 340px}\
div.rows{display:flex;flex-wrap:wrap;gap:12px;margin-top:8px}\
figure{margin:0;width:200px}img,span.no{display:block;width:200px;height:200px;object-fit:contain;background:#eeece6;border-radius:4px}\
span.no{display:flex;align-items:center;justify-content:center;color:#88888f}\
figcaption{font-size:12px;overflow-wrap:anywhere}figcaption b{font-weight:600}\
i.chip{display:inline-block;width:11px;height:11px;border-radius:2px;border:1px solid #0003;vertical-align:-1px;margin-right:4px}\
b.passed{color:#1a7f37}b.review{color:#9a6700}b.failed,b.rejected{color:#c1121f}\
body:has(#review:checked) figure.row:not(.review),body:has(#failed:checked) figure.row:not(.failed):not(.rejected){display:none}\
body:has(#review:checked) section:not(:has(.review)),body:has(#failed:checked) section:not(:has(.failed)):not(:has(.rejected)){display:none}\
label{margin-right:12px}@media print{header{position:static}section{content-visibility:visible;break-inside:avoid}}";

/// A picture's place on the page.
pub(super) enum Picture {
    /// A small JPEG.
    Jpeg(Vec<u8>),
    /// There is none yet, or the edit failed.
    None,
    /// There was one, and it can't be had any more.
    Gone,
}

/// A row with its result.
pub(super) struct Shown<'a> {
    pub(super) row: &'a RowView,
    pub(super) picture: Picture,
}

/// A page that is being written.
pub(super) struct Page<W> {
    to: W,
}

impl<W: Write> Page<W> {
    /// Writes the page's head.
    pub(super) fn begin(mut to: W, view: &CatalogView, rows: usize) -> Result<Self> {
        let name = if view.name.is_empty() {
            format!("Catalog {}", view.id)
        } else {
            view.name.clone()
        };
        write!(
            to,
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width\">\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">\
             <title>{name}</title><style>{STYLE}</style></head><body>\n<header><h1>{name}</h1>\
             <p>{id}: {rows} rows on this page; of all {all}: {passed} passed, {review} in review, {rejected} rejected, {failed} failed</p>\
             <label><input type=\"radio\" name=\"show\" checked> all</label>\
             <label><input type=\"radio\" name=\"show\" id=\"review\"> in review</label>\
             <label><input type=\"radio\" name=\"show\" id=\"failed\"> failed and rejected</label></header>\n",
            name = escaped(&name),
            id = view.id,
            all = view.rows,
            passed = view.passed,
            review = view.review,
            rejected = view.rejected,
            failed = view.failed,
        )?;
        Ok(Self { to })
    }

    /// Begins a product: its picture, and the region that was found.
    pub(super) fn product(
        &mut self,
        rows: &[RowView],
        input: &Picture,
        region: &Picture,
    ) -> Result<()> {
        let common = common(rows);
        let (title, rest) = match common.split_first() {
            Some((first, rest)) => (first.1.clone(), rest),
            None => (String::new(), &common[..]),
        };
        let rest: Vec<String> = rest
            .iter()
            .map(|(name, value)| format!("{}: {}", escaped(name), escaped(value)))
            .collect();
        write!(
            self.to,
            "<section><h2>{}</h2><p>{}</p><div class=\"rows\">",
            escaped(&title),
            rest.join(" · ")
        )?;
        self.figure("", input, "input")?;
        self.figure("", region, "region")
    }

    /// Adds a row to the product.
    pub(super) fn row(&mut self, shown: &Shown<'_>) -> Result<()> {
        let caption = caption(shown.row);
        self.figure(
            &format!("row {}", shown.row.state),
            &shown.picture,
            &caption,
        )
    }

    /// Ends the product.
    pub(super) fn product_end(&mut self) -> Result<()> {
        self.to.write_all(b"</div></section>\n")
    }

    /// Ends the page.
    pub(super) fn end(mut self) -> Result<W> {
        self.to.write_all(b"</body></html>\n")?;
        Ok(self.to)
    }

    /// `caption` is HTML.
    fn figure(&mut self, class: &str, picture: &Picture, caption: &str) -> Result<()> {
        write!(self.to, "<figure class=\"{class}\">")?;
        match picture {
            Picture::Jpeg(bytes) => {
                self.to
                    .write_all(b"<img loading=\"lazy\" decoding=\"async\" alt=\"\" src=\"data:image/jpeg;base64,")?;
                self.to.write_all(STANDARD.encode(bytes).as_bytes())?;
                self.to.write_all(b"\">")?;
            }
            Picture::None => self.to.write_all(b"<span class=\"no\">no picture</span>")?,
            Picture::Gone => self
                .to
                .write_all(b"<span class=\"no\">not there any more</span>")?,
        }
        write!(self.to, "<figcaption>{caption}</figcaption></figure>")
    }
}

/// Values that all rows of a product have, by name.
pub(super) fn common(rows: &[RowView]) -> Vec<(String, String)> {
    let Some(first) = rows.first() else {
        return Vec::new();
    };
    let same =
        |name: &str, value: &Value| rows.iter().all(|row| row.values.get(name) == Some(value));
    let values = first
        .values
        .iter()
        .filter(|(name, value)| same(name, value));
    let mut values: Vec<(String, String)> = values
        .map(|(name, value)| (name.clone(), value_text(value)))
        .filter(|(_, value)| !value.trim().is_empty())
        .collect();
    // What people call the product by, before everything else.
    let rank = |name: &str| match name {
        "sku" => 0,
        "name" | "title" => 1,
        "id" => 2,
        _ => 3,
    };
    values.sort_by_key(|(name, _)| rank(name));
    values
}

/// What is said below a row's picture, as HTML.
fn caption(row: &RowView) -> String {
    let mut caption = String::new();
    let asked = row.color.as_deref().unwrap_or(&row.instruction);
    if let Some(color) = row.color.as_deref().filter(|color| is_hex(color)) {
        caption += &format!("<i class=\"chip\" style=\"background:{color}\"></i>");
    }
    let named = row.values.get("color").map(value_text);
    if let Some(named) = named.filter(|named| named != asked && !named.is_empty()) {
        caption += &format!("{} ", escaped(&named));
    }
    caption += &format!(
        "{} <b class=\"{state}\">{state}</b> #{}",
        escaped(asked),
        row.row,
        state = row.state
    );
    let reasons: Vec<&str> = row.reasons.iter().map(|reason| reason.as_str()).collect();
    if !reasons.is_empty() {
        caption += &format!("<br>{}", escaped(&reasons.join(", ").replace('_', " ")));
    }
    if let Some(error) = row
        .error
        .as_deref()
        .filter(|_| row.state == RowState::Failed)
    {
        caption += &format!("<br>{}", escaped(error));
    }
    let facts = facts(row);
    if !facts.is_empty() {
        caption += &format!("<br>{}", facts.join(", "));
    }
    if let Some(decision) = &row.decision {
        caption += &format!("<br>{} by {}", decision.verdict, escaped(&decision.by));
    }
    caption
}

/// What was measured, as text.
pub(super) fn facts(row: &RowView) -> Vec<String> {
    let measures = &row.measures;
    let mut facts = Vec::new();
    if let Some(delta_e) = measures.delta_e {
        facts.push(format!("ΔE00 {delta_e:.2}"));
    }
    if let Some(sure) = measures.sure {
        facts.push(format!("sure {sure:.2}"));
    }
    if let Some(share) = measures.share {
        facts.push(format!("region {:.1} %", share * 100.0));
    }
    if let Some(changed) = measures.changed_outside {
        facts.push(format!("{changed} px changed outside"));
    }
    facts
}

/// Whether a color can stand in a style as it is.
fn is_hex(color: &str) -> bool {
    color
        .strip_prefix('#')
        .is_some_and(|hex| matches!(hex.len(), 3 | 6) && hex.chars().all(|c| c.is_ascii_hexdigit()))
}

/// Text as HTML, outside of tags and in quoted attributes.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // Would turn the direction of what follows.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {}
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn row(number: u64, sku: &str, color: &str) -> RowView {
        let view = json!({
            "row": number, "state": "review", "reasons": ["unsure"], "error": null,
            "values": {"a": "first", "color": color, "sku": sku}, "color": color,
            "image": "01939e0c-8a52-7c31-9d0f-3b1d6c2a4e57", "instruction": "make it teal", "edit": null,
            "measures": {"sure": 0.25, "share": 0.125},
        });
        serde_json::from_value(view).unwrap()
    }

    #[test]
    fn whatever_a_manifest_says_is_text() {
        let evil = "\"><script>alert(1)</script>' onload=x \u{202e}";
        let view = json!({
            "id": "01939e0c-8a52-7c31-9d0f-3b1d6c2a4e57", "name": evil, "state": "ended", "priority": 0, "rows": 2, "waiting": 0,
            "live": 0, "passed": 0, "review": 2, "rejected": 0, "failed": 0, "cancelled": 0, "rate_per_hour": null, "left_s": null,
            "version": 1, "made_by": "", "defaults": {}, "gate": {}, "created_at": "2026-01-01T00:00:00Z", "started_at": null,
            "ended_at": null, "links": {"self": "", "rows": "", "results": "", "events": ""},
        });
        let view = serde_json::from_value(view).unwrap();
        let rows = [
            row(1, evil, "#1F6F8B"),
            row(2, evil, "red;background:url(//x)"),
        ];
        let mut page = Page::begin(Vec::new(), &view, 2).unwrap();
        page.product(&rows, &Picture::Jpeg(vec![1, 2, 3]), &Picture::Gone)
            .unwrap();
        for row in &rows {
            let picture = Picture::None;
            page.row(&Shown { row, picture }).unwrap();
        }
        page.product_end().unwrap();
        let html = String::from_utf8(page.end().unwrap()).unwrap();
        assert!(
            !html.contains("<script") && !html.contains("' onload") && !html.contains('\u{202e}')
        );
        assert_eq!(html.matches("style=\"background:").count(), 1, "{html}");
        assert!(
            html.contains("data:image/jpeg;base64,AQID") && html.contains("not there any more")
        );
        // The product is called by its sku, and what its rows do not share is said with each.
        assert!(html.contains("<h2>&quot;&gt;&lt;script&gt;") && html.contains("<p>a: first</p>"));
        assert_eq!(html.matches("<b class=\"review\">review</b>").count(), 2);
        assert!(html.contains("sure 0.25, region 12.5 %"));
        assert_eq!(html.matches('<').count(), html.matches('>').count());
    }
}
