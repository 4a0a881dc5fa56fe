//! Dots on lines: for each row of a picture where each library is on one axis.

use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Light and dark pages show it through, so text and lines keep to what is readable on both.
const INK: RGBColor = RGBColor(125, 133, 144);
const WIDTH: u32 = 860;
const LABELS: i32 = 270;
const MARGIN: i32 = 24;
const ROW: i32 = 30;
const TOP: i32 = 76;
const BOTTOM: i32 = 52;

/// The libraries, each with a colour that both kinds of page bear.
const SERIES: [(&str, RGBColor); 5] = [
    ("tower-keep", RGBColor(47, 129, 247)),
    ("tower-keep, merge", RGBColor(26, 163, 162)),
    ("tower-sessions", RGBColor(219, 109, 40)),
    ("axum_session", RGBColor(163, 113, 247)),
    ("actix-session", RGBColor(191, 135, 0)),
];

pub struct Picture<'a> {
    pub title: &'a str,
    /// What the axis shows.
    pub axis: &'a str,
    pub scale: Scale,
    /// From smallest to largest: where the axis has a line, and ends.
    pub ticks: &'a [f64],
    pub rows: Vec<Row>,
}

pub enum Scale {
    Linear,
    Logarithmic,
}

pub struct Row {
    pub label: String,
    /// Of each library that takes part, by its name.
    pub dots: Vec<(String, f64)>,
}

type Done = Result<(), Box<dyn std::error::Error>>;

impl Picture<'_> {
    /// Draws it into a file.
    pub fn draw(&self, path: &Path) -> Done {
        let height = TOP + ROW * i32::try_from(self.rows.len())? + BOTTOM;
        let area = SVGBackend::new(path, (WIDTH, u32::try_from(height)?)).into_drawing_area();
        let (end, middle) = (
            Pos::new(HPos::Right, VPos::Center),
            Pos::new(HPos::Center, VPos::Top),
        );
        let bold = ("sans-serif", 20, FontStyle::Bold, &INK).into_text_style(&area);
        area.draw_text(self.title, &bold, (MARGIN, 12))?;
        self.draw_legend(&area)?;
        let bottom = height - BOTTOM;
        let plain = ("sans-serif", 15, &INK).into_text_style(&area);
        for tick in self.ticks {
            let x = self.place(*tick);
            let line = PathElement::new([(x, TOP), (x, bottom)], INK.mix(0.35));
            area.draw(&line)?;
            area.draw_text(&tick.to_string(), &plain.pos(middle), (x, bottom + 6))?;
        }
        let centre = (self.place(self.ticks[0]) + self.place(self.ticks[self.ticks.len() - 1])) / 2;
        area.draw_text(self.axis, &plain.pos(middle), (centre, bottom + 28))?;
        let mut y = TOP + ROW / 2;
        for row in &self.rows {
            area.draw_text(&row.label, &plain.pos(end), (LABELS - 12, y))?;
            let line = [(LABELS, y), (WIDTH as i32 - MARGIN, y)];
            area.draw(&PathElement::new(line, INK.mix(0.2)))?;
            // Ours is drawn last, on top.
            for (library, value) in row.dots.iter().rev() {
                area.draw(&Circle::new(
                    (self.place(*value), y),
                    6,
                    colour(library).filled(),
                ))?;
            }
            y += ROW;
        }
        area.present()?;
        Ok(())
    }

    fn draw_legend(&self, area: &DrawingArea<SVGBackend<'_>, Shift>) -> Done {
        let taking_part = SERIES.iter().filter(|(library, _)| {
            self.rows
                .iter()
                .any(|row| row.dots.iter().any(|(name, _)| name == library))
        });
        let text = ("sans-serif", 15, &INK).into_text_style(area);
        let mut x = MARGIN + 6;
        for (library, colour) in taking_part {
            area.draw(&Circle::new((x, 50), 6, colour.filled()))?;
            area.draw_text(
                library,
                &text.pos(Pos::new(HPos::Left, VPos::Center)),
                (x + 12, 50),
            )?;
            x += 40 + 8 * i32::try_from(library.len())?;
        }
        Ok(())
    }

    /// The axis' place of a value; what lies beyond its ends is put there.
    fn place(&self, value: f64) -> i32 {
        let of = |value: f64| match self.scale {
            Scale::Linear => value,
            Scale::Logarithmic => value.ln(),
        };
        let (first, last) = (of(self.ticks[0]), of(self.ticks[self.ticks.len() - 1]));
        let share = ((of(value) - first) / (last - first)).clamp(0.0, 1.0);
        let (left, right) = (LABELS + 10, WIDTH as i32 - MARGIN - 10);
        left + (share * f64::from(right - left)).round() as i32
    }
}

fn colour(library: &str) -> RGBColor {
    SERIES
        .iter()
        .find(|(name, _)| *name == library)
        .map_or(INK, |(_, colour)| *colour)
}
