use std::fmt::Write as _;

use crate::{
    grid::{Bytes, Cell},
    options::Kind,
    results::{Results, Row},
};

const WIDTH: f64 = 880.0;
const PANEL: f64 = 434.0;
const NAMES: f64 = 226.0;
/// Room for a figure beside the greatest dot.
const FIGURES: f64 = 46.0;
const LINE: f64 = 17.0;
const HEAD: f64 = 44.0;
const FOOT: f64 = 26.0;
const TOP: f64 = 52.0;

/// Colours for light and dark pages; the picture itself has no background.
const STYLE: &str = "\
text { font: 12px system-ui, -apple-system, 'Segoe UI', sans-serif; fill: #24292f }
.title { font-size: 16px; font-weight: 600 }
.panel { font-size: 13px; font-weight: 600 }
.small { font-size: 11px; fill: #57606a }
.ours { fill: #0550ae; font-weight: 600 }
.grid { stroke: #d0d7de }
.one { stroke: #57606a; stroke-dasharray: 3 3 }
.stem { stroke: #afb8c1; stroke-width: 2 }
.dot { fill: #6e7781 }
.stem.mine { stroke: #54aeff } .dot.mine { fill: #0969da }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .small { fill: #8d96a0 } .ours { fill: #79c0ff }
.grid { stroke: #30363d } .one { stroke: #8d96a0 }
.stem { stroke: #484f58 } .dot { fill: #8d96a0 }
.stem.mine { stroke: #1f6feb } .dot.mine { fill: #58a6ff }
}";

/// What one picture shows.
struct Plot<'a> {
    name: &'a str,
    title: &'a str,
    axis: &'a str,
    cells: fn(Cell) -> bool,
    figure: fn(&Row) -> Option<f64>,
    show: fn(f64) -> String,
    /// Where a line stands that all are compared with.
    reference: Option<f64>,
    /// Whether all panels have the same axis.
    shared: bool,
}

/// One server in a panel.
struct Mark<'a> {
    server: &'a str,
    ours: bool,
    value: f64,
}

/// All pictures for which there are rows: name, SVG, and what it shows in words.
pub(crate) fn all(results: &Results) -> Vec<(String, String, String)> {
    let ratio: fn(&Row) -> Option<f64> = |row| row.ratio.map(|[median, ..]| median);
    let two: fn(f64) -> String = |value| format!("{value:.2}");
    let micros: fn(&Row) -> Option<f64> = |row| Some(row.median.server_ns / 1000.0);
    let plots = [
        Plot {
            name: "echo",
            title: "Echo, 32 connections: server CPU per message",
            axis: "× raw TCP echo on tokio, logarithmic",
            cells: |cell| {
                let shown = [125, 16 << 10, 1 << 20].contains(&cell.size);
                cell.kind == Kind::Echo && cell.connections == 32 && shown
            },
            figure: ratio,
            show: two,
            reference: Some(1.0),
            shared: false,
        },
        Plot {
            name: "broadcast",
            title: "Broadcast to 1,000 receivers: server CPU per message and receiver",
            axis: "× bare epoll loop that writes ready frames, logarithmic",
            cells: |cell| cell.kind == Kind::Broadcast && cell.connections == 1000,
            figure: ratio,
            show: two,
            reference: Some(1.0),
            shared: true,
        },
        Plot {
            name: "idle",
            title: "10,000 idle connections: resident memory of each",
            axis: "bytes, logarithmic",
            cells: |cell| cell.kind == Kind::Idle,
            figure: |row| Some(row.median.resident_per_connection).filter(|bytes| *bytes > 0.0),
            show: bytes,
            reference: None,
            shared: true,
        },
        Plot {
            name: "connect",
            title: "Connect, opening handshake, closing handshake: server CPU",
            axis: "µs, logarithmic",
            cells: |cell| cell.kind == Kind::Connect,
            figure: micros,
            show: |value| format!("{value:.0}"),
            reference: None,
            shared: false,
        },
        Plot {
            name: "deflate",
            title: "Echo with permessage-deflate, 32 connections: server CPU per message",
            axis: "µs, logarithmic",
            cells: |cell| {
                matches!(cell.kind, Kind::Deflate | Kind::Takeover) && cell.in_flight == 1
            },
            figure: micros,
            show: |value| format!("{value:.1}"),
            reference: None,
            shared: false,
        },
    ];
    plots.iter().filter_map(|plot| plot.draw(results)).collect()
}

impl Plot<'_> {
    fn draw(&self, results: &Results) -> Option<(String, String, String)> {
        let cells: Vec<_> = results.cells().into_iter().filter(|c| (self.cells)(*c)).collect();
        let panels: Vec<_> = cells.iter().map(|cell| (*cell, self.marks(results, *cell))).collect();
        let values = || panels.iter().flat_map(|(_, marks)| marks.iter().map(|mark| mark.value));
        let shared = Scale::of(values())?;
        let mut body = String::new();
        let (mut y, mut column, mut tallest) = (TOP, 0.0, 0.0_f64);
        for (cell, marks) in &panels {
            let height = HEAD + marks.len() as f64 * LINE + FOOT;
            let _ = write!(body, "<g transform=\"translate({},{y})\">", column * (WIDTH - PANEL));
            let own = Scale::of(marks.iter().map(|mark| mark.value));
            let scale = own.filter(|_| !self.shared).unwrap_or_else(|| shared.clone());
            self.panel(&mut body, &title(*cell), marks, &scale);
            body.push_str("</g>\n");
            tallest = tallest.max(height);
            column += 1.0;
            if column > 1.0 {
                (y, column, tallest) = (y + tallest, 0.0, 0.0);
            }
        }
        let height = y + tallest + 22.0;
        let mut days: Vec<_> = results.date.split("; ").filter_map(|date| date.get(..10)).collect();
        days.dedup();
        let origin = format!("{}, {}", days.join(", "), results.machine);
        let svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" \
             width=\"{WIDTH}\" height=\"{height:.0}\" role=\"img\">\n<title>{0}</title>\n\
             <style>\n{STYLE}\n</style>\n<text class=\"title\" x=\"8\" y=\"22\">{0}</text>\n\
             <text class=\"small\" x=\"8\" y=\"40\">{1}; less is better</text>\n{body}\
             <text class=\"small\" x=\"8\" y=\"{2:.0}\">{3}</text>\n</svg>\n",
            escape(self.title),
            escape(self.axis),
            height - 6.0,
            escape(&origin),
        );
        Some((self.name.to_owned(), svg, self.title.to_owned()))
    }

    /// The servers at one work, the cheapest first.
    fn marks<'a>(&self, results: &'a Results, cell: Cell) -> Vec<Mark<'a>> {
        let rows = results.rows.iter().filter(|row| row.cell == cell);
        let mut marks: Vec<_> = rows
            .filter_map(|row| {
                let value = (self.figure)(row)?;
                Some(Mark { server: &row.server, ours: row.ours, value })
            })
            .collect();
        marks.sort_by(|a, b| a.value.total_cmp(&b.value));
        marks
    }

    fn panel(&self, out: &mut String, title: &str, marks: &[Mark<'_>], scale: &Scale) {
        let title = escape(title);
        let _ = writeln!(out, "<text class=\"panel\" x=\"8\" y=\"20\">{title}</text>");
        let bottom = HEAD + marks.len() as f64 * LINE;
        for tick in &scale.ticks {
            let x = scale.x(*tick);
            let label = escape(&compact(*tick));
            let (top, under) = (HEAD - 12.0, bottom + 12.0);
            let _ = writeln!(
                out,
                "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{top}\" y2=\"{bottom}\"/>\
                 <text class=\"small\" x=\"{x:.1}\" y=\"{under}\" text-anchor=\"middle\">{label}</text>"
            );
        }
        if let Some(reference) = self.reference {
            let (x, top) = (scale.x(reference), HEAD - 12.0);
            let _ = writeln!(
                out,
                "<line class=\"one\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{top}\" y2=\"{bottom}\"/>"
            );
        }
        for (index, mark) in marks.iter().enumerate() {
            let y = HEAD + index as f64 * LINE;
            let (x, start) = (scale.x(mark.value), NAMES + 8.0);
            let (mine, ours) = if mark.ours { (" mine", " class=\"ours\"") } else { ("", "") };
            let _ = writeln!(
                out,
                "<text{ours} x=\"{NAMES}\" y=\"{0:.1}\" text-anchor=\"end\">{1}</text>\
                 <line class=\"stem{mine}\" x1=\"{start}\" x2=\"{x:.1}\" y1=\"{y}\" y2=\"{y}\"/>\
                 <circle class=\"dot{mine}\" cx=\"{x:.1}\" cy=\"{y}\" r=\"4.5\"/>\
                 <text{ours} x=\"{2:.1}\" y=\"{0:.1}\">{3}</text>",
                y + 4.0,
                escape(mark.server),
                x + 9.0,
                escape(&(self.show)(mark.value)),
            );
        }
    }
}

/// A cell, without what the title of the picture says.
fn title(cell: Cell) -> String {
    let size = Bytes(cell.size);
    match (cell.kind, cell.in_flight) {
        (Kind::Idle, _) if cell.size == 0 => "fresh".to_owned(),
        (Kind::Idle, _) => format!("after an echo of {size}"),
        (Kind::Connect, _) => format!("{} at a time", cell.connections),
        (Kind::Deflate, _) => format!("{size}, each message by itself"),
        (Kind::Takeover, _) => format!("{size}, context takeover"),
        (Kind::Broadcast, 1) => format!("{size}, one message"),
        (Kind::Broadcast, burst) => format!("{size}, {burst} messages behind each other"),
        (_, in_flight) => format!("{size}, {in_flight} in flight"),
    }
}

/// A logarithmic axis.
#[derive(Clone)]
struct Scale {
    from: f64,
    to: f64,
    ticks: Vec<f64>,
}

impl Scale {
    /// One on which all values have a place, if there are any.
    fn of(values: impl Iterator<Item = f64> + Clone) -> Option<Self> {
        let least = values.clone().min_by(f64::total_cmp)?;
        Some(Self::new(least, values.max_by(f64::total_cmp)?))
    }

    /// From a power of ten, or its half or fifth, below the least to the greatest.
    fn new(least: f64, most: f64) -> Self {
        let mut steps = Vec::new();
        for power in -3..9 {
            steps.extend([1.0, 2.0, 5.0].map(|step| step * 10_f64.powi(power)));
        }
        let below = steps.iter().rposition(|step| *step < least * 0.98).unwrap_or(0);
        let above = steps.iter().position(|step| *step >= most).unwrap_or(steps.len() - 1);
        let ticks = &steps[below..=above.max(below + 1)];
        // Ten figures do not fit beside each other.
        let ticks = ticks
            .iter()
            .copied()
            .filter(|tick| ticks.len() <= 7 || (tick.log10() - tick.log10().round()).abs() < 1e-9);
        Self { from: steps[below], to: steps[above.max(below + 1)], ticks: ticks.collect() }
    }

    fn x(&self, value: f64) -> f64 {
        let (start, width) = (NAMES + 8.0, PANEL - NAMES - 8.0 - FIGURES);
        start + width * (value / self.from).ln() / (self.to / self.from).ln()
    }
}

fn bytes(value: f64) -> String {
    match value {
        v if v >= 10_240.0 => format!("{:.0} K", v / 1024.0),
        v if v >= 1024.0 => format!("{:.1} K", v / 1024.0),
        v => format!("{v:.0}"),
    }
}

fn compact(value: f64) -> String {
    if value >= 1e6 {
        format!("{} M", value / 1e6)
    } else if value >= 1e4 {
        format!("{} k", value / 1e3)
    } else {
        format!("{value}")
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
