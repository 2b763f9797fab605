//! Deno.

use super::dockerfile::Dockerfile;
use super::start::{self, Start};
use super::tree::Tree;
use super::{Draft, Inputs};
use crate::error::Result;

const MANIFESTS: [&str; 2] = ["deno.json", "deno.jsonc"];
/// Programs that people start by hand when nothing names one.
const PROGRAMS: [&str; 6] = [
    "main.ts",
    "server.ts",
    "mod.ts",
    "main.tsx",
    "src/main.ts",
    "main.js",
];

pub(super) fn detect(tree: &Tree) -> Option<&'static str> {
    let found = tree.first_of(&MANIFESTS).is_some() || tree.has("deno.lock");
    found.then_some("it has a deno.json or deno.lock")
}

pub(super) fn write(inputs: &Inputs<'_>) -> Result<Draft> {
    let tree = inputs.tree;
    let program = tree.first_of(&PROGRAMS);
    let has_task = MANIFESTS
        .iter()
        .any(|file| tree.text(file).contains("\"start\""));
    let start = match (start::stated(inputs)?, program) {
        (Some(start), _) => start,
        (None, _) if has_task => Start::program(&["deno", "task", "start"]),
        (None, Some(program)) => Start::program(&[
            "deno",
            "run",
            "--allow-net",
            "--allow-env",
            "--allow-read",
            program,
        ]),
        (None, None) => {
            return Err(start::unknown(
                "deno.json has no task `start` and there is no main.ts",
            ));
        }
    };
    let mut out = Dockerfile::default();
    out.from(&inputs.images.deno);
    out.line("ENV DENO_DIR=/deno-dir DENO_NO_UPDATE_CHECK=1");
    out.app_folder();
    out.copy_all_owned();
    match (inputs.wishes.install()?, program) {
        (Some(command), _) => out.run(&command),
        (None, Some(program)) => out.run(&format!("deno cache {program}")),
        (None, None) => {}
    }
    if let Some(command) = inputs.wishes.build()? {
        out.build(&command, inputs.variables);
    }
    out.line("RUN mkdir -p /deno-dir && chown -R 1000:1000 /deno-dir");
    out.app_user();
    out.line("ENTRYPOINT []");
    out.start(&start);
    Ok(Draft {
        dockerfile: out,
        ignore: vec!["node_modules"],
        notes: Vec::new(),
    })
}
