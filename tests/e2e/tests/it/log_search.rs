//! What was printed is found again, and a flood harms nobody.

use serde_json::Value;
use tose_e2e::{Installation, Project, Source, eventually, when};

async fn find(project: &Project, query: &str) -> Vec<Value> {
    let page = project.get(&format!("/logs?limit=5000&{query}")).await;
    page["lines"].as_array().expect("a list").clone()
}

fn message(line: &Value) -> &str {
    line["message"].as_str().expect("a text")
}

#[tokio::test]
async fn a_stack_trace_of_a_real_app_is_found_as_one() {
    const MAIN: &str = "import app, sys, traceback\n\
        print('{\"level\":\"warn\",\"msg\":\"slow query\",\"took\":731}', flush=True)\n\
        def fail():\n\
        \x20   raise ValueError('no such order')\n\
        try:\n\
        \x20   fail()\n\
        except ValueError:\n\
        \x20   traceback.print_exc()\n\
        app.serve()\n";
    let Some(mut site) = Installation::start().await else {
        return;
    };
    let project = site.project("web", &Source::app("one").main(MAIN)).await;
    project.deploy_live().await;
    let trace = eventually("the trace is stored", async || {
        let lines = find(&project, "source=stderr&direction=forward").await;
        let is_whole = lines
            .iter()
            .any(|line| message(line).starts_with("ValueError"));
        when(is_whole, format!("{lines:?}"))?;
        Ok(lines)
    })
    .await;
    assert!(message(&trace[0]).starts_with("Traceback"), "{trace:?}");
    for _ in 0..2 {
        let errors = find(&project, "level=error&direction=forward").await;
        assert_eq!(errors, trace);
        let slow = find(&project, "search=took:%3E700%20%22slow%20query%22").await;
        assert_eq!(slow.len(), 1, "{slow:?}");
        assert!(find(&project, "search=took:%3E800").await.is_empty());
        // The same from the disk.
        site.kill_9();
        site.restart().await;
    }
}

#[tokio::test]
async fn a_flood_is_capped_and_its_neighbours_lines_are_all_there() {
    const LOUD: &str = "import app, threading\n\
        def flood():\n\
        \x20   for n in range(40000):\n\
        \x20       print('flood', n, 'x' * 1000)\n\
        \x20   print('after the flood', flush=True)\n\
        threading.Thread(target=flood, daemon=True).start()\n\
        app.serve()\n";
    let settings = "[limits]\nlog_kb_per_second = 64\n";
    let Some(site) = Installation::start_with(settings).await else {
        return;
    };
    let calm = site.project("calm", &Source::app("calm")).await;
    calm.deploy_live().await;
    let loud = site.project("loud", &Source::app("loud").main(LOUD)).await;
    loud.deploy_live().await;
    for number in 0..20 {
        let path = format!("/print?calm%20{number}");
        site.visit(&calm.host, &path).await;
    }
    eventually("every line of the neighbour is stored", async || {
        let lines = find(&calm, "search=calm&direction=forward").await;
        let texts: Vec<_> = lines.iter().map(message).collect();
        let expected: Vec<_> = (0..20).map(|number| format!("calm {number}")).collect();
        when(texts == expected, format!("{texts:?}"))
    })
    .await;
    let notes = eventually("the platform tells what it left out", async || {
        let lines = find(&loud, "source=system&search=%22left%20out%22").await;
        when(!lines.is_empty(), format!("{lines:?}"))?;
        Ok(lines)
    })
    .await;
    assert!(
        message(&notes[0]).contains("more than 64 KiB a second"),
        "{notes:?}"
    );
    let stats = loud.get("/logs/stats").await;
    // 16 s of it at once, and a little for the time that it took.
    let bytes = stats["bytes"].as_u64().expect("a number");
    assert!(bytes < 8 << 20, "{stats}");
    // What is kept of the beginning has no gap.
    let kept = find(&loud, "search=flood&direction=forward").await;
    for (number, line) in kept.iter().take(500).enumerate() {
        assert!(
            message(line).starts_with(&format!("flood {number} ")),
            "{line}"
        );
    }
}
