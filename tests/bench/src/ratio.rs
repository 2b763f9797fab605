//! Ratios of pairs that ran back to back, and what may be said about them.

use std::fmt;

/// The quartiles of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Quartiles {
    pub(crate) low: f64,
    pub(crate) median: f64,
    pub(crate) high: f64,
}

/// What the ratios of a series say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Half of the pairs lie on both sides of 1, so no difference was shown.
    Equal,
    /// The middle half lies below 1.
    Lower,
    /// The middle half lies above 1.
    Higher,
}

impl Quartiles {
    /// Of a series that is not empty; linear between neighbours.
    pub(crate) fn of(mut series: Vec<f64>) -> Option<Self> {
        series.sort_by(f64::total_cmp);
        Some(Self {
            low: quantile(&series, 0.25)?,
            median: quantile(&series, 0.5)?,
            high: quantile(&series, 0.75)?,
        })
    }

    /// What these quartiles of ratios say.
    pub(crate) fn verdict(self) -> Verdict {
        if self.high < 1.0 {
            Verdict::Lower
        } else if self.low > 1.0 {
            Verdict::Higher
        } else {
            Verdict::Equal
        }
    }
}

fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let place = last as f64 * share;
    let (below, above) = (place.floor(), place.ceil());
    let (low, high) = (sorted[below as usize], sorted[above as usize]);
    Some(low + (high - low) * (place - below))
}

impl fmt::Display for Quartiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.3} [{:.3} .. {:.3}]",
            self.median, self.low, self.high
        )
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Equal => "equal",
            Self::Lower => "lower",
            Self::Higher => "higher",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_counts_only_when_the_middle_half_shows_it() {
        let verdict = |series: &[f64]| Quartiles::of(series.to_vec()).map(Quartiles::verdict);
        assert_eq!(verdict(&[0.8, 1.3, 0.9, 1.1]), Some(Verdict::Equal));
        assert_eq!(verdict(&[0.8, 0.9, 0.85, 1.2]), Some(Verdict::Lower));
        assert_eq!(verdict(&[1.8, 1.9, 1.85, 0.9]), Some(Verdict::Higher));
        assert_eq!(verdict(&[]), None);
    }

    #[test]
    fn quartiles_lie_between_neighbours() {
        let expected = Quartiles {
            low: 2.0,
            median: 3.0,
            high: 4.0,
        };
        assert_eq!(Quartiles::of(vec![5.0, 1.0, 3.0, 2.0, 4.0]), Some(expected));
    }
}
