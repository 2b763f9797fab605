//! The rules by example, and what holds of every history.

use proptest::prelude::*;

use super::*;

fn rule(metric: AlertMetric, window_seconds: u32) -> AlertRule {
    AlertRule {
        metric,
        comparison: AlertComparison::Above,
        threshold: number(90),
        window_seconds,
    }
}

fn number(number: u64) -> MetricValue {
    MetricValue::from_milli(number * 1000)
}

/// What a letter stands for: `x` is beyond the threshold, `-` is not, `.` was not measured.
fn slot(letter: char) -> Option<MetricValue> {
    match letter {
        'x' => Some(number(91)),
        '-' => Some(number(90)),
        _ => None,
    }
}

/// Looks after each slot; answers `F` where it fires, `R` and `U` where it ends, otherwise `f` while it fires and `o`
/// while it does not.
fn walk(rule: &AlertRule, history: &str) -> String {
    let slots: Vec<_> = history.chars().map(slot).collect();
    walk_slots(rule, &slots)
}

fn walk_slots(rule: &AlertRule, slots: &[Option<MetricValue>]) -> String {
    let mut is_firing = false;
    let look = |end| {
        let turn = rule.judge(is_firing, &slots[..end]).turn;
        let letter = match turn {
            Some(AlertTurn::Fired) => 'F',
            Some(AlertTurn::Ended(AlertEnd::Back)) => 'R',
            Some(AlertTurn::Ended(AlertEnd::Unmeasured)) => 'U',
            None if is_firing => 'f',
            None => 'o',
        };
        is_firing = matches!(letter, 'F' | 'f');
        letter
    };
    (1..=slots.len()).map(look).collect()
}

#[test]
fn it_fires_when_the_whole_window_is_beyond_and_ends_after_a_calm() {
    let minute = rule(AlertMetric::CpuPercent, 60);
    for (history, expected) in [
        ("xxxxx", "ooooo"),
        ("xxxxxx", "oooooF"),
        ("--xxxxxx", "oooooooF"),
        ("xxx-xxxxxx", "oooooooooF"),
        // A round that was late is no gap; more is.
        ("xx..xx", "oooooF"),
        ("x..x..x", "ooooooF"),
        ("xx...xx", "ooooooo"),
        // Nothing fires before it is measured anew.
        ("xxxxx.", "oooooo"),
        ("xxxxx.x", "ooooooF"),
        // Around the threshold nobody is told twice.
        ("xxxxxx-x-x-x-x-x", "oooooFffffffffff"),
        ("xxxxxx------", "oooooFfffffR"),
        ("xxxxxx-----x------", "oooooFfffffffffffR"),
        // While nothing is known it stays as it is, for a window.
        ("xxxxxx.....", "oooooFfffff"),
        ("xxxxxx......", "oooooFfffffU"),
        ("xxxxxx.....------", "oooooFffffffffRoo"),
        ("xxxxxx......xxxxxx", "oooooFfffffUoooooF"),
        ("......", "oooooo"),
    ] {
        assert_eq!(walk(&minute, history), expected, "{history}");
    }
}

#[test]
fn the_calm_is_five_minutes_at_most() {
    let hour = rule(AlertMetric::MemoryPercent, 3600);
    let history = "x".repeat(360) + &"-".repeat(30);
    let expected = "o".repeat(359) + "F" + &"f".repeat(29) + "R";
    assert_eq!(walk(&hour, &history), expected);
}

#[test]
fn where_requests_are_needed_one_a_minute_is_enough() {
    let errors = rule(AlertMetric::ErrorPercent, 120);
    for (history, expected) in [
        ("x.....x.....x", "ooooooooooooF"),
        ("x.....x......x", "oooooooooooooo"),
        // A request that went well in between is enough not to fire.
        ("x.....x.-...x", "ooooooooooooo"),
        // One good request in a calm is enough to end it.
        ("x.....x.....x.......-....", "ooooooooooooFfffffffffffR"),
        ("x.....x.....x............", "ooooooooooooFfffffffffffU"),
    ] {
        assert_eq!(walk(&errors, history), expected, "{history}");
    }
}

#[test]
fn restarts_are_added_up_over_the_window() {
    let restarts = AlertRule {
        threshold: number(2),
        ..rule(AlertMetric::Restarts, 60)
    };
    let walk = |history: &str| {
        let count = |letter: char| letter.to_digit(10).map(|digit| number(u64::from(digit)));
        let slots: Vec<_> = history.chars().map(count).collect();
        walk_slots(&restarts, &slots)
    };
    for (history, expected) in [
        ("000200", "oooooo"),
        ("0003", "oooF"),
        // Those that lie further back than the window do not count.
        ("200002", "oooooF"),
        ("2000002", "ooooooo"),
        // What crashes is measured now and then.
        ("1...1..1", "oooooooo"),
        ("1.1..1", "oooooF"),
        // Over once it was not too many for a minute.
        ("300000000000", "FffffffffffR"),
        ("3000000003000", "Fffffffffffff"),
    ] {
        assert_eq!(walk(history), expected, "{history}");
    }
    let judged = restarts.judge(false, &[Some(number(1)), None, Some(number(4))]);
    assert_eq!(judged.value, Some(number(5)));
}

#[test]
fn what_is_not_known_is_not_below() {
    let below = AlertRule {
        comparison: AlertComparison::Below,
        ..rule(AlertMetric::RequestsPerSecond, 60)
    };
    assert_eq!(walk(&below, "................"), "o".repeat(16));
    assert!(!below.is_beyond(number(90)));
    assert!(below.is_beyond(number(89)));
    assert_eq!(below.judge(false, &[]).value, None);
}

#[test]
fn a_measurement_says_what_is_known() {
    let measures = Measures {
        is_measured: true,
        cpu_milli: 450,
        cpu_limit_milli: 500,
        memory_bytes: 1 << 20,
        memory_limit_bytes: 3 << 20,
        disk_bytes: 7,
        requests: 15,
        errors_5xx: 3,
        p95: Some(Duration::from_micros(12_345)),
        restarts: 2,
    };
    let values = |measures: &Measures| {
        AlertMetric::ALL
            .iter()
            .map(|metric| match measures.value(*metric) {
                Some(value) => format!("{} {value}", metric.as_str()),
                None => format!("{} ?", metric.as_str()),
            })
            .collect::<Vec<_>>()
    };
    let expected = [
        "cpu_percent 90",
        "memory_percent 33.333",
        "requests_per_second 1.5",
        "error_percent 20",
        "p95_ms 12.345",
        "restarts 2",
        "disk_bytes 7",
    ];
    assert_eq!(values(&measures), expected);
    // Nothing runs, and visitors are told so.
    let down = Measures {
        is_measured: false,
        p95: None,
        ..measures
    };
    let expected = [
        "cpu_percent ?",
        "memory_percent ?",
        "requests_per_second ?",
        "error_percent 20",
        "p95_ms ?",
        "restarts 2",
        "disk_bytes ?",
    ];
    assert_eq!(values(&down), expected);
    let idle = Measures {
        is_measured: true,
        ..Measures::default()
    };
    let expected = [
        "cpu_percent ?",
        "memory_percent ?",
        "requests_per_second 0",
        "error_percent ?",
        "p95_ms ?",
        "restarts 0",
        "disk_bytes ?",
    ];
    assert_eq!(values(&idle), expected);
}

#[test]
fn people_are_told_value_threshold_and_window() {
    let texts = |metric| {
        let rule = rule(metric, 300);
        (
            rule.fired_text(MetricValue::from_milli(97_500)),
            rule.ended_text(AlertEnd::Back, Some(number(20)), Duration::from_secs(750)),
            rule.ended_text(AlertEnd::Unmeasured, None, Duration::from_secs(45)),
        )
    };
    let (fired, back, unmeasured) = texts(AlertMetric::CpuPercent);
    assert_eq!(fired, "cpu 97.5 % of the limit, above 90 for 5 min.");
    assert_eq!(
        back,
        "cpu 20 % of the limit, no longer above 90. It fired for 12 min 30 s."
    );
    assert_eq!(
        unmeasured,
        "nothing was measured for 5 min. It fired for 45 s."
    );
    let (fired, _, _) = texts(AlertMetric::Restarts);
    assert_eq!(fired, "restarts 97.5 within 5 min, above 90.");
    let (_, back, unmeasured) = texts(AlertMetric::ErrorPercent);
    assert_eq!(
        back,
        "20 % of the answers are 5xx, no longer above 90. It fired for 12 min 30 s."
    );
    assert_eq!(
        unmeasured,
        "there was no request for 5 min. It fired for 45 s."
    );
}

fn metrics() -> impl Strategy<Value = AlertMetric> {
    proptest::sample::select(AlertMetric::ALL)
}

/// Runs of slots, such as histories have them.
fn histories() -> impl Strategy<Value = Vec<Option<MetricValue>>> {
    let run = (proptest::sample::select(&['x', '-', '.'][..]), 1..40_usize);
    proptest::collection::vec(run, 0..20).prop_map(|runs| {
        let letters = runs
            .into_iter()
            .flat_map(|(letter, count)| std::iter::repeat_n(letter, count));
        letters.map(slot).collect()
    })
}

proptest! {
    #[test]
    fn it_fires_and_ends_in_turn_and_only_with_cause(
        metric in metrics(),
        minutes in 1..10_u32,
        slots in histories(),
    ) {
        let rule = rule(metric, minutes * 60);
        let letters = walk_slots(&rule, &slots);
        let (window, calm) = (rule.slots(), rule.calm_slots());
        let mut fired_at = None;
        for (index, letter) in letters.chars().enumerate() {
            let back = |count: usize| &slots[(index + 1).saturating_sub(count)..=index];
            match letter {
                'F' => {
                    prop_assert!(fired_at.is_none());
                    fired_at = Some(index);
                    if metric != AlertMetric::Restarts {
                        prop_assert_eq!(slots[index], slot('x'));
                        prop_assert!(!back(window).contains(&slot('-')));
                    }
                }
                'R' => {
                    let fired = fired_at.take();
                    prop_assert!(fired.is_some_and(|fired| index - fired >= 1));
                    if metric != AlertMetric::Restarts {
                        prop_assert!(!back(calm).contains(&slot('x')));
                        prop_assert!(back(calm).contains(&slot('-')));
                    }
                }
                'U' => {
                    prop_assert!(fired_at.take().is_some());
                    prop_assert!(back(window).iter().all(Option::is_none));
                }
                _ => prop_assert_eq!(letter == 'f', fired_at.is_some()),
            }
        }
    }

    #[test]
    fn what_lies_before_the_needed_slots_changes_nothing(
        metric in metrics(),
        minutes in 1..10_u32,
        slots in histories(),
        is_firing: bool,
    ) {
        let rule = rule(metric, minutes * 60);
        let from = slots.len().saturating_sub(rule.needed_slots());
        prop_assert_eq!(rule.judge(is_firing, &slots), rule.judge(is_firing, &slots[from..]));
    }
}
