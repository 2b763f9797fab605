//! Builds with pip, Poetry, uv and Pipenv, and with a C compiler.

use super::{BASE, CERTAIN, LIKELY, POSSIBLE, Pattern};

pub(super) const TABLE: &[Pattern] = &[
    Pattern {
        id: "pip-no-match",
        title: "pip finds no version of {package}",
        texts: &["No matching distribution found for {package}"],
        fix: "Correct name or version of {package} in the requirements, or change the version of Python in .python-version: the package may not be built for this one.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "pip-file",
        title: "The file {file} with the requirements is not there",
        texts: &["Could not open requirements file: [Errno 2] No such file or directory: '{file}'"],
        fix: "Commit {file}, and name it in the Dockerfile as it is named in the repository.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "pip-hash",
        title: "A package is not what its hash in the requirements says",
        texts: &[
            "THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE",
            "In --require-hashes mode, all requirements must have",
        ],
        fix: "Make the requirements anew with their hashes (`pip-compile --generate-hashes`, `uv export`).",
        confidence: CERTAIN,
        more: 4,
        ..BASE
    },
    Pattern {
        id: "pip-conflict",
        title: "Two requirements cannot be installed together",
        texts: &[
            "because these package versions have conflicting dependencies",
            "ResolutionImpossible",
        ],
        fix: "Let go of exact versions of one of them; the lines below say who wants what.",
        confidence: CERTAIN,
        is_first: true,
        more: 6,
        ..BASE
    },
    Pattern {
        id: "pip-requirement",
        title: "A line of the requirements cannot be read: {line}",
        texts: &["ERROR: Invalid requirement: {line*}"],
        fix: "Correct the line; a file written by PowerShell is UTF-16, save it as UTF-8.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "pip-python-version",
        title: "A package does not support this version of Python",
        texts: &[
            "requires a different Python: {version} not in",
            "Ignored the following versions that require a different python version",
            "is not in the range required by the project",
            "The current project's supported Python range",
            "Current Python version ({version}) is not allowed by the project",
            "is incompatible with the project's Python requirement",
        ],
        fix: "Name a fitting version in .python-version or `requires-python`, or another version of the package.",
        confidence: LIKELY,
        ..BASE
    },
    Pattern {
        id: "pip-externally-managed",
        title: "pip may not install into the system's Python",
        texts: &["error: externally-managed-environment"],
        fix: "Use the image python:3.13-slim, or make a virtual environment first (`python3 -m venv /venv`).",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "pip-postgres",
        title: "psycopg2 is compiled here and finds no PostgreSQL",
        texts: &["Error: pg_config executable not found"],
        fix: "Require psycopg2-binary (or psycopg[binary]) in place of psycopg2, or install libpq-dev and gcc in the image that builds.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "pip-mysql",
        title: "mysqlclient is compiled here and finds no MySQL",
        texts: &[
            "Can not find valid pkg-config name",
            "mysql_config: not found",
            "mysql_config not found",
        ],
        fix: "Install default-libmysqlclient-dev, pkg-config and gcc in the image that builds, or use PyMySQL.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "compiler-missing",
        title: "A package has to be compiled, and the image has no compiler",
        texts: &[
            "unable to execute 'gcc': No such file or directory",
            "error: command 'gcc' failed: No such file or directory",
            "unable to execute 'cc': No such file or directory",
            "error: command '{compiler}' failed: No such file or directory",
            "configure: error: no acceptable C compiler found in $PATH",
            "make: command not found",
            "Can't find Rust compiler",
        ],
        fix: "Install build-essential (Debian) or build-base (Alpine) in the image that builds, or take a version of the package that comes ready built for this Python.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "compiler-header",
        title: "The header {header} is missing, so a package cannot be compiled",
        texts: &["fatal error: {header}: No such file or directory"],
        fix: "Install the development package that has {header} in the image that builds (Python.h is in python3-dev, ffi.h in libffi-dev, libpq-fe.h in libpq-dev).",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "pip-wheel",
        title: "The package {package|that it names} could not be built",
        texts: &[
            "ERROR: Failed building wheel for {package}",
            "Failed to build installable wheels for some pyproject.toml based projects ({package}",
            "error: metadata-generation-failed",
            "× Failed to build `{package}`",
            "Failed to build {package}",
            "ModuleNotFoundError: No module named 'distutils'",
            "Getting requirements to build wheel did not run successfully",
        ],
        fix: "Take a newer version of it, or an older Python: for this one there is no ready build, and it does not compile.",
        confidence: POSSIBLE,
        ..BASE
    },
    Pattern {
        id: "poetry-lock",
        title: "poetry.lock does not fit pyproject.toml",
        texts: &[
            "pyproject.toml changed significantly since poetry.lock was last generated",
            "poetry.lock is not up to date with pyproject.toml",
        ],
        fix: "Run `poetry lock` and commit poetry.lock.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "poetry-root",
        title: "Poetry finds no package {package|of its name} in the source",
        texts: &[
            "No file/folder found for package {package}",
            "Error: The current project could not be installed",
        ],
        fix: "Set `package-mode = false` in pyproject.toml, or install with --no-root.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "uv-lock",
        title: "uv.lock does not fit pyproject.toml",
        texts: &[
            "The lockfile at `uv.lock` needs to be updated, but `--locked` was provided",
            "Unable to find lockfile at `uv.lock`",
            "Failed to parse `uv.lock`",
        ],
        fix: "Run `uv lock` and commit uv.lock.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "uv-resolve",
        title: "uv finds no set of packages that fit together",
        texts: &["No solution found when resolving dependencies"],
        fix: "Look at the reasons below it: a version or `requires-python` in pyproject.toml has to change.",
        confidence: CERTAIN,
        more: 6,
        ..BASE
    },
    Pattern {
        id: "pipenv-lock",
        title: "Pipfile.lock does not fit the Pipfile",
        texts: &["Your Pipfile.lock"],
        fix: "Run `pipenv lock` and commit Pipfile.lock.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "pyproject-invalid",
        title: "pyproject.toml cannot be read",
        texts: &[
            "Failed to parse: `pyproject.toml`",
            "The Poetry configuration is invalid",
            "Invalid TOML file",
            "tomllib.TOMLDecodeError: {what*}",
            "Multiple top-level packages discovered in a flat-layout",
            "Multiple top-level modules discovered in a flat-layout",
        ],
        fix: "Correct the place that it names; for an app that is no package set `packages = []` or use the layout with src.",
        confidence: CERTAIN,
        more: 4,
        ..BASE
    },
];
