//! Go: programs and builds.

use super::{BASE, CERTAIN, LIKELY, POSSIBLE, Pattern};

pub(super) const TABLE: &[Pattern] = &[
    Pattern {
        id: "go-nil",
        title: "The Go program used a nil pointer",
        texts: &[
            "panic: runtime error: invalid memory address or nil pointer dereference",
            "invalid memory address or nil pointer dereference",
        ],
        fix: "Look at the first line of the stack that is your own: a value is nil there, often since the error of the call before it was not looked at.",
        confidence: LIKELY,
        ..BASE
    },
    Pattern {
        id: "go-nil-map",
        title: "The Go program wrote to a map that was never made",
        texts: &["assignment to entry in nil map"],
        fix: "Make the map with make() before the shown line writes to it.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "go-index",
        title: "The Go program went past the end of a list of {length}",
        texts: &[
            "index out of range [{index}] with length {length#}",
            "slice bounds out of range [{index}] with {what} {length#}",
        ],
        fix: "Check the length before the shown line uses an index; os.Args and the result of strings.Split are often shorter than thought.",
        confidence: LIKELY,
        ..BASE
    },
    Pattern {
        id: "go-deadlock",
        title: "All goroutines wait and none can go on",
        texts: &["all goroutines are asleep - deadlock!"],
        fix: "Look at the shown places: a channel has no other side, or a WaitGroup counts one too many.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "go-map-race",
        title: "Two goroutines used one map at the same time",
        texts: &["fatal error: concurrent map {what*}"],
        fix: "Guard the map with a sync.Mutex, or use sync.Map.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "go-template-files",
        title: "The program finds no templates for {pattern}",
        texts: &[
            "pattern matches no files: `{pattern}`",
            "pattern matches no files: \"{pattern}\"",
        ],
        fix: "Copy the folder of templates into the image beside the program, or embed it with go:embed.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "go-cgo",
        title: "The program was built without cgo, and a package needs it",
        texts: &[
            "Binary was compiled with 'CGO_ENABLED=0', go-sqlite3 requires cgo to work",
            "build constraints exclude all Go files in {path}",
            "cgo: C compiler \"{compiler}\" not found",
        ],
        fix: "Build with CGO_ENABLED=1 and gcc in the image, or take a package in plain Go, such as modernc.org/sqlite.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "go-panic",
        title: "The Go program panicked: {what}",
        texts: &["panic: {what*}"],
        near: &["goroutine "],
        fix: "Look at the first line of the stack that is your own.",
        confidence: POSSIBLE,
        ..BASE
    },
    Pattern {
        id: "go-sum",
        title: "go.sum lacks an entry for {package|a module}",
        texts: &[
            "missing go.sum entry for module providing package {package}",
            "missing go.sum entry for go.mod file",
            "missing go.sum entry",
        ],
        fix: "Run `go mod tidy` and commit go.mod and go.sum.",
        confidence: CERTAIN,
        is_first: true,
        ..BASE
    },
    Pattern {
        id: "go-checksum",
        title: "A Go module is not what go.sum says",
        texts: &["SECURITY ERROR", "verifying {module}: checksum mismatch"],
        near: &["checksum mismatch", "go.sum"],
        fix: "Find out why: somebody moved a tag. Take another version, or remove its lines from go.sum and run `go mod tidy` if you trust it.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "go-missing-module",
        title: "go.mod lacks the module of {package}",
        texts: &[
            "no required module provides package {package}",
            "cannot find module providing package {package}",
            "package {package} is not in std",
            "package {package} is not in GOROOT",
        ],
        fix: "Run `go get {package}` and commit go.mod and go.sum; a package of your own begins with the name in the first line of go.mod.",
        confidence: CERTAIN,
        is_first: true,
        ..BASE
    },
    Pattern {
        id: "go-no-mod",
        title: "There is no go.mod where the build looks",
        texts: &[
            "go.mod file not found in current directory or any parent directory",
            "go: cannot find main module",
        ],
        fix: "Commit go.mod (made by `go mod init`), or set the project's folder to the one that has it.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "go-version",
        title: "The module wants Go {version}, and the image has an older one",
        texts: &[
            "requires go >= {version} (running go",
            "invalid go version '{version}'",
            "note: module requires Go {version}",
            "go: download go{version} for",
        ],
        fix: "Build with Go {version} or newer: change the image in the Dockerfile, or the line `go` in go.mod.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "go-mod-stale",
        title: "go.mod does not fit the source",
        texts: &["go: updates to go.mod needed", "inconsistent vendoring in"],
        fix: "Run `go mod tidy` (and `go mod vendor` if there is a folder vendor) and commit what it changes.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "go-no-files",
        title: "There is no Go program in {path}",
        texts: &[
            "no Go files in {path}",
            "stat {path}: directory not found",
            "package {path} is not a main package",
        ],
        fix: "Name the folder of the package main in the build command, such as ./cmd/server.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "go-build",
        title: "The Go source does not compile: {what}",
        texts: &["{file}.go:{line#}:{column#}: {what*}"],
        unless: &["[GIN", "warning", "level="],
        near: &[
            "# ",
            "go build",
            "go install",
            "syntax error",
            "undefined:",
            "declared and not used",
            "imported and not used",
        ],
        fix: "Correct {file}.go at line {line}; `go build ./...` shows the same at home.",
        confidence: POSSIBLE,
        is_first: true,
        ..BASE
    },
    Pattern {
        id: "go-compile",
        title: "The Go source does not compile: {name} is wrong in {file}.go",
        texts: &[
            "{file}.go:{line#}:{column#}: undefined: {name}",
            "{file}.go:{line#}:{column#}: declared and not used: {name}",
            "{file}.go:{line#}:{column#}: {name} imported and not used",
            "{file}.go:{line#}:{column#}: \"{name}\" imported and not used",
            "{file}.go:{line#}:{column#}: cannot use {name}",
            "{file}.go:{line#}:{column#}: syntax error: {name*}",
            "{file}.go:{line#}:{column#}: not enough arguments in call to {name}",
            "{file}.go:{line#}:{column#}: too many arguments in call to {name}",
        ],
        fix: "Correct {file}.go at line {line}; `go build ./...` shows the same at home.",
        confidence: CERTAIN,
        is_first: true,
        ..BASE
    },
];
