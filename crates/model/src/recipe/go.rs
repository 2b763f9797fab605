//! Go: one program, built without cgo where it can be.

use super::dockerfile::{Dockerfile, Word};
use super::start::{self, Start};
use super::tree::Tree;
use super::version::Choice;
use super::{Draft, Inputs};
use crate::error::{Error, Result};

/// Modules that are nothing without cgo.
const NEEDS_C: [&str; 2] = [
    "github.com/mattn/go-sqlite3",
    "github.com/confluentinc/confluent-kafka-go",
];

pub(super) fn detect(tree: &Tree) -> Option<&'static str> {
    tree.has("go.mod").then_some("it has a go.mod")
}

pub(super) fn write(inputs: &Inputs<'_>) -> Result<Draft> {
    let tree = inputs.tree;
    let module = tree.text("go.mod");
    let mut out = Dockerfile::default();
    out.stage(&image(inputs, module), "build");
    out.line("WORKDIR /src");
    if NEEDS_C.iter().any(|name| module.contains(name)) {
        out.line("ENV CGO_ENABLED=1");
    } else {
        out.line("ENV CGO_ENABLED=0");
    }
    // With folders that stand in for modules, `go mod download` needs the whole source.
    if tree.has("go.sum")
        && !module.contains("=> ./")
        && !module.contains("=> ../")
        && !tree.has("go.work")
    {
        out.copy(&["go.mod", "go.sum"]);
        out.line("RUN go mod download");
    }
    out.line("COPY . .");
    match inputs.wishes.build()? {
        Some(command) => out.build(&command, inputs.variables),
        None => {
            let package = main_package(tree)?;
            out.run_with(
                "go build -trimpath -ldflags='-s -w' -o /out/app ./",
                &package,
                "",
            );
        }
    }
    out.from(&inputs.images.debian);
    out.app_folder();
    out.line("COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/");
    // Templates and other files that the program opens.
    out.copy_all_owned();
    out.line("COPY --from=build /out/ /usr/local/bin/");
    out.app_user();
    out.start(&start::stated(inputs)?.unwrap_or_else(|| Start::program(&["app"])));
    Ok(Draft {
        dockerfile: out,
        ignore: Vec::new(),
        notes: Vec::new(),
    })
}

fn image(inputs: &Inputs<'_>, module: &str) -> String {
    let line = module
        .lines()
        .find_map(|line| line.trim().strip_prefix("go "));
    let wanted = line.map(|version| format!(">={}", version.trim()));
    Choice::make(&inputs.images.go, wanted.as_deref(), 2).apply(&inputs.images.go)
}

/// The folder of the program: the root, or the one in `cmd`.
fn main_package(tree: &Tree) -> Result<Word> {
    let is_program = |name: &str| name.ends_with(".go") && !name.ends_with("_test.go");
    if tree.root_files().any(is_program) && (tree.has("main.go") || !tree.has_folder("cmd")) {
        return Ok(Word::parse(".").expect("it is a word"));
    }
    let names = tree.folders_in("cmd");
    let known = ["server", "web", "api", "app"];
    let name = match names.len() {
        1 => names.first().copied(),
        _ => known.into_iter().find(|name| names.contains(name)),
    };
    let folder = name.and_then(|name| Word::parse(&format!("cmd/{name}")));
    folder.ok_or_else(|| {
        Error::invalid(
            "it is not clear which Go program to build: there is neither a main.go at the root nor one folder in cmd; set build.build in tose.json, such as `go build -o /out/app ./cmd/NAME`",
        )
    })
}
