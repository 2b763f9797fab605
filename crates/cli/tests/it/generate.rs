//! `tose generate`.

use std::fs;

use insta::assert_snapshot;

use crate::harness::Sandbox;

fn with_app() -> Sandbox {
    let sandbox = Sandbox::new();
    let package = r#"{"scripts": {"build": "make", "start": "node server.js"}}"#;
    fs::write(sandbox.file("package.json"), package).expect("a file");
    fs::write(sandbox.file("package-lock.json"), "{}").expect("a file");
    sandbox
}

#[test]
fn the_recipes_dockerfile_is_printed() {
    let sandbox = with_app();
    assert_snapshot!(sandbox.run(&["generate", "--print", "--variable", "API_URL"]));
    assert!(!sandbox.file("Dockerfile").exists());
}

#[test]
fn it_is_saved_once_and_again_only_by_force() {
    let sandbox = with_app();
    assert_snapshot!(sandbox.run(&["generate"]));
    let saved = fs::read_to_string(sandbox.file("Dockerfile")).expect("a Dockerfile");
    assert!(saved.ends_with("CMD [\"/bin/sh\",\"-c\",\"exec node server.js\"]\n"));
    let ignored = fs::read_to_string(sandbox.file(".dockerignore")).expect("a file");
    assert!(ignored.starts_with("node_modules\n"));

    fs::write(sandbox.file("Dockerfile"), "mine").expect("a file");
    fs::write(sandbox.file(".dockerignore"), "mine").expect("a file");
    assert_snapshot!(sandbox.run(&["generate"]));
    sandbox.run(&["generate", "--force"]).ok();
    assert_eq!(
        fs::read_to_string(sandbox.file("Dockerfile")).expect("there"),
        saved
    );
    assert_eq!(
        fs::read_to_string(sandbox.file(".dockerignore")).expect("there"),
        "mine"
    );
}

#[test]
fn a_folder_may_be_named_and_what_git_ignores_is_not_seen() {
    let sandbox = with_app();
    fs::create_dir(sandbox.file("site")).expect("a folder");
    fs::write(sandbox.file("site/index.html"), "").expect("a file");
    fs::write(sandbox.file("site/go.mod"), "").expect("a file");
    fs::write(sandbox.file("site/.gitignore"), "go.mod\n").expect("a file");
    let printed = sandbox.run(&["generate", "site", "--print", "--json"]).ok();
    let printed: serde_json::Value = serde_json::from_str(&printed.stdout).expect("JSON");
    assert_eq!(printed["recipe"], "static");
}

#[test]
fn what_fits_no_recipe_is_refused() {
    let sandbox = Sandbox::new();
    assert_snapshot!(sandbox.run(&["generate"]));
    fs::write(
        sandbox.file("tose.json"),
        r#"{"build": {"recipy": "node"}}"#,
    )
    .expect("a file");
    assert_snapshot!(sandbox.run(&["generate"]));
}
