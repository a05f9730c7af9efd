//! Cells of manifests: values as text, and what a spreadsheet would run.

use std::borrow::Cow;

use serde_json::Value;

/// What makes a spreadsheet take a cell for a formula.
const STARTS: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// A row's value as people and templates read it.
pub fn value_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// A cell as it is written: one that a spreadsheet would run begins with an apostrophe, which makes it a text. Numbers stay.
pub fn cell_text(cell: &str) -> Cow<'_, str> {
    if begins_a_formula(cell) && cell.parse::<f64>().is_err() {
        return Cow::Owned(format!("'{cell}"));
    }
    Cow::Borrowed(cell)
}

/// The cell that [`cell_text`] was given.
pub fn cell_read(cell: &str) -> &str {
    match cell.strip_prefix('\'') {
        Some(text) if begins_a_formula(text) => text,
        _ => cell,
    }
}

/// Whether a formula begins here, behind however many apostrophes: one that stood in a cell before is not taken for ours.
fn begins_a_formula(text: &str) -> bool {
    text.trim_start_matches('\'').starts_with(STARTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_spreadsheet_would_run_is_text_and_reads_back() {
        for cell in ["=1+1", "+A1", "-A1", "@sum", "\tx", "\rx", "'=1", "''=1"] {
            let written = cell_text(cell);
            assert!(written.starts_with('\''), "{cell:?}");
            assert_eq!(cell_read(&written), cell);
        }
        for cell in ["", "sofa", "-1.5", "+3", "'tis", "a=b", "'"] {
            assert_eq!(cell_text(cell), cell);
            assert_eq!(cell_read(cell), cell);
        }
    }
}
