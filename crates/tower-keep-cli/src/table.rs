//! Columns for people.

use std::io::{self, Write};

use unicode_width::UnicodeWidthStr;

use crate::text::harmless;

/// Rows under a heading, each column as wide as what is in it. It can be written in parts, as the
/// rows come; then a column is as wide as it had to be so far.
pub(crate) struct Table<const N: usize> {
    heading: Option<[&'static str; N]>,
    widths: [usize; N],
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    pub(crate) fn new(heading: [&'static str; N]) -> Self {
        Self {
            heading: Some(heading),
            widths: heading.map(str::len),
            rows: Vec::new(),
        }
    }

    /// Pairs of names and values, without a heading.
    pub(crate) fn plain() -> Self {
        Self {
            heading: None,
            widths: [0; N],
            rows: Vec::new(),
        }
    }

    pub(crate) fn row(&mut self, row: [String; N]) {
        let row = row.map(|cell| harmless(&cell));
        for (width, cell) in self.widths.iter_mut().zip(&row) {
            *width = cell.width().max(*width);
        }
        self.rows.push(row);
    }

    /// Writes the rows since the last time, and the heading before the first of them.
    pub(crate) fn write(&mut self, out: &mut impl Write) -> io::Result<()> {
        if !self.rows.is_empty()
            && let Some(heading) = self.heading.take()
        {
            line(out, self.widths, &heading)?;
        }
        for row in self.rows.drain(..) {
            line(out, self.widths, &row)?;
        }
        Ok(())
    }
}

fn line<const N: usize>(
    out: &mut impl Write,
    widths: [usize; N],
    cells: &[impl AsRef<str>; N],
) -> io::Result<()> {
    let mut text = String::new();
    for (cell, width) in cells.iter().map(AsRef::as_ref).zip(widths) {
        text.push_str(cell);
        text.extend(std::iter::repeat_n(
            ' ',
            width.saturating_sub(cell.width()) + 2,
        ));
    }
    writeln!(out, "{}", text.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        let mut table = Table::new(["A", "LONG", "Z"]);
        table.row(["\u{6f22}".into(), "b".into(), "c".into()]);
        table.row(["a".into(), String::new(), String::new()]);
        let mut out = Vec::new();
        table.write(&mut out).unwrap();
        table.row(["wider".into(), "b".into(), "c\n".into()]);
        table.write(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(
            text,
            "A   LONG  Z\n\u{6f22}  b     c\na\nwider  b     c\\u{a}\n"
        );
    }

    #[test]
    fn without_rows_there_is_no_heading() {
        let mut out = Vec::new();
        Table::new(["A"]).write(&mut out).unwrap();
        assert_eq!(out, b"");
    }
}
