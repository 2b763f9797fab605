//! Plots of numbers over time, drawn with blocks.
//!
//! Guarantees: a column is as high as the highest number of its time, so no peak is lost. What was measured shows at
//! least the lowest block, a zero too; where nothing was measured there is a gap.
//! Not here: where numbers come from, and how they are written.

use tose_api::Timestamp;

/// From nothing to a full cell, in eighths.
const BLOCKS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// How many steps a cell has.
const EIGHTHS: u128 = 8;

/// Numbers as columns of equal time from `start` to `end`. A point is the begin of a `step` of seconds and its number,
/// which stands in each column that the step touches.
pub(crate) fn columns(
    points: impl Iterator<Item = (Timestamp, Option<u64>)>,
    (start, end): (Timestamp, Timestamp),
    step: u32,
    count: usize,
) -> Vec<Option<u64>> {
    const SECOND: i128 = 1_000_000_000;
    let (start, end) = (i128::from(start.as_nanos()), i128::from(end.as_nanos()));
    let (span, width) = ((end - start).max(1), count as i128);
    let mut columns = vec![None; count];
    for (time, number) in points {
        let from = i128::from(time.as_nanos()) - start;
        let to = from + i128::from(step) * SECOND;
        let first = (from * width).div_euclid(span).clamp(0, width);
        let last = (to * width + span - 1).div_euclid(span).clamp(0, width);
        let touched = usize::try_from(first).unwrap_or(0)..usize::try_from(last).unwrap_or(0);
        for column in columns.get_mut(touched).unwrap_or_default() {
            // Nothing is less than any number.
            *column = number.max(*column);
        }
    }
    columns
}

/// The plot's rows, the uppermost first; `top` is the number that fills a column.
pub(crate) fn rows(columns: &[Option<u64>], top: u64, height: usize) -> Vec<String> {
    let row = |below: u128| {
        let cell = |column: &Option<u64>| {
            let filled = column.map_or(0, |number| eighths(number, top, height));
            let here = filled.saturating_sub(below * EIGHTHS).min(EIGHTHS);
            BLOCKS[usize::try_from(here).unwrap_or(0)]
        };
        columns.iter().map(cell).collect()
    };
    (0..height as u128).rev().map(row).collect()
}

/// How many eighths of a cell a number fills, to the nearest.
fn eighths(number: u64, top: u64, height: usize) -> u128 {
    let (number, top) = (u128::from(number), u128::from(top.max(1)));
    let all = EIGHTHS * height as u128;
    ((number * all * 2 + top) / (top * 2)).clamp(1, all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_nanos(seconds * 1_000_000_000)
    }

    fn spread(points: &[(i64, Option<u64>)], step: u32, end: i64, count: usize) -> String {
        let points = points.iter().map(|(time, number)| (at(*time), *number));
        let columns = columns(points, (at(0), at(end)), step, count);
        let text = |column: &Option<u64>| column.map_or("-".to_owned(), |n| n.to_string());
        columns.iter().map(text).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn points_are_spread_over_the_columns_of_their_time() {
        let four = [(0, Some(1)), (10, Some(2)), (20, None), (30, Some(4))];
        assert_eq!(spread(&four, 10, 40, 4), "1 2 - 4");
        assert_eq!(spread(&four, 10, 40, 8), "1 1 2 2 - - 4 4");
        assert_eq!(spread(&four, 10, 40, 2), "2 4", "the higher one counts");
        assert_eq!(spread(&[(10, Some(7))], 10, 40, 4), "- 7 - -");
        assert_eq!(spread(&[], 10, 40, 4), "- - - -");
        let outside = [(-20, Some(9)), (-5, Some(1)), (35, Some(2)), (50, Some(9))];
        assert_eq!(spread(&outside, 10, 40, 4), "1 - - 2");
        assert_eq!(spread(&four, 10, 0, 2), "1 1", "no time at all");
        assert_eq!(spread(&four, 10, 40, 0), "");
    }

    #[test]
    fn columns_are_as_high_as_their_numbers() {
        let columns = [Some(0), None, Some(1), Some(50), Some(75), Some(100)];
        assert_eq!(rows(&columns, 100, 1), ["▁ ▁▄▆█"]);
        assert_eq!(rows(&columns, 100, 2), ["    ▄█", "▁ ▁███"]);
        assert_eq!(rows(&[Some(0), None], 0, 2), ["  ", "▁ "]);
        assert_eq!(rows(&[Some(u64::MAX)], u64::MAX, 2), ["█", "█"]);
        assert_eq!(rows(&[Some(9)], 3, 1), ["█"], "no higher than the plot");
    }
}
