//! Packages: who may use whom, and which outside crate belongs to which package.
//!
//! The tables below are the architecture. An entry that is missing is a decision to be made, so a
//! new package or a new edge begins here.

use toml::{Table, Value};

use crate::finding::Finding;
use crate::tree::{TextFile, Tree};

/// The most packages that one build may need.
const MAX_PACKAGES: usize = 550;
/// Apps that tests deploy are no packages of ours.
const FIXTURES: &str = "tests/e2e/fixtures/";
/// What the names of our packages begin with.
const OURS: &str = "tose-";
/// A dev-dependency only, so that nothing of it is shipped.
const TESTKIT: &str = "tose-testkit";

/// A package of this repository.
struct Package {
    dir: &'static str,
    /// Our packages that its code may use.
    uses: &'static [&'static str],
    /// Our packages that its tests may use besides.
    tests_use: &'static [&'static str],
}

const PACKAGES: [Package; 12] = [
    package("crates/api", &[], &[]),
    package("crates/model", &["tose-api"], &[]),
    package("crates/store", &["tose-api", "tose-model"], &[TESTKIT]),
    package(
        "crates/driver-docker",
        &["tose-api", "tose-model"],
        &[TESTKIT],
    ),
    package("crates/logs", &["tose-api", "tose-model"], &[TESTKIT]),
    package("crates/proxy", &["tose-api", "tose-model"], &[TESTKIT]),
    package(
        "crates/server",
        &[
            "tose-api",
            "tose-model",
            "tose-store",
            "tose-driver-docker",
            "tose-logs",
            "tose-proxy",
        ],
        &[TESTKIT],
    ),
    package("crates/cli", &["tose-api", "tose-model"], &[]),
    package("crates/testkit", &["tose-api", "tose-model"], &[]),
    package("tests/e2e", &["tose-api"], &[]),
    package(
        "tests/bench",
        &[
            "tose-api",
            "tose-model",
            "tose-logs",
            "tose-proxy",
            "tose-server",
            "tose-store",
            // The uptime bench has projects run without containers.
            "tose-testkit",
        ],
        &[],
    ),
    package("xtask", &[], &[]),
];

const fn package(
    dir: &'static str,
    uses: &'static [&'static str],
    tests_use: &'static [&'static str],
) -> Package {
    Package {
        dir,
        uses,
        tests_use,
    }
}

/// An outside crate that has a home.
struct Outside {
    name: &'static str,
    /// The packages that may depend on it.
    homes: &'static [&'static str],
    /// The packages whose tests may besides.
    tests: &'static [&'static str],
    advice: &'static str,
}

const OUTSIDE: [Outside; 10] = [
    outside("sqlx", &["crates/store"], "SQL lives in crates/store"),
    outside(
        "bollard",
        &["crates/driver-docker"],
        "the Docker Engine is called from crates/driver-docker",
    ),
    outside("kube", &[], "no package calls Kubernetes so far"),
    outside("k8s-openapi", &[], "no package calls Kubernetes so far"),
    outside(
        "axum",
        &["crates/server"],
        "HTTP is served by crates/server; the proxy uses hyper",
    ),
    outside(
        "aws-lc-rs",
        &["crates/server"],
        "the GitHub App signs in crates/server/src/github_app.rs; TLS is rustls' own concern",
    ),
    outside(
        "chacha20poly1305",
        &["crates/server"],
        "secrets are sealed in crates/server/src/secrets.rs",
    ),
    outside(
        "clap",
        &["crates/server", "crates/cli", "tests/bench"],
        "command lines are read by the programs",
    ),
    outside(
        "anyhow",
        &[
            "crates/server",
            "crates/cli",
            "tests/e2e",
            "tests/bench",
            "xtask",
        ],
        "a library has an error type of its own",
    ),
    Outside {
        name: "reqwest",
        homes: &["crates/api", "crates/server", "tests/e2e"],
        tests: &[],
        advice: "servers are called with the client of tose-api; Git servers in crates/server/src/git_api.rs, language models in assistant.rs, payment services in payment_api.rs, the service that takes metrics in otlp.rs, what users name in outgoing.rs",
    },
];

const fn outside(
    name: &'static str,
    homes: &'static [&'static str],
    advice: &'static str,
) -> Outside {
    Outside {
        name,
        homes,
        tests: &[],
        advice,
    }
}

/// A dependency of a manifest.
struct Dependency {
    name: String,
    line: usize,
    is_for_tests: bool,
    is_optional: bool,
}

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let manifests = tree
        .files()
        .iter()
        .filter(|file| file.path.ends_with("/Cargo.toml") && !file.path.starts_with(FIXTURES));
    let mut findings: Vec<Finding> = manifests.flat_map(check_manifest).collect();
    findings.extend(tree.find("Cargo.lock").and_then(check_lock));
    findings
}

fn check_manifest(file: &TextFile) -> Vec<Finding> {
    let manifest: Table = match file.text.parse() {
        Ok(manifest) => manifest,
        Err(error) => {
            let advice = format!("this is no manifest: {}", error.message());
            return vec![Finding::new(file, 1, "package-edge", advice)];
        }
    };
    let dir = file.path.trim_end_matches("/Cargo.toml");
    let Some(package) = PACKAGES.iter().find(|package| package.dir == dir) else {
        let advice = "this package is not in the table of xtask/src/tidy/packages.rs: add it there";
        return vec![Finding::new(file, 1, "package-edge", advice)];
    };
    dependencies(file, &manifest)
        .iter()
        .filter_map(|dependency| {
            check_ours(file, package, dependency)
                .or_else(|| check_outside(file, package, dependency))
        })
        .collect()
}

fn check_ours(file: &TextFile, package: &Package, dependency: &Dependency) -> Option<Finding> {
    let name = dependency.name.as_str();
    let allows = |list: &[&str]| list.contains(&name);
    let is_allowed = allows(package.uses) || dependency.is_for_tests && allows(package.tests_use);
    if !name.starts_with(OURS) || is_allowed {
        return None;
    }
    let advice = if name == TESTKIT && allows(package.tests_use) {
        format!("{name} is for tests: move it to [dev-dependencies]")
    } else {
        let dir = package.dir;
        format!(
            "{dir} may not use {name}: move the code, or change the table of xtask/src/tidy/packages.rs with a reason"
        )
    };
    Some(Finding::new(file, dependency.line, "package-edge", advice))
}

fn check_outside(file: &TextFile, package: &Package, dependency: &Dependency) -> Option<Finding> {
    let rule = "outside-crate";
    let crate_ = OUTSIDE
        .iter()
        .find(|outside| outside.name == dependency.name)?;
    let is_home = crate_.homes.contains(&package.dir);
    let is_for_its_tests = dependency.is_for_tests && crate_.tests.contains(&package.dir);
    if !is_home && !is_for_its_tests {
        let advice = format!("{} does not belong here: {}", crate_.name, crate_.advice);
        return Some(Finding::new(file, dependency.line, rule, advice));
    }
    // Most users of the wire types are no clients.
    let is_bare_client = package.dir == "crates/api" && !dependency.is_for_tests;
    (is_bare_client && !dependency.is_optional).then(|| {
        let advice = format!("make {} optional, behind the feature client", crate_.name);
        Finding::new(file, dependency.line, rule, advice)
    })
}

fn dependencies(file: &TextFile, manifest: &Table) -> Vec<Dependency> {
    let mut found = collect(file, manifest, "");
    if let Some(Value::Table(targets)) = manifest.get("target") {
        for table in targets.values().filter_map(Value::as_table) {
            found.extend(collect(file, table, "target."));
        }
    }
    found
}

/// The dependencies of each kind; `prefix` is what their section's heading begins with.
fn collect(file: &TextFile, table: &Table, prefix: &str) -> Vec<Dependency> {
    let mut found = Vec::new();
    for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
        let Some(Value::Table(entries)) = table.get(section) else {
            continue;
        };
        for (key, entry) in entries {
            let name = entry.get("package").and_then(Value::as_str).unwrap_or(key);
            let is_optional = entry.get("optional").and_then(Value::as_bool);
            found.push(Dependency {
                name: name.to_owned(),
                line: line_of(file, prefix, section, key),
                is_for_tests: section == "dev-dependencies",
                is_optional: is_optional == Some(true),
            });
        }
    }
    found
}

/// The line of `key`, which stands in its section or has a heading of its own; 1 if it hides.
fn line_of(file: &TextFile, prefix: &str, section: &str, key: &str) -> usize {
    let mut is_inside = false;
    for (number, line) in file.lines() {
        if let Some(heading) = line.strip_prefix('[') {
            let heading = heading.trim_end().trim_end_matches(']');
            let own = format!("{section}.{key}");
            if heading.starts_with(prefix) && heading.ends_with(&own) {
                return number;
            }
            is_inside = heading.starts_with(prefix)
                && (heading == section || heading.ends_with(&format!(".{section}")));
        } else if is_inside
            && line
                .strip_prefix(key)
                .is_some_and(|rest| rest.starts_with(['.', ' ', '=']))
        {
            return number;
        }
    }
    1
}

fn check_lock(file: &TextFile) -> Option<Finding> {
    let count = file
        .text
        .lines()
        .filter(|line| *line == "[[package]]")
        .count();
    (count > MAX_PACKAGES).then(|| {
        let advice = format!(
            "{count} packages, and {MAX_PACKAGES} are the most: do without the newest dependency, or take fewer of its features"
        );
        Finding::new(file, 1, "lock-size", advice)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::broken;

    #[test]
    fn edges_that_are_not_in_the_table_are_found() {
        let model = "[package]\nname = \"x\"\n\n[dependencies]\nserde.workspace = true\ntose-store.workspace = true\n";
        let found = broken(check, &[("crates/model/Cargo.toml", model)]);
        assert_eq!(found, [("package-edge", 6)]);
        let store = "[dependencies]\ntose-api.workspace = true\ntose-model = { workspace = true }\n\n[dev-dependencies]\ntose-testkit.workspace = true\n";
        assert_eq!(broken(check, &[("crates/store/Cargo.toml", store)]), []);
        let unknown = ("crates/new/Cargo.toml", "[dependencies]\n");
        assert_eq!(broken(check, &[unknown]), [("package-edge", 1)]);
        let broken_manifest = ("crates/model/Cargo.toml", "[dependencies");
        assert_eq!(broken(check, &[broken_manifest]), [("package-edge", 1)]);
    }

    #[test]
    fn the_test_kit_is_for_tests() {
        let manifest = "[dependencies]\ntose-testkit.workspace = true\n";
        let findings = check(&Tree::sample(&[("crates/store/Cargo.toml", manifest)]));
        assert!(findings[0].to_string().contains("[dev-dependencies]"));
    }

    #[test]
    fn an_edge_does_not_hide_behind_another_name_or_a_target() {
        let renamed = "[dependencies]\nrows = { package = \"tose-store\", path = \"../store\" }\n";
        let found = broken(check, &[("crates/logs/Cargo.toml", renamed)]);
        assert_eq!(found, [("package-edge", 2)]);
        let target = "[target.'cfg(unix)'.dependencies.sqlx]\nversion = \"1\"\n";
        let found = broken(check, &[("crates/logs/Cargo.toml", target)]);
        assert_eq!(found, [("outside-crate", 1)]);
    }

    #[test]
    fn outside_crates_stay_in_their_homes() {
        let sqlx = "[dependencies]\nsqlx.workspace = true\n";
        let check_in = |path, text| broken(check, &[(path, text)]);
        assert_eq!(check_in("crates/store/Cargo.toml", sqlx), []);
        assert_eq!(
            check_in("crates/server/Cargo.toml", sqlx),
            [("outside-crate", 2)]
        );
        let reqwest = "[dev-dependencies]\nreqwest.workspace = true\n";
        assert_eq!(check_in("crates/server/Cargo.toml", reqwest), []);
        assert_eq!(
            check_in("crates/cli/Cargo.toml", reqwest),
            [("outside-crate", 2)]
        );
        let always = "[dependencies]\nreqwest.workspace = true\n";
        assert_eq!(
            check_in("crates/api/Cargo.toml", always),
            [("outside-crate", 2)]
        );
        let optional = "[dependencies]\nreqwest = { workspace = true, optional = true }\n";
        assert_eq!(check_in("crates/api/Cargo.toml", optional), []);
        assert_eq!(
            check_in("crates/server/Cargo.toml", "[dependencies]\nkube = \"5\"\n"),
            [("outside-crate", 2)]
        );
    }

    #[test]
    fn a_lock_file_has_an_upper_limit() {
        let lock = |count| "[[package]]\nname = \"x\"\n".repeat(count);
        assert_eq!(broken(check, &[("Cargo.lock", &lock(MAX_PACKAGES))]), []);
        let over = lock(MAX_PACKAGES + 1);
        assert_eq!(broken(check, &[("Cargo.lock", &over)]), [("lock-size", 1)]);
    }
}
