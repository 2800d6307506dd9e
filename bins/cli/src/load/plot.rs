//! Line charts as inline SVG: no script, colours from the page's style sheet, values in tooltips.

use std::fmt::Write as _;

/// How wide a drawing is, in SVG units: one that takes the whole page, and one that has another one beside it.
pub(crate) const WIDE: f64 = 860.0;
pub(crate) const HALF: f64 = 520.0;
const HEIGHT: f64 = 300.0;
/// Lines of so few points show each of them.
const DOTS_MAX: usize = 10;
/// What is left free for labels: right, top, bottom; and left, where a narrow drawing has larger letters on a phone.
const MARGIN: [f64; 3] = [16.0, 12.0, 44.0];
const LEFT: f64 = 74.0;
const LEFT_HALF: f64 = 92.0;

/// How values become places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    /// Evenly.
    Linear,
    /// By their logarithm.
    Log,
    /// Percentiles by the nines: 90, 99, 99.9 are evenly apart.
    Nines,
}

impl Scale {
    fn place(self, value: f64) -> f64 {
        match self {
            Self::Linear => value,
            Self::Log => value.max(f64::MIN_POSITIVE).log10(),
            Self::Nines => -(1.0 - value / 100.0).max(1e-9).log10(),
        }
    }
}

/// One axis.
#[derive(Debug)]
pub(crate) struct Axis {
    pub(crate) label: &'static str,
    pub(crate) scale: Scale,
    pub(crate) low: f64,
    pub(crate) high: f64,
    /// Where the lines are, and what stands beside them.
    pub(crate) ticks: Vec<(f64, String)>,
}

impl Axis {
    /// From zero to at least `most`, with about six round ticks.
    pub(crate) fn linear(label: &'static str, most: f64, shown: impl Fn(f64) -> String) -> Self {
        let most = if most > 0.0 { most } else { 1.0 };
        let rough = most / 6.0;
        let decade = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|by| by * decade).into_iter().find(|step| *step >= rough).unwrap_or(rough);
        let ticks =
            (0..=7u8).map(|at| f64::from(at) * step).take_while(|tick| *tick < most + step).map(|at| (at, shown(at)));
        let ticks: Vec<_> = ticks.collect();
        let high = ticks.last().map_or(most, |tick| tick.0).max(most);
        Self { label, scale: Scale::Linear, low: 0.0, high, ticks }
    }

    /// Around `low` and `high`, with ticks at 1, 2 and 5 times the powers of ten, or at the powers alone.
    pub(crate) fn log(label: &'static str, low: f64, high: f64, shown: impl Fn(f64) -> String) -> Self {
        let (low, high) = (low.max(1.0), high.max(low.max(1.0) * 1.01));
        let steps: Vec<f64> = (0..12).flat_map(|decade| [1.0, 2.0, 5.0].map(|by| by * 10f64.powi(decade))).collect();
        let low = steps.iter().copied().rfind(|step| *step <= low).unwrap_or(low);
        let high = steps.iter().copied().find(|step| *step >= high).unwrap_or(high);
        let inside = steps.iter().copied().filter(|step| (low..=high).contains(step));
        let wide = high / low > 1e3;
        let ticks =
            inside.filter(|step| !wide || step.log10().fract().abs() < 1e-9).map(|at| (at, shown(at))).collect();
        Self { label, scale: Scale::Log, low, high, ticks }
    }

    /// Percentiles up to `high`.
    pub(crate) fn nines(label: &'static str, high: f64) -> Self {
        let all = [0.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 99.99, 99.999, 99.9999];
        let ticks = all.into_iter().filter(|at| *at <= high).map(|at| (at, format!("{at} %"))).collect();
        Self { label, scale: Scale::Nines, low: 0.0, high: high.max(50.0), ticks }
    }

    /// The part of the axis that lies before `value`.
    pub(crate) fn part(&self, value: f64) -> f64 {
        let [low, high, at] = [self.low, self.high, value].map(|value| self.scale.place(value));
        if high > low { ((at - low) / (high - low)).clamp(0.0, 1.0) } else { 0.5 }
    }
}

/// One line.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) name: String,
    /// Its colour: `--line-N` of the style sheet.
    pub(crate) colour: usize,
    /// Values; where there is none the line is broken.
    pub(crate) points: Vec<(f64, Option<f64>)>,
}

/// A chart.
#[derive(Debug)]
pub(crate) struct Chart {
    pub(crate) title: &'static str,
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    pub(crate) lines: Vec<Line>,
    /// [`WIDE`] or [`HALF`].
    pub(crate) width: f64,
    /// A part of the x axis that is different, from where to where, and why.
    pub(crate) shade: Option<(f64, f64, &'static str)>,
    /// Stretches of the x axis, and what they say when pointed at.
    pub(crate) hints: Vec<(f64, f64, String)>,
}

impl Chart {
    /// The chart with its legend.
    pub(crate) fn html(&self) -> String {
        let mut html = format!("<figure>\n<figcaption>{}</figcaption>\n", escaped(self.title));
        html.push_str(&self.legend());
        let _ = writeln!(
            html,
            "<svg viewBox=\"0 0 {} {HEIGHT}\" role=\"img\" aria-label=\"{}\">",
            self.width,
            escaped(self.title)
        );
        self.draw_shade(&mut html);
        self.draw_axes(&mut html);
        self.lines.iter().for_each(|line| self.draw_line(&mut html, line));
        self.draw_hints(&mut html);
        html.push_str("</svg>\n</figure>\n");
        html
    }

    fn legend(&self) -> String {
        let mut html = "<ul class=\"legend\">".to_owned();
        for line in &self.lines {
            let _ = write!(html, "<li><i class=\"line-{}\"></i>{}</li>", line.colour, escaped(&line.name));
        }
        if let Some((.., why)) = self.shade {
            let _ = write!(html, "<li><i class=\"shade\"></i>{}</li>", escaped(why));
        }
        html.push_str("</ul>\n");
        html
    }

    fn left(&self) -> f64 {
        if self.width < WIDE { LEFT_HALF } else { LEFT }
    }

    fn x(&self, value: f64) -> f64 {
        self.left() + self.x.part(value) * (self.width - self.left() - MARGIN[0])
    }

    fn y(&self, value: f64) -> f64 {
        HEIGHT - MARGIN[2] - self.y.part(value) * (HEIGHT - MARGIN[1] - MARGIN[2])
    }

    fn draw_shade(&self, svg: &mut String) {
        let Some((from, until, why)) = self.shade else { return };
        let (left, top) = (self.x(from), MARGIN[1]);
        let (width, height) = (self.x(until) - left, HEIGHT - MARGIN[1] - MARGIN[2]);
        let _ = writeln!(
            svg,
            "<rect class=\"shade\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"><title>{}</title></rect>",
            escaped(why)
        );
    }

    fn draw_axes(&self, svg: &mut String) {
        let (left, right, top, bottom) = (self.left(), self.width - MARGIN[0], MARGIN[1], HEIGHT - MARGIN[2]);
        for (value, label) in &self.y.ticks {
            let (y, text_x, text_y) = (self.y(*value), left - 8.0, self.y(*value) + 4.0);
            let _ = write!(svg, "<path class=\"grid\" d=\"M{left:.1} {y:.1}H{right:.1}\"/>");
            let _ = writeln!(
                svg,
                "<text x=\"{text_x:.1}\" y=\"{text_y:.1}\" text-anchor=\"end\">{}</text>",
                escaped(label)
            );
        }
        for (value, label) in &self.x.ticks {
            let (x, text_y) = (self.x(*value), bottom + 18.0);
            // The last label would not fit beyond the edge.
            let anchor = if x > right - 20.0 { "end" } else { "middle" };
            let _ = write!(svg, "<path class=\"grid\" d=\"M{x:.1} {top:.1}V{bottom:.1}\"/>");
            let label = escaped(label);
            let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{text_y:.1}\" text-anchor=\"{anchor}\">{label}</text>");
        }
        let (middle_x, middle_y, label_y) = (f64::midpoint(left, right), f64::midpoint(top, bottom), HEIGHT - 6.0);
        let _ = writeln!(
            svg,
            "<text x=\"{middle_x:.1}\" y=\"{label_y:.1}\" text-anchor=\"middle\">{}</text>",
            escaped(self.x.label)
        );
        let _ = writeln!(
            svg,
            "<text x=\"14\" y=\"{middle_y:.1}\" text-anchor=\"middle\" transform=\"rotate(-90 14 {middle_y:.1})\">{}</text>",
            escaped(self.y.label)
        );
    }

    fn draw_line(&self, svg: &mut String, line: &Line) {
        let mut path = String::new();
        let mut broken = true;
        for (x, y) in &line.points {
            let Some(y) = y else {
                broken = true;
                continue;
            };
            let _ = write!(path, "{}{:.1} {:.1}", if broken { 'M' } else { 'L' }, self.x(*x), self.y(*y));
            if broken {
                // A point of its own is seen as a dot.
                path.push_str("h0.01");
            }
            broken = false;
        }
        if !path.is_empty() {
            let _ = writeln!(svg, "<path class=\"line line-{}\" d=\"{path}\"/>", line.colour);
        }
        if line.points.len() <= DOTS_MAX {
            let dot = |(x, y): &(f64, Option<f64>)| y.map(|y| format!("M{:.1} {:.1}h0.01", self.x(*x), self.y(y)));
            let dots: String = line.points.iter().filter_map(dot).collect();
            let _ = writeln!(svg, "<path class=\"line dots line-{}\" d=\"{dots}\"/>", line.colour);
        }
    }

    fn draw_hints(&self, svg: &mut String) {
        let (top, height) = (MARGIN[1], HEIGHT - MARGIN[1] - MARGIN[2]);
        for (from, to, hint) in &self.hints {
            let (x, width) = (self.x(*from), (self.x(*to) - self.x(*from)).max(1.0));
            let _ = writeln!(
                svg,
                "<rect class=\"hint\" x=\"{x:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"><title>{}</title></rect>",
                escaped(hint)
            );
        }
    }
}

/// Text that is safe between tags and in quotes.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_reach_over_the_values() {
        let labels = |axis: &Axis| axis.ticks.iter().map(|tick| tick.1.clone()).collect::<Vec<_>>().join(" ");
        let axis = Axis::linear("", 23_000.0, |at| format!("{at}"));
        assert_eq!(labels(&axis), "0 5000 10000 15000 20000 25000");
        assert!(Axis::linear("", 0.0, |at| format!("{at}")).high > 0.0);
        assert_eq!(labels(&Axis::log("", 85.0, 1900.0, |at| format!("{at}"))), "50 100 200 500 1000 2000");
        assert_eq!(labels(&Axis::log("", 85.0, 190_000.0, |at| format!("{at}"))), "100 1000 10000 100000");
        assert_eq!(labels(&Axis::nines("", 99.9)), "0 % 50 % 75 % 90 % 95 % 99 % 99.9 %");
    }

    #[test]
    fn nines_are_evenly_apart() {
        let axis = Axis::nines("", 99.99);
        let parts = [90.0, 99.0, 99.9, 99.99].map(|at| axis.part(at));
        assert!(parts.windows(2).all(|pair| (pair[1] - pair[0] - 0.25).abs() < 1e-6), "{parts:?}");
    }

    #[test]
    fn a_gap_breaks_the_line() {
        let line =
            Line { name: "a<b".into(), colour: 0, points: vec![(0.0, Some(1.0)), (1.0, None), (2.0, Some(2.0))] };
        let (x, y) = (Axis::linear("s", 2.0, |at| at.to_string()), Axis::linear("n", 2.0, |at| at.to_string()));
        let html = Chart { title: "t", x, y, lines: vec![line], width: WIDE, shade: None, hints: Vec::new() }.html();
        // Two pieces, and a dot for each point.
        assert_eq!(html.matches("h0.01").count(), 4);
        assert!(html.contains("a&lt;b") && !html.contains("a<b"));
    }
}
