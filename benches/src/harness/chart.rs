//! A bar for each peer, drawn as SVG; the limit is a line across all of them.

use crate::peers;
use crate::results::CaseResult;
use crate::statistics::{Spread, short};
use std::fmt::Write;

const WIDTH: f64 = 760.0;
const LEFT: f64 = 170.0;
const RIGHT: f64 = 110.0;
const TOP: f64 = 52.0;
const ROW: f64 = 26.0;

/// A bar that would be longer than this many times sylvan's is cut off, and marked.
const LONGEST: f64 = 12.0;

/// The chart of a case's first figure.
pub fn draw(case: &CaseResult) -> String {
    let Some(metric) = case.metrics.first() else {
        return String::new();
    };
    let spread =
        |peer: &crate::results::PeerResult| Some((peer.name.clone(), peer.spread(&metric.key)?));
    let bars: Vec<_> = case
        .peers
        .iter()
        .filter(|it| !it.is_limit())
        .filter_map(spread)
        .collect();
    let limits: Vec<_> = case
        .peers
        .iter()
        .filter(|it| it.is_limit())
        .filter_map(spread)
        .collect();
    let scale = Scale::of(&bars, &limits);
    let height = TOP + ROW * bars.len() as f64 + 34.0;
    let better = if metric.higher_is_better {
        "more"
    } else {
        "less"
    };
    let mut svg = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" font-family="sans-serif" font-size="13">
<rect width="100%" height="100%" fill="white"/>
<text x="12" y="22" font-size="15" font-weight="bold">{}</text>
<text x="12" y="40" fill="#666">{}: {better} is better; the thin line is from the least to the most</text>
"##,
        escape(&case.title),
        escape(&metric.title),
    );
    for (index, (name, figures)) in bars.iter().enumerate() {
        bar(&mut svg, index, name, *figures, &scale);
    }
    for (name, figures) in limits.iter().take(1) {
        line(&mut svg, name, *figures, &scale, height);
    }
    svg + "</svg>\n"
}

struct Scale {
    most: f64,
}

impl Scale {
    fn of(bars: &[(String, Spread)], limits: &[(String, Spread)]) -> Scale {
        let medians = || bars.iter().chain(limits).map(|(_, figures)| figures.median);
        let most = medians().fold(0.0, f64::max);
        let ours = bars.iter().find(|(name, _)| name == peers::OURS);
        let ours = ours.map_or(most, |(_, figures)| figures.median);
        Scale {
            most: most.min(LONGEST * ours).max(f64::MIN_POSITIVE),
        }
    }

    fn place(&self, figure: f64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * (figure / self.most).min(1.0)
    }

    fn is_cut(&self, figure: f64) -> bool {
        figure > self.most * 1.001
    }
}

fn bar(svg: &mut String, index: usize, name: &str, figures: Spread, scale: &Scale) {
    let y = TOP + ROW * index as f64;
    let ours = name.starts_with(peers::OURS);
    let colour = if ours { "#2f7d4f" } else { "#9db4c8" };
    let end = scale.place(figures.median);
    let middle = y + ROW / 2.0 - 2.0;
    let cut = if scale.is_cut(figures.median) {
        " »"
    } else {
        ""
    };
    let _ = write!(
        svg,
        r#"<text x="{}" y="{}" text-anchor="end">{}</text>
<rect x="{LEFT}" y="{}" width="{:.1}" height="{}" fill="{colour}"/>
<line x1="{:.1}" x2="{:.1}" y1="{middle}" y2="{middle}" stroke="black" stroke-width="1"/>
<text x="{:.1}" y="{}">{}{cut}</text>
"#,
        LEFT - 8.0,
        middle + 4.0,
        escape(name),
        y + 2.0,
        (end - LEFT).max(1.0),
        ROW - 8.0,
        scale.place(figures.least),
        scale.place(figures.most),
        scale.place(figures.most) + 6.0,
        middle + 4.0,
        short(figures.median),
    );
}

fn line(svg: &mut String, name: &str, figures: Spread, scale: &Scale, height: f64) {
    let x = scale.place(figures.median);
    let _ = write!(
        svg,
        r##"<line x1="{x:.1}" x2="{x:.1}" y1="{}" y2="{}" stroke="#c0392b" stroke-dasharray="4 3"/>
<text x="{x:.1}" y="{}" fill="#c0392b" text-anchor="middle">{} {}</text>
"##,
        TOP - 4.0,
        height - 26.0,
        height - 10.0,
        escape(name),
        short(figures.median),
    );
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
