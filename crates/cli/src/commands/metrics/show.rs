//! Measurements as plots, and as a table.

use tose_api::Timestamp;
use tose_api::metrics::{MetricsPoint, MetricsView};

use super::series::{Series, Summary};
use crate::output::Output;
use crate::plot;
use crate::subject::Subject;
use crate::terminal;
use crate::text;

/// Cells of a label left of a plot, such as `1000 KiB/s`, with what stands between it and the plot.
const LABEL: usize = 12;
/// A terminal that does not tell its size.
const USUAL: (usize, usize) = (80, 24);
/// The narrowest plot.
const MIN_COLUMNS: usize = 20;
/// The lowest and the highest plot.
const ROWS: (usize, usize) = (2, 10);

const SECOND: i64 = 1_000_000_000;
/// From one time below a plot to the next.
const ROUND_SECONDS: [i64; 15] = [
    60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400, 604_800,
    2_592_000, 7_776_000,
];
/// Which of them is a day.
const DAY: usize = 11;

/// A plot for each series, as wide as the terminal, with the times below them.
pub(super) fn plots(
    output: &Output,
    subject: &Subject,
    series: &[&Series],
    found: &MetricsView,
) -> String {
    let size = terminal::size().map(|size| (usize::from(size.cols), usize::from(size.rows)));
    let (width, height) = size.unwrap_or(USUAL);
    // The last cell of a line stays free: some terminals begin a new line once it is filled.
    let columns = width.saturating_sub(LABEL + 1).max(MIN_COLUMNS);
    // Around the plots are the head, the times, and the prompt that follows.
    let rows = height.saturating_sub(4) / series.len().max(1);
    let rows = rows.saturating_sub(1).clamp(ROWS.0, ROWS.1);
    let mut lines = vec![format!(
        "{subject}  {} to {}, {} s a point",
        text::time(found.start),
        text::time(found.end),
        found.step
    )];
    for series in series {
        lines.push(summary(series, found));
        lines.extend(plot_lines(output, series, found, (columns, rows)));
    }
    lines.push(format!("{:LABEL$}{}", "", times(found, columns)));
    lines.join("\n")
}

fn plot_lines(
    output: &Output,
    series: &Series,
    found: &MetricsView,
    (columns, rows): (usize, usize),
) -> Vec<String> {
    let points = found.points.iter();
    let points = points.map(|point| (point.time, (series.read)(point, found.step)));
    let columns = plot::columns(points, (found.start, found.end), found.step, columns);
    let top = columns.iter().flatten().max().copied();
    let drawn = plot::rows(&columns, top.unwrap_or(0), rows);
    let line = |(row, cells): (usize, String)| {
        let label = match (row, top) {
            (0, Some(top)) if top > 0 => (series.write)(top),
            (row, Some(_)) if row + 1 == rows => "0".to_owned(),
            _ => String::new(),
        };
        let cells = output.paint(series.style, cells.trim_end());
        format!("{label:>width$} ┤{cells}", width = LABEL - 2)
    };
    drawn.into_iter().enumerate().map(line).collect()
}

/// The last, the lowest, the highest number and what else is told of all.
fn summary(series: &Series, found: &MetricsView) -> String {
    let read = |point| (series.read)(point, found.step);
    let numbers: Vec<u64> = found.points.iter().filter_map(read).collect();
    let (Some(min), Some(max)) = (numbers.iter().min(), numbers.iter().max()) else {
        return format!("{:<10}nothing was measured", series.name);
    };
    // A last point without a number, which has no last number, is told as such.
    let last = found.points.last().and_then(read);
    let last = last.map_or_else(|| "-".to_owned(), series.write);
    let sum: u128 = numbers.iter().map(|number| u128::from(*number)).sum();
    let average = u64::try_from(sum / numbers.len().max(1) as u128).unwrap_or(u64::MAX);
    let (min, max) = ((series.write)(*min), (series.write)(*max));
    let told = match series.summary {
        Summary::Average => {
            let average = (series.write)(average);
            vec![("last", last), ("min", min), ("avg", average), ("max", max)]
        }
        Summary::Range => vec![("last", last), ("min", min), ("max", max)],
        Summary::Sum => vec![("last", last), ("max", max), ("sum", sum.to_string())],
    };
    let mut line = format!("{:<10}", series.name);
    for (name, value) in told {
        line.push_str(&format!("{name} {value:<12}"));
    }
    line.trim_end().to_owned()
}

/// The times below a plot, such as are round, as many as there is room for.
fn times(found: &MetricsView, columns: usize) -> String {
    let (start, end) = (found.start.as_nanos(), found.end.as_nanos());
    let span = (i128::from(end) - i128::from(start)).max(1);
    let is_long = span > i128::from(ROUND_SECONDS[DAY] * SECOND);
    let write = |time: i64| {
        let time = text::time(Timestamp::from_nanos(time));
        match is_long {
            true => time.get(5..16).unwrap_or_default().replace('T', " "),
            false => time.get(11..16).unwrap_or_default().to_owned(),
        }
    };
    // A mark, the label, and as much again between two of them.
    let room = 2 * (1 + write(start).chars().count());
    let most = (columns / room).max(1) as i128;
    let fits = |seconds: &i64| span / i128::from(seconds * SECOND) <= most;
    let steps = ROUND_SECONDS.into_iter();
    // Beyond them come whole years.
    let mut steps = steps.chain((1..).map(|years| years * 31_536_000));
    let step = steps.find(fits).unwrap_or(i64::MAX / SECOND) * SECOND;
    let mut line = String::new();
    let mut time = (start + step - 1).div_euclid(step) * step;
    while time < end {
        let ahead = (i128::from(time) - i128::from(start)) * columns as i128 / span;
        let column = usize::try_from(ahead).unwrap_or(0);
        let label = format!("└{}", write(time));
        if column + label.chars().count() > columns {
            break;
        }
        let gap = column.saturating_sub(line.chars().count());
        line.push_str(&" ".repeat(gap));
        line.push_str(&label);
        time += step;
    }
    line
}

/// A row for each point.
pub(super) fn table(series: &[&Series], found: &MetricsView) -> String {
    let mut heading = vec!["TIME".to_owned()];
    heading.extend(series.iter().map(|series| series.heading.to_owned()));
    let row = |point: &MetricsPoint| {
        let number = |series: &&Series| {
            let number = (series.read)(point, found.step);
            number.map_or_else(|| "-".to_owned(), series.write)
        };
        let time = std::iter::once(text::time(point.time));
        time.chain(series.iter().map(number)).collect()
    };
    let rows: Vec<_> = found.points.iter().map(row).collect();
    text::table_of(&heading, &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn below(start: &str, end: &str, columns: usize) -> String {
        let found = MetricsView {
            start: start.parse().expect("a time"),
            end: end.parse().expect("a time"),
            step: 60,
            points: Vec::new(),
        };
        times(&found, columns)
    }

    #[test]
    fn times_below_a_plot_are_round() {
        let of_ten = "└08:00    └08:10     └08:20     └08:30     └08:40     └08:50";
        let of_halves = "└08:00         └08:30          └09:00";
        for (end, columns, line) in [
            ("08:55:00", 60, of_ten),
            ("09:10:00", 37, of_halves),
            ("09:10:00", 30, "└08:00      └08:30"),
            ("09:10:00", 10, "└08:00"),
            ("08:55:00", 5, ""),
        ] {
            let end = format!("2026-01-31T{end}Z");
            assert_eq!(below("2026-01-31T08:00:00Z", &end, columns), line);
        }
    }

    #[test]
    fn times_of_more_than_a_day_have_their_day() {
        let (start, end) = ("2026-01-30T20:00:00Z", "2026-02-02T20:00:00Z");
        let days = "    └01-31 00:00            └02-01 00:00            └02-02 00:00";
        assert_eq!(below(start, end, 72), days);
        assert_eq!(below(start, start, 72), "", "no time at all");
        let years = below(start, "2029-01-30T20:00:00Z", 72);
        assert_eq!(
            years,
            "                     └12-18 00:00            └12-18 00:00"
        );
    }
}
