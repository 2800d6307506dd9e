//! Bars of several parts as inline SVG.

use std::fmt::Write as _;

use crate::load::plot::{Axis, HALF, escaped};

/// Heights in SVG units: a bar with its name, the bar alone, and the axis below.
const ROW: f64 = 50.0;
const BAR: f64 = 20.0;
const AXIS: f64 = 46.0;
/// What is left free at both sides.
const SIDE: f64 = 16.0;

/// A part of a bar.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) name: &'static str,
    pub(super) colour: usize,
    pub(super) value: f64,
    /// What it says when it is pointed at.
    pub(super) hint: String,
}

/// Bars under one another.
#[derive(Debug)]
pub(super) struct Bars {
    pub(super) title: String,
    pub(super) axis: Axis,
    /// What each is, and what it is made of.
    pub(super) bars: Vec<(String, Vec<Part>)>,
}

impl Bars {
    /// The bars with their legend.
    pub(super) fn html(&self) -> String {
        #[expect(clippy::cast_precision_loss, reason = "a handful")]
        let bottom = self.bars.len() as f64 * ROW + 4.0;
        let mut html = format!("<figure>\n<figcaption>{}</figcaption>\n", escaped(&self.title));
        html.push_str(&self.legend());
        let _ = writeln!(
            html,
            "<svg viewBox=\"0 0 {HALF} {:.0}\" role=\"img\" aria-label=\"{}\">",
            bottom + AXIS,
            escaped(&self.title)
        );
        self.draw_axis(&mut html, bottom);
        let mut top = 0.0;
        for (name, parts) in &self.bars {
            let _ =
                writeln!(html, "<text class=\"name\" x=\"{SIDE}\" y=\"{:.1}\">{}</text>", top + 18.0, escaped(name));
            self.draw(&mut html, top + 24.0, parts);
            top += ROW;
        }
        html.push_str("</svg>\n</figure>\n");
        html
    }

    fn x(&self, value: f64) -> f64 {
        SIDE + self.axis.part(value) * (HALF - 2.0 * SIDE)
    }

    fn draw(&self, svg: &mut String, y: f64, parts: &[Part]) {
        let mut before = 0.0;
        for part in parts {
            let (x, width) = (self.x(before), self.x(before + part.value) - self.x(before));
            let _ = writeln!(
                svg,
                "<rect class=\"bar line-{}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{BAR}\"><title>{}</title></rect>",
                part.colour,
                escaped(&part.hint)
            );
            before += part.value;
        }
    }

    fn draw_axis(&self, svg: &mut String, bottom: f64) {
        for (value, label) in &self.axis.ticks {
            let (x, y) = (self.x(*value), bottom + 16.0);
            let anchor = match x {
                x if x < SIDE + 8.0 => "start",
                x if x > HALF - 40.0 => "end",
                _ => "middle",
            };
            let _ = write!(svg, "<path class=\"grid\" d=\"M{x:.1} 0V{bottom:.1}\"/>");
            let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>", escaped(label));
        }
        let (middle, y) = (HALF / 2.0, bottom + AXIS - 8.0);
        let label = escaped(self.axis.label);
        let _ = writeln!(svg, "<text x=\"{middle:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{label}</text>");
    }

    fn legend(&self) -> String {
        let mut named: Vec<(&str, usize)> = Vec::new();
        for part in self.bars.iter().flat_map(|(_, parts)| parts) {
            if !named.contains(&(part.name, part.colour)) {
                named.push((part.name, part.colour));
            }
        }
        let items = named.iter().map(|(name, colour)| format!("<li><i class=\"line-{colour}\"></i>{name}</li>"));
        format!("<ul class=\"legend\">{}</ul>\n", items.collect::<String>())
    }
}
