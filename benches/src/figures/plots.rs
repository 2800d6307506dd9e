//! The plots, as SVG.

use bookstore_benches::{Result, samples::Bound};
use plotters::{
    coord::{
        Shift,
        cartesian::Cartesian2d,
        ranged1d::{AsRangedCoord, ValueFormatter},
        types::RangedCoordf64,
    },
    prelude::*,
};
use std::{fs, ops::Range, path::Path};

use super::report::{Chart, Results, Target};

const SIZE: (u32, u32) = (760, 400);
const FONT: &str = "sans-serif";
const COLOURS: [RGBColor; 4] =
    [RGBColor(31, 119, 180), RGBColor(214, 84, 20), RGBColor(44, 140, 60), RGBColor(120, 80, 160)];

/// Draws every chart, and how far each target is reached.
pub(crate) fn write(results: &Results, folder: &Path) -> Result<()> {
    if results.sections.is_empty() {
        return Ok(());
    }
    fs::create_dir_all(folder)?;
    for chart in results.sections.iter().flat_map(|section| &section.charts) {
        fs::write(folder.join(format!("{}.svg", chart.file)), lines(chart)?)?;
    }
    let targets: Vec<&Target> = results.sections.iter().flat_map(|section| &section.targets).collect();
    fs::write(folder.join("targets.svg"), bars(&targets)?)?;
    Ok(())
}

fn lines(chart: &Chart) -> Result<String> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        area.fill(&WHITE)?;
        let points = || chart.lines.iter().flat_map(|line| line.points.iter().copied());
        let most = |values: &mut dyn Iterator<Item = f64>| values.fold(0.0, f64::max);
        let (x_most, y_most) = (most(&mut points().map(|point| point.0)), most(&mut points().map(|point| point.1)));
        if chart.log_x {
            draw(chart, &area, y_most, (1.0..x_most * 1.05).log_scale())?;
        } else {
            draw(chart, &area, y_most, Range::<f64> { start: 0.0, end: x_most * 1.02 })?;
        }
        area.present()?;
    }
    Ok(svg)
}

fn draw<X>(chart: &Chart, area: &DrawingArea<SVGBackend<'_>, Shift>, y_most: f64, x: X) -> Result<()>
where
    X: AsRangedCoord<Value = f64>,
    X::CoordDescType: ValueFormatter<f64> + Ranged<ValueType = f64>,
{
    let mut context = ChartBuilder::on(area)
        .caption(&chart.title, (FONT, 17))
        .margin(12)
        .x_label_area_size(42)
        .y_label_area_size(70)
        .build_cartesian_2d(x, 0.0..y_most * 1.08)?;
    let mut mesh = context.configure_mesh();
    mesh.x_desc(&chart.x).y_desc(&chart.y).x_labels(10).y_labels(8).label_style((FONT, 13));
    mesh.x_label_formatter(&|value| short(*value)).y_label_formatter(&|value| short(*value));
    mesh.light_line_style(TRANSPARENT).draw()?;
    for (line, colour) in chart.lines.iter().zip(COLOURS) {
        let drawn = context.draw_series(LineSeries::new(line.points.clone(), colour.stroke_width(2)))?;
        drawn.label(&line.name).legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
        context.draw_series(line.points.iter().map(|point| Circle::new(*point, 3, colour.filled())))?;
    }
    if chart.lines.len() > 1 {
        let mut labels = context.configure_series_labels();
        labels.position(SeriesLabelPosition::UpperLeft).border_style(BLACK.mix(0.3)).background_style(WHITE.mix(0.85));
        labels.label_font((FONT, 13)).draw()?;
    }
    Ok(())
}

/// A value beside an axis.
fn short(value: f64) -> String {
    if value >= 1e6 {
        format!("{}M", value / 1e6)
    } else if value >= 10_000.0 {
        format!("{}k", value / 1e3)
    } else {
        format!("{}", (value * 100.0).round() / 100.0)
    }
}

/// The longest bar, in bounds.
const FARTHEST: f64 = 2.0;
const BAR_HEIGHT: u32 = 22;
const LABELS_WIDTH: i32 = 470;

/// One bar for each target: what was measured, in what was asked for. Beyond the line it is reached.
fn bars(targets: &[&Target]) -> Result<String> {
    let mut svg = String::new();
    let height = 70 + BAR_HEIGHT * u32::try_from(targets.len())?;
    {
        let area = SVGBackend::with_string(&mut svg, (SIZE.0 + 160, height)).into_drawing_area();
        area.fill(&WHITE)?;
        let rows = targets.len() as f64;
        let mut context = ChartBuilder::on(&area)
            .caption("What was measured / what is asked for (the longer the better, 1 is reached)", (FONT, 15))
            .margin(8)
            .margin_left(LABELS_WIDTH)
            .x_label_area_size(24)
            .build_cartesian_2d(0.0..FARTHEST, 0.0..rows)?;
        context
            .configure_mesh()
            .disable_y_mesh()
            .x_labels(5)
            .label_style((FONT, 12))
            .light_line_style(TRANSPARENT)
            .draw()?;
        let row = |nth: usize| rows - nth as f64;
        let bar = |(nth, target): (usize, &&Target)| {
            let colour = if target.is_reached() { COLOURS[2] } else { COLOURS[1] };
            Rectangle::new([(0.0, row(nth) - 0.2), (length(target), row(nth) - 0.8)], colour.filled())
        };
        context.draw_series(targets.iter().enumerate().map(bar))?;
        context.draw_series(LineSeries::new([(1.0, 0.0), (1.0, rows)], BLACK.stroke_width(2)))?;
        label(&area, &context, targets)?;
        area.present()?;
    }
    Ok(svg)
}

type Plane = Cartesian2d<RangedCoordf64, RangedCoordf64>;

fn label(
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    context: &ChartContext<'_, SVGBackend<'_>, Plane>,
    targets: &[&Target],
) -> Result<()> {
    for (nth, target) in targets.iter().enumerate() {
        let (_, y) = context.backend_coord(&(0.0, targets.len() as f64 - nth as f64 - 0.35));
        let mut what: String = target.what.chars().take(70).collect();
        if what.len() < target.what.len() {
            what.push('…');
        }
        area.draw(&Text::new(what, (10, y - 2), (FONT, 12)))?;
    }
    Ok(())
}

fn length(target: &Target) -> f64 {
    let ratio = match target.bound {
        Bound::AtLeast(bound) => target.measured / bound,
        Bound::AtMost(bound) if target.measured > 0.0 => bound / target.measured,
        Bound::AtMost(_) => FARTHEST,
    };
    ratio.clamp(0.0, FARTHEST)
}
