//! Rounds that nobody disturbed.

use std::time::Instant;

use anyhow::Result;

use crate::process::{Running, cpu_of_bench, cpu_of_machine};

/// A round is thrown away when others use more than this share of one core.
const FOREIGN_SHARE: f64 = 0.1;

/// Runs `round` until it was undisturbed `count` times; `own` is what belongs to the bench. The round
/// is told how many were run before.
pub(crate) fn undisturbed<T>(
    count: u32,
    own: &[&Running],
    mut round: impl FnMut(usize) -> Result<T>,
) -> Result<Vec<T>> {
    let foreign_cpu = || -> Result<_> {
        let mut all = cpu_of_bench()?;
        for one in own {
            all += one.cpu()?;
        }
        Ok(cpu_of_machine()?.saturating_sub(all))
    };
    let count = count as usize;
    let mut rounds = Vec::new();
    let mut thrown_away = 0;
    while rounds.len() < count {
        let (before, began) = (foreign_cpu()?, Instant::now());
        let done = round(rounds.len() + thrown_away)?;
        let foreign = foreign_cpu()?.saturating_sub(before);
        let share = foreign.div_duration_f64(began.elapsed());
        if share > FOREIGN_SHARE {
            let percent = share * 100.0;
            if thrown_away < count {
                thrown_away += 1;
                println!("a round was thrown away: others used {percent:.0} % of a core");
                continue;
            }
            println!("the next round counts although others used {percent:.0} % of a core");
        }
        rounds.push(done);
    }
    Ok(rounds)
}
