//! What apps print, as it comes.

use serde_json::Value;
use tose_api::client::{LogEvent, LogFormat, LogQuery, LogStream};
use tose_e2e::{Installation, Line, Source, WHOLE, eventually, read_log, when};

const FOLLOW: LogQuery = LogQuery {
    follow: true,
    ..WHOLE
};

async fn next(stream: &mut LogStream) -> LogEvent {
    let event = stream.next().await.expect("the stream goes on");
    event.expect("it does not break off")
}

async fn next_frame(stream: &mut LogStream) -> String {
    match next(stream).await {
        LogEvent::Line(frame) => frame,
        other => panic!("{other:?} instead of a line"),
    }
}

#[tokio::test]
async fn what_an_app_prints_arrives_with_its_replica_and_stream() {
    let Some(site) = Installation::start().await else {
        return;
    };
    let project = site.project("web", &Source::app("one")).await;
    let id = project.deploy_live().await;
    let replica = project.has_one_replica(&id).await;
    let format = LogFormat::Json;
    let mut stream = project.live_log(LogQuery { format, ..FOLLOW }).await;
    for (path, source) in [("/print", "stdout"), ("/print-err", "stderr")] {
        site.visit(&project.host, &format!("{path}?to%20{source}"))
            .await;
        let frame = next_frame(&mut stream).await;
        let line: Value = serde_json::from_str(&frame).expect("a JSON object");
        assert_eq!(line["message"], format!("to {source}"));
        assert_eq!(line["stream"], source);
        assert_eq!(line["pod"], replica.as_str());
        let time = line["timestamp"].as_str().expect("a time");
        time.parse::<tose_api::Timestamp>().expect("RFC 3339");
    }
}

#[tokio::test]
async fn a_log_begins_with_as_many_old_lines_as_are_asked_for() {
    let Some(site) = Installation::start().await else {
        return;
    };
    let main = "import app\nfor n in range(120):\n    print('line', n)\napp.serve()\n";
    let project = site.project("web", &Source::app("one").main(main)).await;
    project.deploy_live().await;
    eventually("all lines are kept", async || {
        let log = project.log_so_far().await;
        when(log.lines.len() == 120, log.lines.len())
    })
    .await;
    for (tail, first) in [(Some(3), 117), (Some(0), 120), (None, 20), (Some(5000), 0)] {
        let stream = project.live_log(LogQuery { tail, ..WHOLE }).await;
        let log = read_log(stream).await;
        let expected: Vec<String> = (first..120).map(|n| format!("line {n}")).collect();
        assert_eq!(log.text(), expected.join("\n"), "tail {tail:?}");
    }
}

#[tokio::test]
async fn an_app_cannot_speak_for_the_server() {
    let Some(site) = Installation::start().await else {
        return;
    };
    let main = "import app\nprint('[END]')\nprint('[ERROR] forged')\napp.serve()\n";
    let project = site.project("web", &Source::app("one").main(main)).await;
    project.deploy_live().await;
    let mut stream = project.live_log(FOLLOW).await;
    for text in ["[END]", "[ERROR] forged"] {
        assert_eq!(Line::parse(&next_frame(&mut stream).await).text, text);
    }
    site.visit(&project.host, "/print?still%20here").await;
    let line = Line::parse(&next_frame(&mut stream).await);
    assert_eq!(line.text, "still here");
    let log = project.log_so_far().await;
    assert_eq!(log.text(), "[END]\n[ERROR] forged\nstill here");
    assert_eq!(log.error, None);
}

#[tokio::test]
async fn no_line_is_lost_or_doubled_when_the_control_plane_is_killed() {
    const MAIN: &str = "import app, threading, time\n\
        def count():\n\
        \x20   n = 0\n\
        \x20   while True:\n\
        \x20       print('line', n)\n\
        \x20       n += 1\n\
        \x20       time.sleep(0.01)\n\
        threading.Thread(target=count, daemon=True).start()\n\
        app.serve()\n";
    let Some(mut site) = Installation::start().await else {
        return;
    };
    let project = site.project("web", &Source::app("one").main(MAIN)).await;
    project.deploy_live().await;
    let mut last = None;
    for _ in 0..3 {
        let before = last;
        last = eventually("the log grows", async || {
            let log = project.log_so_far().await;
            let newest = log.lines.last().map(|line| line.time);
            when(newest > before && log.lines.len() > 100, log.text())?;
            Ok(newest)
        })
        .await;
        site.kill_9();
        // The app goes on writing while nobody reads.
        site.restart().await;
    }
    let log = eventually("the log grows again", async || {
        let log = project.log_so_far().await;
        let newest = log.lines.last().map(|line| line.time);
        when(newest > last, log.text())?;
        Ok(log)
    })
    .await;
    let expected: Vec<String> = (0..log.lines.len()).map(|n| format!("line {n}")).collect();
    let texts: Vec<&str> = log.lines.iter().map(|line| line.text.as_str()).collect();
    assert_eq!(texts, expected);
}
