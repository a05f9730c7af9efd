//! Means and tables as text.

use crate::stats::Mean;

/// `0.512 ±0.031`, or without the error where there is none.
pub(crate) fn shown(mean: Option<Mean>, digits: usize) -> String {
    match mean {
        None => "-".to_owned(),
        Some(Mean {
            mean, error: 0.0, ..
        }) => format!("{mean:.digits$}"),
        Some(Mean { mean, error, .. }) => format!("{mean:.digits$} ±{error:.digits$}"),
    }
}

/// A difference: as [`shown`], with its sign.
pub(crate) fn signed(mean: Option<Mean>, digits: usize) -> String {
    match mean {
        Some(Mean { mean, error, .. }) => format!("{mean:+.digits$} ±{error:.digits$}"),
        None => "-".to_owned(),
    }
}

/// Cells in columns: the first to the left, the others to the right.
pub(crate) fn layout(cells: &[Vec<String>]) -> String {
    let columns = cells.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        cells
            .iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
    };
    let widths: Vec<usize> = (0..columns)
        .map(|column| width(column).unwrap_or(0))
        .collect();
    let lines = cells.iter().map(|row| {
        let cells =
            row.iter()
                .zip(&widths)
                .enumerate()
                .map(|(column, (cell, &width))| match column {
                    0 => format!("{cell:<width$}"),
                    _ => format!("{cell:>width$}"),
                });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let cells = [
            vec!["a".to_owned(), "1.5 ±0.1".to_owned()],
            vec!["long".to_owned(), "2".to_owned()],
        ];
        assert_eq!(layout(&cells), "a     1.5 ±0.1\nlong         2");
    }
}
