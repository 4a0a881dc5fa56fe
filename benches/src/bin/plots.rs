//! Draws the pictures of the documentation from the results that are kept.
//!
//! `plots RESULTS PICTURES`, both directories.

use std::path::Path;

use tower_keep_benches::plot::{Picture, Row, Scale};
use tower_keep_benches::tables::Table;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(results), Some(pictures)) = (arguments.next(), arguments.next()) else {
        return Err("usage: plots RESULTS PICTURES".into());
    };
    let result = |name: &str| Table::read(&Path::new(&results).join(name));
    let picture = |name: &str| Path::new(&pictures).join(name);
    std::fs::create_dir_all(&pictures)?;
    if let Some(table) = result("overhead.tsv") {
        overhead(&table).draw(&picture("overhead.svg"))?;
    }
    if let Some(table) = result("http.tsv") {
        http(&table).draw(&picture("http.svg"))?;
    }
    if let Some(table) = result("contention.tsv") {
        contention(&table).draw(&picture("contention.svg"))?;
    }
    Ok(())
}

/// How many times as much as tower-sessions a library takes.
fn overhead(table: &Table) -> Picture<'static> {
    const THEIRS: &str = "tower-sessions 0.15";
    let row = |row: tower_keep_benches::tables::Row<'_>| {
        let theirs = row.number(THEIRS)?;
        let dots = ["tower-keep", THEIRS, "axum_session 0.22"]
            .into_iter()
            .filter_map(|column| {
                let library = column.split(' ').next()?;
                Some((library.to_owned(), row.number(column)? / theirs))
            });
        Some(Row {
            label: row.text("work").to_owned(),
            dots: dots.collect(),
        })
    };
    Picture {
        title: "In process: CPU time above bare axum",
        axis: "tower-sessions = 1, less is better",
        scale: Scale::Logarithmic,
        ticks: &[0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0],
        rows: table.rows().filter_map(row).collect(),
    }
}

/// What share of the bare framework's requests a second a library leaves.
fn http(table: &Table) -> Picture<'static> {
    let mut rows: Vec<Row> = Vec::new();
    for row in table.rows().filter(|row| row.text("store") != "bare") {
        let label = format!("{}: {}", row.text("store"), row.text("work"));
        let Some(share) = row.number("of bare's requests/s") else {
            continue;
        };
        let dot = (row.text("library").to_owned(), share);
        match rows.iter_mut().find(|row| row.label == label) {
            Some(row) => row.dots.push(dot),
            None => rows.push(Row {
                label,
                dots: vec![dot],
            }),
        }
    }
    rows.sort_by_key(|row| {
        let stores = [
            "memory:",
            "redis:",
            "postgres:",
            "sqlite:",
            "sqlite-normal:",
        ];
        stores.iter().position(|store| row.label.starts_with(store))
    });
    Picture {
        title: "HTTP, 64 connections: requests a second",
        axis: "bare framework = 1, more is better",
        scale: Scale::Linear,
        ticks: &[0.0, 0.2, 0.4, 0.6, 0.8, 1.0],
        rows,
    }
}

/// What is left of the requests that counted one session up together.
fn contention(table: &Table) -> Picture<'static> {
    let rows = table.rows().filter_map(|row| {
        let (library, mode) = (row.text("library"), row.text("mode"));
        let series = if mode == "merge" {
            format!("{library}, merge")
        } else {
            library.to_owned()
        };
        let processes = match row.text("processes") {
            "1" => String::new(),
            more => format!(", {more} processes"),
        };
        let requests = row.number("requests")?;
        let left = (requests - row.number("lost")? - row.number("failed")?) / requests;
        Some(Row {
            label: format!("{series}: {}{processes}", row.text("store")),
            dots: vec![(series, left)],
        })
    });
    Picture {
        title: "Many requests count one session up, each holding it 1–5 ms",
        axis: "share that is counted in the end, more is better",
        scale: Scale::Linear,
        ticks: &[0.0, 0.2, 0.4, 0.6, 0.8, 1.0],
        rows: rows.collect(),
    }
}
