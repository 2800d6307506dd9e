//! The parts of HTML reports, as templates: tables, line charts and bars. A report is one file that needs no network and no
//! scripts; colours are in `templates/report.css`.

mod axis;
mod bars;
mod chart;

use askama::Template;

pub(crate) use axis::{Axis, Scale};
pub(crate) use bars::{Bars, Part};
pub(crate) use chart::{Chart, Line, Shade, Tooltip};

/// A table: columns with text, then columns with numbers, which are aligned to the right.
#[derive(Debug, Template)]
#[template(path = "table.html")]
pub(crate) struct Table {
    pub(crate) text: &'static [&'static str],
    pub(crate) numbers: &'static [&'static str],
    pub(crate) rows: Vec<Vec<String>>,
}

/// The text of a template.
pub(crate) fn rendered(template: &impl Template) -> String {
    template.render().expect("the templates' own methods do not fail, and a String takes everything")
}

#[expect(clippy::cast_precision_loss, reason = "for charts, whose places are rounded anyway")]
pub(crate) fn float(number: u64) -> f64 {
    number as f64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
pub(crate) fn whole(number: f64) -> u64 {
    number.round() as u64
}
