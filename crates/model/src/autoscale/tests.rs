//! What looks lead to.

use proptest::prelude::*;

use super::*;

const PERIOD: Duration = Duration::from_secs(10);

fn rules(min_replicas: u32, max_replicas: u32) -> Rules {
    Rules {
        min_replicas,
        max_replicas,
        cpu_percent: None,
        requests_per_second: Some(100),
    }
}

fn cpu_rules(percent: u32) -> Rules {
    Rules {
        cpu_percent: Some(percent),
        requests_per_second: None,
        ..rules(1, 10)
    }
}

fn at(number: u32) -> Timestamp {
    Timestamp::from_nanos(1_767_225_600_000_000_000).saturating_add(PERIOD * number)
}

/// A look with so many requests a second, and so many thousandths of a core that replicas of half a core used.
fn look(number: u32, per_second: u64, used_milli: u64) -> Look {
    Look {
        at: at(number),
        cpu: Some(Cpu {
            used_milli,
            limit_milli: 500,
        }),
        requests: Some(Requests {
            count: per_second * 10,
            within: PERIOD,
        }),
    }
}

/// Looks in a row with these requests a second.
fn looks(per_second: &[u64]) -> Looks {
    let mut looks = Looks::default();
    for (number, per_second) in (0..).zip(per_second) {
        looks.add(look(number, *per_second, 0));
    }
    looks
}

/// `Ok` is the number that a decision changes to, `Err` what is asked for while nothing changes.
fn outcome(rules: &Rules, replicas: u32, looks: &Looks) -> Result<u32, Option<u32>> {
    match decide(rules, replicas, looks) {
        Decision::Scale { to, .. } => Ok(to),
        Decision::Stay(load) => Err(load.map(|load| load.wanted)),
    }
}

#[test]
fn nothing_is_decided_before_there_is_half_a_minute() {
    let rules = rules(1, 10);
    assert_eq!(outcome(&rules, 1, &looks(&[])), Err(None));
    assert_eq!(outcome(&rules, 1, &looks(&[900; 2])), Err(None));
    assert_eq!(outcome(&rules, 1, &looks(&[900; 3])), Err(Some(9)));
}

#[test]
fn more_come_when_three_looks_in_a_row_ask_for_more_and_as_many_as_all_of_them() {
    let rules = rules(1, 10);
    assert_eq!(outcome(&rules, 1, &looks(&[250; 4])), Err(Some(3)));
    assert_eq!(outcome(&rules, 1, &looks(&[250; 5])), Ok(3));
    // The averages are 200, 225, 260: two replicas were enough at the first of the three looks.
    assert_eq!(
        outcome(&rules, 1, &looks(&[200, 200, 200, 300, 400])),
        Ok(2)
    );
    // A peak of ten seconds that is large enough for a minute is seen by three looks.
    let peak = looks(&[90, 90, 90, 90, 90, 90, 250, 90, 90]);
    assert_eq!(outcome(&rules, 1, &peak), Ok(2));
    // At its first look nothing is decided.
    let short = looks(&[90, 90, 90, 90, 90, 90, 90, 250]);
    assert_eq!(outcome(&rules, 1, &short), Err(Some(2)));
}

#[test]
fn fewer_are_kept_after_five_minutes_and_as_many_as_the_most_demanding_look_asked_for() {
    let rules = rules(1, 10);
    assert_eq!(
        outcome(&rules, 4, &looks(&[90; DOWN_LOOKS + 1])),
        Err(Some(1))
    );
    assert_eq!(outcome(&rules, 4, &looks(&[90; DOWN_LOOKS + 2])), Ok(1));
    // A minute that asked for two, in the middle.
    let mut busy = [90; DOWN_LOOKS + 2];
    busy[12..18].fill(180);
    assert_eq!(outcome(&rules, 4, &looks(&busy)), Ok(2));
    // Of the looks before the five minutes only the load of their first minute is left.
    let mut long = vec![390; 20];
    long.extend([90; DOWN_LOOKS]);
    assert_eq!(outcome(&rules, 4, &looks(&long)), Err(Some(1)));
    long.extend([90; LOAD_LOOKS]);
    assert_eq!(outcome(&rules, 4, &looks(&long)), Ok(1));
}

#[test]
fn one_look_that_asks_for_no_fewer_begins_the_five_minutes_anew() {
    let rules = rules(1, 10);
    let mut looked = vec![90; DOWN_LOOKS];
    looked.extend([2400, 90, 90, 90, 90, 90, 90]);
    assert_eq!(outcome(&rules, 4, &looks(&looked)), Err(Some(1)));
    looked.extend([90; DOWN_LOOKS - 2]);
    assert_eq!(outcome(&rules, 4, &looks(&looked)), Err(Some(1)));
    looked.push(90);
    assert_eq!(outcome(&rules, 4, &looks(&looked)), Ok(1));
}

#[test]
fn a_load_near_the_target_changes_nothing() {
    let rules = rules(1, 10);
    for (replicas, per_second, wanted) in [
        (2, 220, 2),
        (2, 221, 3),
        (2, 180, 2),
        (3, 181, 2),
        (10, 900, 10),
        (10, 899, 9),
        (1, 0, 1),
    ] {
        let seen = outcome(&rules, replicas, &looks(&[per_second; FEWEST_LOOKS]));
        assert_eq!(seen, Err(Some(wanted)), "{replicas} at {per_second}");
    }
}

#[test]
fn the_bounds_count_at_once_and_always() {
    assert_eq!(outcome(&rules(2, 5), 1, &looks(&[])), Ok(2));
    assert_eq!(outcome(&rules(2, 5), 7, &looks(&[])), Ok(5));
    assert_eq!(outcome(&rules(1, 4), 2, &looks(&[5000; 5])), Ok(4));
    assert_eq!(outcome(&rules(2, 4), 3, &looks(&[0; 40])), Ok(2));
    assert_eq!(outcome(&rules(3, 3), 3, &looks(&[5000; 5])), Err(Some(3)));
}

#[test]
fn cpu_counts_as_a_share_of_the_limit_and_the_larger_number_of_two_targets() {
    let mut looked = Looks::default();
    for number in 0..5 {
        looked.add(look(number, 150, 930));
    }
    // 0.93 cores, and 0.35 of half a core each.
    assert_eq!(outcome(&cpu_rules(70), 1, &looked), Ok(3));
    assert_eq!(outcome(&cpu_rules(90), 2, &looked), Err(Some(2)));
    let both = Rules {
        requests_per_second: Some(100),
        ..cpu_rules(70)
    };
    assert_eq!(outcome(&both, 1, &looked), Ok(3));
    let both = Rules {
        requests_per_second: Some(25),
        ..both
    };
    assert_eq!(outcome(&both, 1, &looked), Ok(6));
    let Decision::Scale { reason, .. } = decide(&both, 1, &looked) else {
        panic!("it is scaled");
    };
    assert_eq!(
        reason,
        "0.93 cores are used, and a replica is to use 70 % of 0.5; 150 requests a second come, and a replica is to answer 25"
    );
}

#[test]
fn what_was_not_measured_decides_nothing() {
    let mut looked = looks(&[900; 4]);
    looked.add(Look {
        requests: None,
        ..look(4, 900, 0)
    });
    assert_eq!(outcome(&rules(1, 10), 1, &looked), Err(None));
    // Two looks later that is one of three in a row; then the load is that of the other looks.
    for number in 5..7 {
        looked.add(look(number, 900, 0));
    }
    assert_eq!(outcome(&rules(1, 10), 1, &looked), Err(Some(9)));
    looked.add(look(7, 900, 0));
    assert_eq!(outcome(&rules(1, 10), 1, &looked), Ok(9));
    // What does not count need not be measured.
    assert_eq!(outcome(&cpu_rules(70), 2, &looked), Err(Some(1)));
    let mut down = looks(&[90; DOWN_LOOKS]);
    down.add(Look {
        requests: None,
        ..look(30, 90, 0)
    });
    for number in 31..31 + 29 {
        down.add(look(number, 90, 0));
        assert_eq!(outcome(&rules(1, 10), 4, &down), Err(Some(1)));
    }
    down.add(look(60, 90, 0));
    assert_eq!(outcome(&rules(1, 10), 4, &down), Ok(1));
    let mut gap = looks(&[900; 4]);
    gap.add(look(7, 900, 0));
    assert_eq!(outcome(&rules(1, 10), 1, &gap), Err(None));
    let mut late = looks(&[900; 4]);
    late.add(look(5, 900, 0));
    assert_eq!(outcome(&rules(1, 10), 1, &late), Ok(9));
    // A clock that was set back.
    let mut back = looks(&[900; 5]);
    back.add(look(1, 900, 0));
    assert_eq!(outcome(&rules(1, 10), 1, &back), Err(None));
}

#[test]
fn requests_count_by_the_time_in_which_they_came() {
    let mut looked = Looks::default();
    for number in 0..5 {
        looked.add(Look {
            requests: Some(Requests {
                count: 3000,
                within: Duration::from_millis(12_000),
            }),
            ..look(number, 0, 0)
        });
    }
    let Decision::Stay(Some(load)) = decide(&rules(1, 2), 2, &looked) else {
        panic!("nothing is changed");
    };
    assert_eq!(load.requests_milli, Some(250_000));
    assert_eq!(load.wanted, 2);
}

prop_compose! {
    fn any_rules()(
        min_replicas in 1_u32..20,
        more in 0_u32..20,
        cpu_percent in proptest::option::of(1_u32..=100),
        requests_per_second in proptest::option::of(1..=MAX_REQUESTS),
    ) -> Rules {
        Rules { min_replicas, max_replicas: min_replicas + more, cpu_percent, requests_per_second }
    }
}

prop_compose! {
    fn any_look()(used_milli: u64, limit_milli: u64, count: u64, millis in 0_u64..100_000, parts in 0_u8..4) -> Look {
        Look {
            at: at(0),
            cpu: (parts & 1 == 1).then_some(Cpu { used_milli, limit_milli }),
            requests: (parts & 2 == 2).then_some(Requests { count, within: Duration::from_millis(millis) }),
        }
    }
}

proptest! {
    #[test]
    fn whatever_was_seen_the_number_is_within_the_bounds(
        rules in any_rules(),
        replicas in 0_u32..50,
        seen in proptest::collection::vec((any_look(), 0_u32..4), 0..45),
    ) {
        let mut looks = Looks::default();
        let mut number = 0;
        for (look, step) in seen {
            number += step;
            looks.add(Look { at: at(number), ..look });
        }
        let within = rules.min_replicas..=rules.max_replicas;
        match decide(&rules, replicas, &looks) {
            Decision::Scale { to, reason, .. } => {
                prop_assert!(within.contains(&to) && to != replicas && !reason.is_empty());
            }
            Decision::Stay(load) => {
                prop_assert!(within.contains(&replicas));
                prop_assert!(load.is_none_or(|load| within.contains(&load.wanted)));
            }
        }
    }

    #[test]
    fn a_load_that_stays_is_decided_once(
        rules in any_rules(),
        replicas in 1_u32..40,
        per_second in 0_u64..2_000_000,
        used_milli in 0_u64..40_000,
    ) {
        let mut looks = Looks::default();
        for number in 0..40 {
            looks.add(look(number, per_second, used_milli));
        }
        let begin = replicas.clamp(rules.min_replicas, rules.max_replicas);
        if let Ok(to) = outcome(&rules, begin, &looks) {
            prop_assert_eq!(outcome(&rules, to, &looks), Err(Some(to)));
        }
    }

    #[test]
    fn more_load_never_asks_for_fewer(
        replicas in 1_u32..40,
        target in 1_u64..100_000,
        load in 0_u64..4_000_000,
        more in 0_u64..100_000,
    ) {
        let asks = |load: u64| asks_for(load.into(), target.into(), replicas);
        prop_assert!(asks(load) <= asks(load + more));
    }

    #[test]
    fn each_replica_has_its_target_or_little_more(
        replicas in 1_u32..40,
        target in 1_u64..100_000,
        load in 0_u64..4_000_000,
    ) {
        let wanted = asks_for(load.into(), target.into(), replicas);
        let room = u64::from(wanted) * target;
        prop_assert!(load * 100 <= room * (100 + TOLERANCE_PERCENT));
    }
}
