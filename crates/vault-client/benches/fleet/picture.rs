//! Requests a second over time, as an SVG picture without a script, for light and dark pages.

use std::fmt::Write as _;
use std::ops::Range;

/// Seconds in each part of the outline, which shows the worst of them, and in a whole panel.
const BIN: usize = 10;
const LENGTH: usize = 1800;

/// Width and height of a plot, what is left of it, and how far panels are apart.
const PLOT: (f64, f64) = (640.0, 100.0);
const LEFT: f64 = 96.0;
const STEP: f64 = 164.0;

const STYLE: &str = "svg{font:12px system-ui,sans-serif}.page{fill:#fff}.ink{fill:#1f2328}.dim{fill:#59636e}\
.load{fill:#0969da}.fault{fill:#d1242f;opacity:.15}.rule{stroke:#8c959f;stroke-width:.5}\
.limit{stroke:#d1242f;stroke-dasharray:4 3}@media(prefers-color-scheme:dark){.page{fill:#0d1117}.ink{fill:#f0f6fc}\
.dim{fill:#9198a1}.load{fill:#4493f8}.fault{fill:#f85149;opacity:.25}.rule{stroke:#656c76}.limit{stroke:#f85149}}";

/// Half an hour of a fleet.
pub(crate) struct Panel {
    title: &'static str,
    seconds: Vec<u32>,
    /// When the server was not well.
    fault: Range<usize>,
}

impl Panel {
    /// The beginning of these parts, one after the other.
    pub(crate) fn of(title: &'static str, parts: &[&[u32]], fault: Range<usize>) -> Self {
        Self { title, seconds: parts.concat().into_iter().take(LENGTH).collect(), fault }
    }

    fn worst(&self) -> u32 {
        self.seconds.iter().copied().max().unwrap_or_default()
    }
}

/// All panels, one below the other and to one scale; `mean` is that of a second to which nothing happens.
pub(crate) fn draw(mean: f64, panels: &[Panel]) -> String {
    let most = f64::from(panels.iter().map(Panel::worst).max().unwrap_or(1));
    let count = u32::try_from(panels.len()).expect("few");
    let (width, height) = (LEFT + PLOT.0 + 44.0, 24.0 + f64::from(count) * STEP);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" role=\"img\">\n\
         <title>Requests a second of 100,000 programs</title>\n<style>{STYLE}</style>\n\
         <rect class=\"page\" width=\"{width}\" height=\"{height}\"/>\n"
    );
    for (number, panel) in (0..count).zip(panels) {
        let scale = Scale { top: 36.0 + f64::from(number) * STEP, most };
        panel.draw(&mut svg, mean, &scale).expect("a string takes all");
    }
    svg + "</svg>\n"
}

/// Where a plot is, and what its height stands for.
struct Scale {
    top: f64,
    most: f64,
}

impl Scale {
    fn x(second: usize) -> f64 {
        LEFT + PLOT.0 * share(second, LENGTH)
    }

    fn y(&self, requests: f64) -> f64 {
        self.top + PLOT.1 * (1.0 - requests / self.most)
    }
}

fn share(part: usize, whole: usize) -> f64 {
    let [part, whole] = [part, whole].map(|it| f64::from(u32::try_from(it).expect("seconds")));
    part / whole
}

impl Panel {
    fn draw(&self, svg: &mut String, mean: f64, scale: &Scale) -> std::fmt::Result {
        let (left, right, top, bottom) = (LEFT, LEFT + PLOT.0, scale.top, scale.y(0.0));
        let worst = self.worst();
        writeln!(
            svg,
            "<text class=\"ink\" x=\"{left}\" y=\"{:.1}\" font-weight=\"600\">{}</text>",
            top - 10.0,
            self.title
        )?;
        let peak = format!("worst second {worst}, {:.2} × the mean", f64::from(worst) / mean);
        writeln!(svg, "<text class=\"dim\" x=\"{right}\" y=\"{:.1}\" text-anchor=\"end\">{peak}</text>", top - 10.0)?;
        let (from, to) = (Scale::x(self.fault.start), Scale::x(self.fault.end));
        let (width, height) = (to - from, PLOT.1);
        writeln!(
            svg,
            "<rect class=\"fault\" x=\"{from:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{height}\"/>"
        )?;
        write!(svg, "<path class=\"load\" d=\"M{left} {bottom:.1}")?;
        for (number, bin) in self.seconds.chunks(BIN).enumerate() {
            let worst = bin.iter().copied().max().unwrap_or_default();
            write!(svg, "V{:.1}H{:.1}", scale.y(worst.into()), Scale::x((number + 1) * BIN))?;
        }
        writeln!(svg, "V{bottom:.1}Z\"/>")?;
        for (class, requests, name) in [("rule", 0.0, "0"), ("rule", mean, "mean"), ("limit", 2.0 * mean, "2 × mean")]
        {
            let y = scale.y(requests);
            writeln!(svg, "<line class=\"{class}\" x1=\"{left}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>")?;
            let label = if requests > 0.0 { format!("{name} {requests:.0}") } else { name.to_owned() };
            let (x, y) = (left - 6.0, y + 4.0);
            writeln!(svg, "<text class=\"dim\" x=\"{x}\" y=\"{y:.1}\" text-anchor=\"end\">{label}</text>")?;
        }
        for minute in (0..=30).step_by(5) {
            let (x, y) = (Scale::x(minute * 60), bottom + 16.0);
            let unit = if minute == 30 { " min" } else { "" };
            writeln!(
                svg,
                "<text class=\"dim\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{minute}{unit}</text>"
            )?;
        }
        Ok(())
    }
}
