//! Line charts as inline SVG, with their values in tooltips.

use askama::Template;

use super::Axis;

/// The size of a drawing, in SVG units.
const WIDTH: f64 = 520.0;
const HEIGHT: f64 = 300.0;
/// The area of the lines; labels are around it.
const LEFT: f64 = 92.0;
const RIGHT: f64 = WIDTH - 16.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = HEIGHT - 44.0;
/// Lines with at most so many points show each of them as a dot.
const DOTS_MAX: usize = 10;

/// One line.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) name: String,
    /// Its colour: `--line-N` of the style sheet.
    pub(crate) colour: usize,
    /// Points; where there is no value, the line has a gap.
    pub(crate) points: Vec<(f64, Option<f64>)>,
}

/// A shaded part of the x axis.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shade {
    pub(crate) from: f64,
    pub(crate) to: f64,
    pub(crate) reason: &'static str,
}

/// A part of the x axis, and the text that is shown when the pointer is over it.
#[derive(Debug)]
pub(crate) struct Tooltip {
    pub(crate) from: f64,
    pub(crate) to: f64,
    pub(crate) text: String,
}

/// A line chart with its legend.
#[derive(Debug, Template)]
#[template(path = "chart.html")]
pub(crate) struct Chart {
    pub(crate) title: &'static str,
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    pub(crate) lines: Vec<Line>,
    pub(crate) shade: Option<Shade>,
    pub(crate) tooltips: Vec<Tooltip>,
}

// Templates pass their arguments by reference.
impl Chart {
    fn at_x(&self, value: &f64) -> f64 {
        LEFT + self.x.part(*value) * (RIGHT - LEFT)
    }

    fn at_y(&self, value: &f64) -> f64 {
        BOTTOM - self.y.part(*value) * (BOTTOM - TOP)
    }

    fn width(&self, from: &f64, to: &f64) -> f64 {
        (self.at_x(to) - self.at_x(from)).max(1.0)
    }

    /// Centred under its grid line, or left of the edge.
    fn anchor(&self, value: &f64) -> &'static str {
        if self.at_x(value) > RIGHT - 20.0 { "end" } else { "middle" }
    }

    /// The path of a line. A piece begins with a very short stroke, so that a single point is seen as a dot.
    fn path(&self, line: &Line) -> String {
        let mut gap = true;
        let piece = |(x, y): &(f64, Option<f64>)| {
            let began = std::mem::replace(&mut gap, y.is_none());
            let (command, dot) = if began { ('M', "h0.01") } else { ('L', "") };
            y.map(|y| format!("{command}{:.1} {:.1}{dot}", self.at_x(x), self.at_y(&y)))
        };
        line.points.iter().filter_map(piece).collect()
    }

    /// A dot for each point, of a line with few of them.
    fn dots(&self, line: &Line) -> String {
        let dot = |(x, y): &(f64, Option<f64>)| y.map(|y| format!("M{:.1} {:.1}h0.01", self.at_x(x), self.at_y(&y)));
        if line.points.len() > DOTS_MAX { String::new() } else { line.points.iter().filter_map(dot).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_breaks_the_line() {
        let line =
            Line { name: "a<b".into(), colour: 0, points: vec![(0.0, Some(1.0)), (1.0, None), (2.0, Some(2.0))] };
        let (x, y) = (Axis::linear("s", 2.0, |at| at.to_string()), Axis::linear("n", 2.0, |at| at.to_string()));
        let html = Chart { title: "t", x, y, lines: vec![line], shade: None, tooltips: Vec::new() }.to_string();
        // Two pieces, and a dot for each point.
        assert_eq!(html.matches("h0.01").count(), 4);
        assert!(html.contains("a&#60;b") && !html.contains("a<b"));
    }
}
