//! `tose metrics`.

use std::process::Stdio;

use insta::assert_snapshot;
use tose_api::metrics::{MetricsPoint, MetricsView};

use crate::harness::{Outcome, Sandbox};
use crate::stand_in::{StandIn, success};
use crate::terminal::{read_until, resize, terminal};
use crate::views::time;

const STEP: i64 = 60;

/// An hour in which load rises and falls, with ten minutes in the middle in which nothing was measured.
fn hour() -> MetricsView {
    let point = |minute: u64| {
        let load = minute % 20 * 50;
        let is_served = load > 0;
        MetricsPoint {
            time: time(minute as i64 * STEP * 1_000),
            cpu_milli: load + 5,
            memory_bytes: (64 + minute) << 20,
            network_received_bytes: load * 1_024 * 60,
            network_sent_bytes: load * 10_240 * 60,
            replicas: 2,
            requests: load * 6,
            requests_per_second_milli: load * 100,
            errors_5xx: u64::from(minute == 59) * 3,
            p50_us: is_served.then_some(850 + load),
            p90_us: is_served.then_some(8_000 + load * 10),
            p95_us: is_served.then_some(9_000 + load * 20),
            p99_us: is_served.then_some(12_300 + load * 100),
            // Not known before it was measured for the first time.
            disk_bytes: (minute >= 5).then_some((3 + minute) << 20),
            restarts: u64::from(minute == 40) * 2,
        }
    };
    let minutes = (0..60).filter(|minute| !(25..35).contains(minute));
    MetricsView {
        start: time(0),
        end: time(60 * STEP * 1_000),
        step: 60,
        points: minutes.map(point).collect(),
    }
}

fn empty() -> MetricsView {
    MetricsView {
        points: Vec::new(),
        ..hour()
    }
}

fn server() -> StandIn {
    StandIn::start(|_, _, _| success(hour()))
}

/// What a terminal of a size gets, up to the line with the times.
fn drawn(sandbox: &Sandbox, arguments: &[&str], (cols, rows): (u16, u16)) -> String {
    let (mut person, program) = terminal();
    resize(&person, cols, rows);
    let mut command = sandbox.command(&[&["metrics"], arguments].concat());
    let child = command.stdout(Stdio::from(program)).spawn();
    let child = child.expect("the binary starts");
    let shown = read_until(&mut person, "└00:00");
    let shown = shown + &read_until(&mut person, "\n");
    sandbox.wait(child).ok();
    shown.replace("\r\n", "\n")
}

#[test]
fn what_is_no_terminal_gets_a_table() {
    let server = server();
    let shown = Sandbox::linked(&server).run(&["metrics"]).ok();
    let head: Vec<_> = shown.stdout.lines().take(4).collect();
    assert_eq!(shown.stdout.lines().count(), 51);
    assert_snapshot!(head.join("\n"), @"
    TIME                  CPU   MEMORY    RECEIVED    SENT        DISK      RESTARTS  REQUESTS  P50     P99      5XX
    2026-01-01T00:00:00Z  5m    64.0 MiB  0 B/s       0 B/s       -         0         0/s       -       -        0
    2026-01-01T00:01:00Z  55m   65.0 MiB  50.0 KiB/s  500 KiB/s   -         0         5.0/s     900 µs  17.3 ms  0
    2026-01-01T00:02:00Z  105m  66.0 MiB  100 KiB/s   1000 KiB/s  -         0         10.0/s    950 µs  22.3 ms  0
    ");
    let some = ["metrics", "--only", "p99,cpu", "--database", "orders"];
    let shown = Sandbox::linked(&server).run(&some).ok();
    assert_eq!(
        shown.stdout.lines().next(),
        Some("TIME                  CPU")
    );
    assert_snapshot!(server.transcript(), @"
    GET /api/workspaces/demo/projects/hello/metrics
    GET /api/workspaces/demo/databases/orders/metrics
    ");
}

#[test]
fn the_disk_restarts_and_more_percentiles_are_shown() {
    let server = server();
    let arguments = ["metrics", "--only", "disk,restarts,p90,p95"];
    let shown = Sandbox::linked(&server).run(&arguments).ok();
    let row = |begin: &str| shown.stdout.lines().find(|line| line.starts_with(begin));
    let rows = [
        "TIME",
        "2026-01-01T00:04",
        "2026-01-01T00:05",
        "2026-01-01T00:40",
    ];
    let rows: Vec<_> = rows
        .into_iter()
        .map(row)
        .map(Option::unwrap_or_default)
        .collect();
    assert_snapshot!(rows.join("\n"), @"
    TIME                  DISK      RESTARTS  P90      P95
    2026-01-01T00:04:00Z  -         0         10.0 ms  13.0 ms
    2026-01-01T00:05:00Z  8.0 MiB   0         10.5 ms  14.0 ms
    2026-01-01T00:40:00Z  43.0 MiB  2         -        -
    ");
    let of_database = ["metrics", "--database", "orders", "--json"];
    let shown = Sandbox::linked(&server).run(&of_database).ok();
    let shown: MetricsView = serde_json::from_str(&shown.stdout).expect("metrics");
    assert_eq!(shown.points[5].disk_bytes, Some(8 << 20));
    let text = ["metrics", "--database", "orders"];
    let shown = Sandbox::linked(&server).run(&text).ok();
    let heading = shown.stdout.lines().next().expect("a heading");
    assert!(heading.ends_with("DISK      RESTARTS"), "{heading}");
}

#[test]
fn the_time_and_the_step_are_asked_for() {
    let server = server();
    let since = ["--since", "2026-01-01T00:00:00Z"];
    let until = ["--until", "2026-01-01T01:00:00Z", "--step", "1m"];
    let arguments = [&["metrics", "--json"], &since[..], &until].concat();
    let shown = Sandbox::linked(&server).run(&arguments).ok();
    let shown: MetricsView = serde_json::from_str(&shown.stdout).expect("metrics");
    assert_eq!(shown, hour());
    assert_snapshot!(server.transcript(), @"GET /api/workspaces/demo/projects/hello/metrics?start=2026-01-01T00%3A00%3A00Z&end=2026-01-01T01%3A00%3A00Z&step=60");
}

#[test]
fn a_terminal_gets_plots_as_wide_as_it_is() {
    let server = server();
    let sandbox = Sandbox::linked(&server);
    let shown = drawn(&sandbox, &["--no-color"], (80, 24));
    assert_snapshot!(shown);
    for cols in [40, 80, 120] {
        let shown = drawn(&sandbox, &["--no-color", "--only", "cpu"], (cols, 24));
        let plots = shown.lines().filter(|line| line.contains('┤'));
        let widest = plots.map(|line| line.chars().count()).max();
        assert_eq!(widest, Some(usize::from(cols) - 1), "{shown}");
    }
}

#[test]
fn one_plot_has_the_height_of_many() {
    let server = server();
    let sandbox = Sandbox::linked(&server);
    let arguments = ["--no-color", "--only", "cpu"];
    assert_snapshot!(drawn(&sandbox, &arguments, (80, 24)));
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    let server = server();
    let shown = drawn(&Sandbox::linked(&server), &["--only", "5xx"], (80, 24));
    assert!(shown.contains("┤\x1b[31m"), "{shown}");
    let plain = Sandbox::linked(&server).variable("NO_COLOR", "1");
    let shown = drawn(&plain, &["--only", "5xx"], (80, 24));
    assert!(shown.contains('┤') && !shown.contains('\x1b'), "{shown}");
}

#[test]
fn a_dumb_terminal_gets_a_table() {
    let server = server();
    let sandbox = Sandbox::linked(&server).variable("TERM", "dumb");
    let (mut person, program) = terminal();
    let mut command = sandbox.command(&["metrics", "--only", "cpu"]);
    let child = command.stdout(Stdio::from(program)).spawn();
    let shown = read_until(&mut person, "2026-01-01T00:59:00Z  955m");
    sandbox.wait(child.expect("the binary starts")).ok();
    assert!(shown.is_ascii() && !shown.contains('\x1b'), "{shown}");
}

#[test]
fn a_time_without_measurements_is_told() {
    let server = StandIn::start(|_, _, _| success(empty()));
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["metrics"]), @"
    exit: 0
    ----- stdout -----
    TIME  CPU  MEMORY  RECEIVED  SENT  DISK  RESTARTS  REQUESTS  P50  P99  5XX

    ----- stderr -----
    nothing was measured of demo/hello in this time
    ");
    let shown = drawn(&sandbox, &["--no-color", "--only", "cpu"], (80, 24));
    assert_snapshot!(shown);
}

#[test]
fn watching_shows_it_again_in_the_same_place() {
    let server = server();
    let sandbox = Sandbox::linked(&server);
    let (mut person, program) = terminal();
    let mut command = sandbox.command(&["metrics", "--watch=1s", "--only", "cpu"]);
    let child = command.stdout(Stdio::from(program)).spawn();
    let mut child = child.expect("the binary starts");
    for _ in 0..2 {
        let frame = read_until(&mut person, "└00:00");
        assert!(frame.contains("\x1b[H\x1b[2J"), "{frame}");
        read_until(&mut person, "\n");
    }
    child.kill().expect("it runs until it is ended");
    child.wait().expect("an end");
    assert!(server.requests().len() >= 2);
}

#[test]
fn what_cannot_be_shown_is_told_before_anything_is_asked() {
    let server = StandIn::unused();
    let run = |arguments: &[&str]| -> Outcome {
        Sandbox::linked(&server).run(&[&["metrics"], arguments].concat())
    };
    assert_snapshot!(run(&["--watch"]), @"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error: --watch needs a terminal: leave it out for a table, or for --json
    ");
    assert_snapshot!(run(&["--only", "gpu"]), @"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error: invalid value 'gpu' for '--only <METRIC>'
      [possible values: cpu, memory, received, sent, disk, restarts, requests, p50, p90, p95, p99, 5xx]

      tip: a similar value exists: 'cpu'

    For more information, try '--help'.
    ");
    assert_snapshot!(run(&["--database", "orders", "--only", "p99"]), @"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error: a database has cpu, memory, received, sent, disk and restarts: name some of them
    ");
    assert_snapshot!(run(&["--step", "10"]), @"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error: invalid value '10' for '--step <DURATION>': a duration is 30s, 10m, 2h or 1d

    For more information, try '--help'.
    ");
    assert!(server.requests().is_empty());
}
