//! Rust: programs and builds.

use super::{BASE, CERTAIN, HINT, LIKELY, POSSIBLE, Pattern};

pub(super) const TABLE: &[Pattern] = &[
    Pattern {
        id: "rust-panic",
        title: "The Rust program panicked at {place}",
        texts: &["panicked at {place}", "panicked at '{what*}', {place}"],
        near: &["thread '", "thread \""],
        fix: "Look at {place} and the message below it: an unwrap() or expect() met an error, or an index was too large.",
        confidence: LIKELY,
        more: 1,
        ..BASE
    },
    Pattern {
        id: "rust-runtime",
        title: "Asynchronous code ran outside of Tokio's runtime",
        texts: &[
            "there is no reactor running, must be called from the context of a Tokio 1.x runtime",
            "Cannot start a runtime from within a runtime",
        ],
        fix: "Put #[tokio::main] on main, use one version of tokio, and do not block inside of asynchronous functions.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "rust-provider",
        title: "rustls does not know which cryptography to use",
        texts: &["Could not automatically determine the process-level CryptoProvider"],
        fix: "Call rustls::crypto::ring::default_provider().install_default() first in main, or enable one of the features ring and aws-lc-rs only.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "rust-compile",
        title: "The Rust source does not compile: {what}",
        texts: &["error[E{code#}]: {what*}"],
        fix: "Correct the place that is shown; `cargo check` shows the same at home.",
        confidence: LIKELY,
        is_first: true,
        more: 2,
        ..BASE
    },
    Pattern {
        id: "rust-error",
        title: "The Rust source does not compile: {what}",
        texts: &["error: {what*}"],
        near: &["--> src/", "--> crates/"],
        unless: &[
            "could not compile",
            "aborting due to",
            "linker",
            "linking with",
            "query macros",
        ],
        fix: "Correct the place that is shown; `cargo check` shows the same at home.",
        confidence: POSSIBLE,
        is_first: true,
        more: 1,
        ..BASE
    },
    Pattern {
        id: "rust-crate",
        title: "The crate {package} did not compile",
        texts: &["error: could not compile `{package}`"],
        fix: "Look at the first error above it.",
        confidence: HINT,
        ..BASE
    },
    Pattern {
        id: "rust-version",
        title: "A package wants a newer Rust than the image has",
        texts: &[
            "is not supported by the following package",
            "requires rustc {version} or newer",
            "feature `edition2024` is required",
            "lock file version {version} was found, but this version of Cargo does not understand this lock file",
            "lock file version `{version}` was found, but this version of Cargo does not understand this lock file",
            "this version of Cargo is older than the `2024` edition",
        ],
        fix: "Build with a newer Rust: set `rust-version` in Cargo.toml or the channel in rust-toolchain.toml, or the image in the Dockerfile.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "rust-lock",
        title: "Cargo.lock does not fit Cargo.toml",
        texts: &[
            "needs to be updated but --locked was passed",
            "because --locked was passed",
            "because --frozen was passed",
        ],
        fix: "Run `cargo check` and commit Cargo.lock.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "rust-openssl",
        title: "The crate openssl-sys finds no OpenSSL",
        texts: &[
            "Could not find directory of OpenSSL installation",
            "failed to run custom build command for `openssl-sys",
        ],
        fix: "Install libssl-dev and pkg-config in the image that builds, or use the feature rustls-tls of the crate that needs it.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "rust-system-library",
        title: "The library {library} for a crate is not in the image",
        texts: &[
            "The system library `{library}` required by crate",
            "cannot find -l{library}",
            "unable to find library -l{library}",
            "Package {library} was not found in the pkg-config search path",
        ],
        fix: "Install the development package of {library} (lib…-dev) in the image that builds.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "rust-linker",
        title: "There is no linker {linker} in the image",
        texts: &["linker `{linker}` not found"],
        fix: "Install build-essential (Debian) or build-base (Alpine) in the image that builds.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "rust-protoc",
        title: "The build needs the compiler of protocol buffers",
        texts: &["Could not find `protoc`"],
        fix: "Install protobuf-compiler in the image that builds.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "rust-sqlx",
        title: "sqlx checks its statements against a database that the build does not have",
        texts: &[
            "set `DATABASE_URL` to use query macros online",
            "`DATABASE_URL` must be set, or `cargo sqlx prepare` must have been run",
            "`SQLX_OFFLINE=true` but there is no cached data for this query",
        ],
        fix: "Run `cargo sqlx prepare`, commit the folder .sqlx, and set SQLX_OFFLINE=true for the build.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "rust-dependency",
        title: "Cargo finds no fitting version of {package}",
        texts: &[
            "failed to get `{package}` as a dependency of package",
            "no matching package named `{package}` found",
            "failed to select a version for `{package}`",
            "failed to select a version for the requirement `{package*}`",
            "failed to load manifest for dependency `{package}`",
        ],
        fix: "Correct {package} in Cargo.toml: its name, version or path. A dependency by path has to be inside of the repository.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "rust-target",
        title: "Cargo finds no program {name}",
        texts: &[
            "no bin target named `{name}`",
            "a bin target must be available for `cargo {name}`",
            "could not find `{name}` in",
        ],
        near: &["no bin target", "a bin target", "Cargo.toml"],
        fix: "Name a program that Cargo.toml has, and set the project's folder to the one with Cargo.toml.",
        confidence: CERTAIN,
        ..BASE
    },
];
