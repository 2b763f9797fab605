//! `tose explain`.

use insta::assert_snapshot;
use tose_api::analysis::{AnalysisView, LogAnalysisView};

use crate::harness::Sandbox;
use crate::stand_in::{StandIn, success};
use crate::views::{DEPLOYMENT_ID, analysis};

fn answer(is_of_deployment: bool, answer: Option<&str>) -> LogAnalysisView {
    let AnalysisView { summary, causes } = analysis();
    LogAnalysisView {
        summary,
        causes,
        deployment: is_of_deployment.then(|| DEPLOYMENT_ID.parse().expect("an id")),
        model: answer.map(|_| "small-1".to_owned()),
        answer: answer.map(str::to_owned),
    }
}

#[test]
fn causes_are_shown_with_their_evidence_and_what_to_do() {
    let server = StandIn::start(|_, _, _| success(answer(true, None)));
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["explain"]), @"
    exit: 0
    ----- stdout -----
    The package `express` is not installed; add it to package.json.

    The package `express` is not installed (95 %)
      | Error: Cannot find module 'express'
      what to do: Add it to package.json.

    ----- stderr -----
    deployment 0198c0de-0000-7000-8000-000000000001
    ");
    sandbox
        .run(&["explain", "--deployment", DEPLOYMENT_ID])
        .ok();
    assert_snapshot!(server.transcript(), @r#"
    POST /api/workspaces/demo/projects/hello/logs/analyze {}
    POST /api/workspaces/demo/projects/hello/logs/analyze {"deployment":"0198c0de-0000-7000-8000-000000000001"}
    "#);
    assert_snapshot!(sandbox.run(&["explain", "--json"]), @r#"
    exit: 0
    ----- stdout -----
    {
      "summary": "The package `express` is not installed; add it to package.json.",
      "causes": [
        {
          "title": "The package `express` is not installed",
          "confidence": 95,
          "evidence": [
            "Error: Cannot find module 'express'"
          ],
          "fix": "Add it to package.json."
        }
      ],
      "deployment": "0198c0de-0000-7000-8000-000000000001",
      "model": null,
      "answer": null
    }

    ----- stderr -----
    "#);
}

#[test]
fn a_file_or_stdin_is_sent_and_a_models_answer_is_shown_as_such() {
    let server =
        StandIn::start(|_, _, _| success(answer(false, Some("Install it:\nnpm i express"))));
    let sandbox = Sandbox::linked(&server);
    let text = "Error: Cannot find module 'express'\n";
    std::fs::write(sandbox.file("crash.log"), text).expect("a file");
    assert_snapshot!(sandbox.run(&["explain", "crash.log"]), @"
    exit: 0
    ----- stdout -----
    The package `express` is not installed; add it to package.json.

    The package `express` is not installed (95 %)
      | Error: Cannot find module 'express'
      what to do: Add it to package.json.

    small-1 says (nobody has checked it):
      Install it:
      npm i express

    ----- stderr -----
    ");
    sandbox.run_with_input(&["explain", "-"], "so long").ok();
    let bodies: Vec<_> = server.requests().into_iter().map(|one| one.body).collect();
    assert_eq!(
        bodies,
        [
            r#"{"logs":"Error: Cannot find module 'express'\n"}"#,
            r#"{"logs":"so long"}"#
        ]
    );
    let missing = sandbox.run(&["explain", "nowhere.log"]);
    assert_eq!(missing.code, Some(1), "{missing}");
    let both = sandbox.run(&["explain", "--deployment", DEPLOYMENT_ID, "crash.log"]);
    assert_eq!(both.code, Some(2), "{both}");
}
