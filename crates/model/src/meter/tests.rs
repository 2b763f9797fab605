//! The meter: what ran, between looks and over restarts, and the calendar that it is cut by.

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::quota::Load;

const NOW: i64 = 1_767_225_600;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_nanos((NOW + seconds) * 1_000_000_000)
}

fn replica(state: ReplicaState, started: Option<i64>, ended: Option<i64>) -> ObservedReplica {
    ObservedReplica {
        name: ReplicaName::from_label("web-1"),
        key: crate::driver::ReplicaKey {
            project_id: project(),
            deployment_id: tose_api::DeploymentId::from_uuid(Uuid::from_u128(3)),
            index: 0,
        },
        workspace_id: workspace(),
        generation: 1,
        state,
        ip: None,
        started_at: started.map(at),
        ended_at: ended.map(at),
        restarts: 0,
        load: Load::default(),
    }
}

fn project() -> ProjectId {
    ProjectId::from_uuid(Uuid::from_u128(1))
}

fn workspace() -> WorkspaceId {
    WorkspaceId::from_uuid(Uuid::from_u128(2))
}

const EXITED: ReplicaState = ReplicaState::Exited {
    exit_code: 0,
    out_of_memory: false,
};

/// The seconds, seen from the look's own time, in which a replica ran.
fn runs(known: &Known, replica: &ObservedReplica) -> Vec<(i64, i64)> {
    let look = Look {
        now: at(0),
        elapsed: Duration::from_secs(60),
        known,
    };
    let seconds = |millis: i64| millis.div_euclid(1000) - NOW;
    look.runs(replica)
        .map(|span| (seconds(span.from_millis), seconds(span.to_millis)))
        .filter(|(from, to)| from < to)
        .collect()
}

#[test]
fn a_replica_is_metered_for_as_long_as_it_ran_since_the_last_look() {
    let running = ReplicaState::Running;
    let nothing = Known::new();
    let known = |started: i64| Known::from([(ReplicaName::from_label("web-1"), Some(at(started)))]);
    let check = |known: &Known, replica: ObservedReplica, expected: &[(i64, i64)]| {
        assert_eq!(runs(known, &replica), expected, "{replica:?}");
    };
    // Started in between, and long before.
    check(&nothing, replica(running, Some(-20), None), &[(-20, 0)]);
    check(&nothing, replica(running, Some(-900), None), &[(-60, 0)]);
    check(
        &known(-900),
        replica(running, Some(-900), None),
        &[(-60, 0)],
    );
    // Ended in between, and long before.
    check(
        &known(-900),
        replica(EXITED, Some(-900), Some(-15)),
        &[(-60, -15)],
    );
    check(
        &nothing,
        replica(EXITED, Some(-40), Some(-15)),
        &[(-40, -15)],
    );
    check(&nothing, replica(EXITED, Some(-900), Some(-300)), &[]);
    // Crashed, and started again by the engine.
    check(
        &known(-900),
        replica(running, Some(-10), Some(-30)),
        &[(-60, -30), (-10, 0)],
    );
    let restarting = ReplicaState::Restarting {
        exit_code: 1,
        out_of_memory: false,
    };
    check(
        &known(-900),
        replica(restarting, Some(-900), Some(-30)),
        &[(-60, -30)],
    );
    // Never started.
    check(&nothing, replica(ReplicaState::Created, None, None), &[]);
}

#[test]
fn a_clock_that_is_set_changes_nothing_for_what_is_known() {
    let name = ReplicaName::from_label("web-1");
    // The wall clock went back by a day since the start.
    let started = 86_400;
    let known = Known::from([(name.clone(), Some(at(started)))]);
    let running = replica(ReplicaState::Running, Some(started), None);
    assert_eq!(runs(&known, &running), [(-60, 0)]);
    // It went on by a day.
    let known = Known::from([(name, Some(at(-86_400)))]);
    let running = replica(ReplicaState::Running, Some(-86_400), None);
    assert_eq!(runs(&known, &running), [(-60, 0)]);
}

#[test]
fn time_between_looks_is_that_of_the_clock_that_is_never_set() {
    let mark = |boot: &str, elapsed, wall| Mark {
        uptime: Uptime {
            boot: boot.into(),
            elapsed: Duration::from_secs(elapsed),
        },
        at: at(wall),
    };
    let before = mark("a", 1000, 0);
    assert_eq!(mark("a", 1060, 90_000).since(&before).as_secs(), 60);
    assert_eq!(mark("a", 1060, -90_000).since(&before).as_secs(), 60);
    assert_eq!(mark("b", 30, 500).since(&before).as_secs(), 30);
    assert_eq!(mark("b", 900, 500).since(&before).as_secs(), 500);
    assert_eq!(mark("b", 900, -500).since(&before).as_secs(), 0);
}

proptest! {
    /// However a stretch is cut, its hours have all of its milliseconds, each in its own hour.
    #[test]
    fn hours_have_all_of_a_span(begin in -10_000_000_i64..10_000_000, length in 0..30_000_000_i64) {
        let span = Span { from_millis: begin, to_millis: begin + length };
        let mut at = begin;
        for (hour, millis) in span.hours() {
            prop_assert_eq!(Hour::of(Timestamp::from_nanos(at * 1_000_000)), hour);
            at += i64::try_from(millis).expect("it fits");
            prop_assert!(Timestamp::from_nanos(at * 1_000_000) <= hour.next().begin());
        }
        prop_assert_eq!(at, begin + length);
    }
}

#[test]
fn usage_is_added_up_by_project_and_hour() {
    let mut usages = Usages::default();
    let load = Load {
        cpu_milli: 500,
        ram_milli: 250,
    };
    for _ in 0..2 {
        let span = Span::ago(at(10), Duration::from_secs(30), Duration::ZERO);
        usages.add(project(), workspace(), span, |millis| {
            Metered::of(load, millis)
        });
    }
    let all: Vec<_> = usages.iter().collect();
    let [(_, first, ..), (_, second, _, metered)] = all[..] else {
        panic!("two hours: {all:?}");
    };
    assert_eq!(first.next(), second);
    assert_eq!(metered.cpu, 2 * 10_000 * 500);
    assert_eq!(metered.ram, 2 * 10_000 * 250);
}

#[test]
fn months_are_those_of_the_calendar() {
    let check = |time: &str, month: &str| {
        let hour = Hour::of(time.parse().expect("a time"));
        let found = hour.month();
        assert_eq!(found.to_string(), month, "{time}");
        assert_eq!(Month::from_number(found.number()), Some(found));
        assert_eq!(month.parse(), Ok(found));
        let (first, end) = found.hours();
        assert!(first <= hour && hour < end, "{time}");
        assert_ne!(Hour(first.0 - 1).month(), found);
        assert_ne!(end.month(), found);
    };
    check("1970-01-01T00:00:00Z", "1970-01");
    check("2024-02-29T23:59:59Z", "2024-02");
    check("2024-03-01T00:00:00Z", "2024-03");
    check("2025-12-31T23:00:00Z", "2025-12");
    check("2026-01-01T00:00:00Z", "2026-01");
    for text in [
        "", "2026", "2026-13", "2026-00", "26-01", "2026-1", "-026-01",
    ] {
        assert_eq!(text.parse::<Month>(), Err(InvalidMonth), "{text}");
    }
}
