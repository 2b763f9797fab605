//! `package.json` and the package manager that goes with it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::super::dockerfile::Word;
use super::super::start::Start;
use super::super::tree::Tree;
use super::super::version::Version;
use crate::error::{Error, Result};

/// What installs packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manager {
    Npm,
    Pnpm,
    Yarn,
    Bun,
}

impl Manager {
    pub(super) const fn program(self) -> &'static str {
        match self {
            Self::Npm => "npm",
            Self::Pnpm => "pnpm",
            Self::Yarn => "yarn",
            Self::Bun => "bun",
        }
    }

    /// Takes away what only the build needed.
    pub(super) const fn prune(self, is_modern_yarn: bool) -> Option<&'static str> {
        match self {
            Self::Npm => Some("RUN npm prune --omit=dev"),
            Self::Pnpm => Some("RUN CI=true pnpm prune --prod --ignore-scripts"),
            Self::Yarn if is_modern_yarn => None,
            Self::Yarn => Some("RUN yarn install --production --ignore-scripts --prefer-offline"),
            Self::Bun => None,
        }
    }
}

/// Lock files and whose they are, in the order in which they count.
const LOCKS: [(&str, Manager); 6] = [
    ("bun.lock", Manager::Bun),
    ("bun.lockb", Manager::Bun),
    ("pnpm-lock.yaml", Manager::Pnpm),
    ("yarn.lock", Manager::Yarn),
    ("package-lock.json", Manager::Npm),
    ("npm-shrinkwrap.json", Manager::Npm),
];

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Manifest {
    main: Value,
    scripts: BTreeMap<String, Value>,
    dependencies: BTreeMap<String, Value>,
    dev_dependencies: BTreeMap<String, Value>,
    engines: Value,
    package_manager: Value,
    workspaces: Value,
}

/// What matters of a `package.json`.
#[derive(Debug)]
pub(super) struct Package {
    manifest: Manifest,
    pub(super) manager: Manager,
    manager_version: Option<Version>,
    pub(super) lock: Option<&'static str>,
    pub(super) main: Option<Word>,
    pub(super) node_range: Option<String>,
    pub(super) has_workspaces: bool,
}

impl Package {
    pub(super) fn read(tree: &Tree) -> Result<Self> {
        let text = tree.text("package.json").trim_start_matches('\u{feff}');
        let manifest: Manifest = serde_json::from_str(text)
            .map_err(|error| Error::invalid(format!("package.json cannot be read: {error}")))?;
        let stated = manifest.package_manager.as_str().and_then(stated_manager);
        let by_lock = LOCKS.iter().find(|(lock, _)| tree.has(lock));
        let manager = match (&stated, by_lock) {
            (Some((manager, _)), _) => *manager,
            (None, Some((_, manager))) => *manager,
            (None, None) => Manager::Npm,
        };
        let lock = LOCKS
            .iter()
            .find(|(lock, whose)| *whose == manager && tree.has(lock));
        Ok(Self {
            manager,
            manager_version: stated.and_then(|(_, version)| version),
            lock: lock.map(|(lock, _)| *lock),
            main: manifest
                .main
                .as_str()
                .and_then(|main| Word::parse(main.trim_start_matches("./"))),
            node_range: manifest.engines["node"].as_str().map(str::to_owned),
            has_workspaces: !manifest.workspaces.is_null(),
            manifest,
        })
    }

    pub(super) fn depends_on(&self, name: &str) -> bool {
        self.manifest.dependencies.contains_key(name)
            || self.manifest.dev_dependencies.contains_key(name)
    }

    pub(super) fn script(&self, name: &str) -> Option<&str> {
        self.manifest.scripts.get(name)?.as_str()
    }

    /// How the `start` script is run: by itself where the package manager would add nothing but a
    /// process, else by the package manager.
    pub(super) fn start(&self, script: &str) -> Start {
        let has_neighbours =
            self.script("prestart").is_some() || self.script("poststart").is_some();
        let is_plain = !has_neighbours
            && matches!(self.manager, Manager::Npm | Manager::Pnpm)
            && script.len() <= 1000
            && !script.contains("npm_")
            && !script.chars().any(char::is_control);
        if is_plain {
            Start::command(script)
        } else {
            Start::program(&[self.manager.program(), "run", "start"])
        }
    }

    /// Yarn from version 2 on is another program with other options.
    pub(super) fn is_modern_yarn(&self, tree: &Tree) -> bool {
        let is_new = |version: &Version| version.cut(1).to_string() != "1";
        self.manager == Manager::Yarn
            && (tree.has(".yarnrc.yml") || self.manager_version.as_ref().is_some_and(is_new))
    }

    /// The pnpm that `packageManager` names, or one that reads the lock file.
    pub(super) fn pnpm_version(&self, tree: &Tree) -> Version {
        if let Some(version) = &self.manager_version {
            return version.clone();
        }
        let lock = tree.text("pnpm-lock.yaml");
        let format = lock
            .lines()
            .find_map(|line| line.strip_prefix("lockfileVersion:"));
        let format = format.and_then(|text| Version::parse(text.trim().trim_matches(['\'', '"'])));
        let major = match format.map(|format| format.cut(1).to_string()).as_deref() {
            Some("5") => "7",
            Some("6") => "8",
            _ => "10",
        };
        Version::parse(major).expect("it is a number")
    }

    pub(super) fn install(&self, is_modern_yarn: bool, with_dev: bool) -> &'static str {
        match (self.manager, self.lock.is_some(), with_dev) {
            (Manager::Npm, true, true) => "RUN npm ci",
            (Manager::Npm, true, false) => "RUN npm ci --omit=dev && npm cache clean --force",
            (Manager::Npm, false, true) => "RUN npm install",
            (Manager::Npm, false, false) => "RUN npm install --omit=dev && npm cache clean --force",
            (Manager::Pnpm, true, true) => "RUN pnpm install --frozen-lockfile",
            (Manager::Pnpm, true, false) => "RUN pnpm install --frozen-lockfile --prod",
            (Manager::Pnpm, false, true) => "RUN pnpm install",
            (Manager::Pnpm, false, false) => "RUN pnpm install --prod",
            (Manager::Yarn, true, _) if is_modern_yarn => "RUN yarn install --immutable",
            (Manager::Yarn, false, _) if is_modern_yarn => "RUN yarn install",
            (Manager::Yarn, true, true) => "RUN yarn install --frozen-lockfile",
            (Manager::Yarn, true, false) => {
                "RUN yarn install --frozen-lockfile --production && yarn cache clean"
            }
            (Manager::Yarn, false, true) => "RUN yarn install",
            (Manager::Yarn, false, false) => "RUN yarn install --production && yarn cache clean",
            (Manager::Bun, true, true) => "RUN bun install --frozen-lockfile",
            (Manager::Bun, true, false) => "RUN bun install --frozen-lockfile --production",
            (Manager::Bun, false, true) => "RUN bun install",
            (Manager::Bun, false, false) => "RUN bun install --production",
        }
    }
}

/// `pnpm@9.1.0+sha512…` as manager and version.
fn stated_manager(text: &str) -> Option<(Manager, Option<Version>)> {
    let (name, version) = text.split_once('@').unwrap_or((text, ""));
    let all = [Manager::Npm, Manager::Pnpm, Manager::Yarn, Manager::Bun];
    let manager = all.into_iter().find(|manager| manager.program() == name)?;
    let version = version.split('+').next().and_then(Version::parse);
    Some((manager, version))
}
