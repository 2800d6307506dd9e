//! Stacked bars as inline SVG.

use askama::Template;

use super::Axis;

/// Heights in pixels: a bar with its name, and the axis below all of them.
const ROW: usize = 50;
const AXIS: usize = 46;

/// A part of a bar.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) name: &'static str,
    /// Its colour: `--line-N` of the style sheet.
    pub(crate) colour: usize,
    pub(crate) value: f64,
    pub(crate) tooltip: String,
}

/// Bars below each other, with their legend.
#[derive(Debug, Template)]
#[template(path = "bars.html")]
pub(crate) struct Bars {
    pub(crate) title: String,
    pub(crate) axis: Axis,
    /// The name of each bar, and its parts.
    pub(crate) bars: Vec<(String, Vec<Part>)>,
}

// Templates pass their arguments by reference.
impl Bars {
    fn bottom(&self) -> usize {
        self.bars.len() * ROW + 4
    }

    /// The part of the width that lies before a value, in percent.
    fn percent(&self, value: &f64) -> f64 {
        self.axis.part(*value) * 100.0
    }

    /// Centred under its grid line, or within the edge.
    fn anchor(&self, value: &f64) -> &'static str {
        match self.percent(value) {
            percent if percent < 3.0 => "start",
            percent if percent > 93.0 => "end",
            _ => "middle",
        }
    }

    /// Where each part begins, in percent of the width, and how wide it is.
    fn placed<'p>(&self, parts: &'p [Part]) -> Vec<(f64, f64, &'p Part)> {
        let mut before = 0.0;
        let place = |part: &'p Part| {
            let from = self.percent(&before);
            before += part.value;
            (from, self.percent(&before) - from, part)
        };
        parts.iter().map(place).collect()
    }

    /// The parts of all bars, each name once.
    fn legend(&self) -> Vec<&Part> {
        let mut named: Vec<&Part> = Vec::new();
        for part in self.bars.iter().flat_map(|(_, parts)| parts) {
            if named.iter().all(|known| known.name != part.name) {
                named.push(part);
            }
        }
        named
    }
}
