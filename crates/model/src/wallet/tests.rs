//! Wallets: alerts once for each crossing, grace, suspension and return, budgets.

use super::*;

const GRACE: Duration = Duration::from_secs(3600);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_nanos(seconds * 1_000_000_000)
}

fn funds(available: i64) -> Funds {
    Funds {
        available: Money::of(available),
        threshold: Money::of(100),
        spent: Money::ZERO,
        budget: None,
        is_idle: false,
    }
}

/// What is told, step by step, as funds and time change.
fn story(steps: &[(i64, Funds)]) -> Vec<Vec<Notice>> {
    let mut standing = Standing::default();
    let tell = |(time, funds): &(i64, Funds)| {
        let (next, notices) = judge(standing, funds, at(*time), GRACE);
        standing = next;
        notices
    };
    steps.iter().map(tell).collect()
}

#[test]
fn each_alert_comes_once_for_each_crossing() {
    let told = story(&[
        (0, funds(500)),
        (1, funds(99)),
        (2, funds(50)),
        (3, funds(200)),
        (4, funds(99)),
    ]);
    let low = vec![Notice::Low];
    assert_eq!(told, [vec![], low.clone(), vec![], vec![], low]);
}

#[test]
fn an_empty_wallet_has_its_grace_is_suspended_and_resumes() {
    let told = story(&[
        (0, funds(0)),
        (3599, funds(-30)),
        (3600, funds(-40)),
        (9000, funds(-40)),
        (9001, funds(60)),
        (9002, funds(500)),
    ]);
    assert_eq!(told[0], [Notice::Low, Notice::Empty(at(3600))]);
    assert_eq!(told[1], []);
    assert_eq!(told[2], [Notice::Suspended(Suspension::Empty)]);
    assert_eq!(told[3], []);
    assert_eq!(told[4], [Notice::Resumed]);
    assert_eq!(told[5], []);
}

#[test]
fn what_is_suspended_stays_so_though_the_clock_is_set_back() {
    let told = story(&[(0, funds(0)), (3600, funds(0)), (10, funds(0))]);
    assert_eq!(told[2], []);
}

#[test]
fn an_empty_wallet_of_a_workspace_that_runs_nothing_is_no_trouble() {
    let idle = Funds {
        is_idle: true,
        threshold: Money::ZERO,
        ..funds(0)
    };
    assert_eq!(story(&[(0, idle), (9000, idle)]), [vec![], vec![]]);
    let (standing, _) = judge(Standing::default(), &idle, at(0), GRACE);
    assert_eq!(status(&standing, &idle), WalletStatus::Empty);
}

#[test]
fn a_budget_warns_twice_and_stops_if_that_is_wanted() {
    let spent = |spent, action| Funds {
        spent: Money::of(spent),
        budget: Some((Money::of(1000), action)),
        ..funds(500)
    };
    let of = |action| {
        story(&[
            (0, spent(799, action)),
            (1, spent(800, action)),
            (2, spent(999, action)),
            (3, spent(1000, action)),
            // The next month.
            (4, spent(0, action)),
        ])
    };
    let warned = [Notice::Budget(80)];
    let told = of(BudgetAction::Warn);
    assert_eq!((&told[0][..], &told[1][..]), (&[][..], &warned[..]));
    assert_eq!(told[3], [Notice::Budget(100)]);
    assert_eq!(told[4], []);
    let told = of(BudgetAction::Stop);
    let suspended = Notice::Suspended(Suspension::Budget);
    assert_eq!(told[3], [Notice::Budget(100), suspended]);
    assert_eq!(told[4], [Notice::Resumed]);
}

#[test]
fn without_a_grace_period_suspension_is_at_once() {
    let (standing, notices) = judge(Standing::default(), &funds(0), at(0), Duration::ZERO);
    assert_eq!(notices, [Notice::Low, Notice::Suspended(Suspension::Empty)]);
    assert_eq!(status(&standing, &funds(0)), WalletStatus::Suspended);
}
