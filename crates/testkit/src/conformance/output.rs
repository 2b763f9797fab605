//! What replicas print.

use futures_util::{FutureExt, StreamExt};
use tose_api::Timestamp;
use tose_api::log::LogSource;
use tose_model::driver::ReplicaState;
use tose_model::log::LogLine;

use super::lab::{terminate, texts};
use super::{Case, Lab, case};
use crate::program::{Act, Program};

/// The most text that comes as one line.
const MAX_LINE_BYTES: usize = 1 << 20;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case("lines come in order, with names and growing times", |lab| {
            order(lab).boxed()
        }),
        case("both streams are told apart", |lab| sources(lab).boxed()),
        case("reading from a time on loses and doubles nothing", |lab| {
            since(lab).boxed()
        }),
        case("a stream follows until the replica ends", |lab| {
            follows(lab).boxed()
        }),
        case("a silent replica can be followed", |lab| {
            follows_silence(lab).boxed()
        }),
        case(
            "long lines are whole, very long ones come in parts",
            |lab| long(lab).boxed(),
        ),
        case("a line that nothing ended is a line", |lab| {
            unfinished(lab).boxed()
        }),
        case("an empty line is a line", |lab| empty(lab).boxed()),
    ]
}

fn times(lines: &[LogLine]) -> Vec<Timestamp> {
    lines.iter().map(|line| line.time).collect()
}

async fn order(lab: &Lab) {
    let app = lab.app("web").await;
    let spec = lab
        .start(
            &app,
            Program::new([Act::Count { lines: 500 }, Act::Exit { code: 0 }]),
        )
        .await;
    lab.wait_exited(&spec.name).await;
    let lines = lab.output(&spec.name, None).await;
    assert_eq!(
        texts(&lines),
        (0..500)
            .map(|number| format!("line {number}"))
            .collect::<Vec<_>>()
    );
    assert!(times(&lines).is_sorted());
    assert!(lines.iter().all(|line| *line.pod == *spec.name.as_str()));
    assert!(lines.iter().all(|line| line.source == LogSource::Stdout));
}

async fn sources(lab: &Lab) {
    let app = lab.app("web").await;
    let acts = [
        Act::print("fine"),
        Act::print_err("careful"),
        Act::Exit { code: 0 },
    ];
    let spec = lab.start(&app, Program::new(acts)).await;
    lab.wait_exited(&spec.name).await;
    let lines = lab.output(&spec.name, None).await;
    let of = |source| {
        lines
            .iter()
            .filter(move |line| line.source == source)
            .cloned()
    };
    assert_eq!(texts(&of(LogSource::Stdout).collect::<Vec<_>>()), ["fine"]);
    assert_eq!(
        texts(&of(LogSource::Stderr).collect::<Vec<_>>()),
        ["careful"]
    );
}

async fn since(lab: &Lab) {
    let app = lab.app("web").await;
    let spec = lab
        .start(&app, Program::new([Act::Count { lines: 300 }]))
        .await;
    let is_last = |line: &LogLine| line.text == b"line 299";
    let all = lab.output_until(&spec.name, None, is_last).await;
    for at in [0, 1, 150, 298, 299] {
        let from = all[at].time;
        let expected: Vec<_> = all
            .iter()
            .filter(|line| line.time >= from)
            .cloned()
            .collect();
        let lines = lab.output_until(&spec.name, Some(from), is_last).await;
        assert_eq!(texts(&lines), texts(&expected), "from line {at} on");
        assert_eq!(times(&lines), times(&expected), "from line {at} on");
    }

    lab.apply(&terminate(&spec.name)).await;
    lab.wait_exited(&spec.name).await;
    let after = Timestamp::from_nanos(all[299].time.as_nanos() + 1);
    assert_eq!(lab.output(&spec.name, Some(after)).await, []);
}

async fn follows(lab: &Lab) {
    let app = lab.app("web").await;
    let spec = lab.start(&app, Program::new([Act::print("ready")])).await;
    let mut stream = lab.driver.logs(&spec.name, None).await.expect("logs");
    let first = stream.next().await.expect("a line").expect("no error");
    assert_eq!(texts(&[first]), ["ready"]);
    lab.apply(&terminate(&spec.name)).await;
    assert!(
        stream.next().await.is_none(),
        "the stream ends with the replica"
    );
}

async fn follows_silence(lab: &Lab) {
    let app = lab.app("web").await;
    let spec = lab.start(&app, Program::new([])).await;
    lab.wait_running(&spec.name).await;
    let mut stream = lab.driver.logs(&spec.name, None).await.expect("logs");
    let (end, ()) = tokio::join!(stream.next(), async {
        lab.apply(&terminate(&spec.name)).await;
    });
    assert!(end.is_none(), "the stream ends with the replica");
}

async fn long(lab: &Lab) {
    let app = lab.app("web").await;
    let lengths = [16 << 10, (16 << 10) + 1, 40_000, MAX_LINE_BYTES + 5];
    let acts = lengths.iter().map(|bytes| Act::Fill { bytes: *bytes });
    let spec = lab
        .start(
            &app,
            Program::new(acts.chain([Act::print("end"), Act::Exit { code: 0 }])),
        )
        .await;
    lab.wait_exited(&spec.name).await;
    let lines = lab.output(&spec.name, None).await;
    let found: Vec<_> = lines.iter().map(|line| line.text.len()).collect();
    assert_eq!(
        found,
        [16 << 10, (16 << 10) + 1, 40_000, MAX_LINE_BYTES, 5, 3]
    );
    assert_eq!(
        lines[3].time, lines[4].time,
        "parts of one line have one time"
    );
}

async fn unfinished(lab: &Lab) {
    let app = lab.app("web").await;
    let half = Act::Write {
        text: "half".to_owned(),
    };
    let acts = [
        half.clone(),
        Act::Crash { times: 1, code: 3 },
        Act::print("whole"),
        half,
        Act::Exit { code: 0 },
    ];
    let spec = lab.start(&app, Program::new(acts)).await;
    let is_over = |state| matches!(state, ReplicaState::Exited { exit_code: 0, .. });
    lab.wait(&spec.name, "ended after a crash", |replica| {
        is_over(replica.state)
    })
    .await;
    assert_eq!(
        texts(&lab.output(&spec.name, None).await),
        ["half", "halfwhole", "half"]
    );
}

async fn empty(lab: &Lab) {
    let app = lab.app("web").await;
    let acts = [
        Act::print(""),
        Act::print("text"),
        Act::print(""),
        Act::Exit { code: 0 },
    ];
    let spec = lab.start(&app, Program::new(acts)).await;
    lab.wait_exited(&spec.name).await;
    assert_eq!(texts(&lab.output(&spec.name, None).await), ["", "text", ""]);
}
