//! Results as they are kept: a file of tab-separated values for each table, its header first.

use std::path::Path;

pub struct Table {
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Reads one, if it is there.
    pub fn read(path: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(path).ok()?;
        let cells = |line: &str| line.split('\t').map(str::to_owned).collect();
        // Comments say where and when it was measured.
        let mut lines = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(cells);
        let columns = lines.next()?;
        let rows = lines.collect();
        Some(Self { columns, rows })
    }

    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.rows.iter().map(|cells| Row { table: self, cells })
    }
}

pub struct Row<'a> {
    table: &'a Table,
    cells: &'a [String],
}

impl<'a> Row<'a> {
    /// What it says in the column of this name.
    pub fn text(&self, column: &str) -> &'a str {
        let index = self.table.columns.iter().position(|name| name == column);
        let cell = index.and_then(|index| self.cells.get(index));
        cell.unwrap_or_else(|| panic!("there is no column `{column}`"))
    }

    /// Its number in the column; none if it has none there.
    pub fn number(&self, column: &str) -> Option<f64> {
        self.text(column).parse().ok()
    }
}
