//! Python: pip, uv, Poetry and Pipenv; Django, Flask and FastAPI by common convention.

use std::collections::BTreeSet;

use toml::Table;

use super::dockerfile::{Dockerfile, Word};
use super::start::{self, Start};
use super::tree::Tree;
use super::version::Choice;
use super::{Draft, Inputs};
use crate::error::Result;

const IGNORE: [&str; 4] = ["**/__pycache__", ".venv", "venv", ".pytest_cache"];
/// Where apps are made, in the order in which they are looked at.
const PROGRAMS: [&str; 11] = [
    "main.py",
    "app.py",
    "wsgi.py",
    "server.py",
    "application.py",
    "run.py",
    "index.py",
    "app/main.py",
    "app/__init__.py",
    "src/main.py",
    "src/app.py",
];
const MARKS: [&str; 4] = ["requirements.txt", "pyproject.toml", "Pipfile", "manage.py"];

/// What installs packages.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tool {
    Uv,
    Poetry,
    Pipenv,
    Pip,
    /// pip, with the packages that `pyproject.toml` names.
    Project,
    Nothing,
}

pub(super) fn detect(tree: &Tree) -> Option<&'static str> {
    let reasons = [
        "it has a requirements.txt",
        "it has a pyproject.toml",
        "it has a Pipfile",
        "it has a manage.py",
    ];
    let found = MARKS.iter().position(|file| tree.has(file));
    found.map(|index| reasons[index]).or_else(|| {
        let has_program = tree.has("main.py") || tree.has("app.py");
        has_program.then_some("it has a main.py or app.py")
    })
}

pub(super) fn write(inputs: &Inputs<'_>) -> Result<Draft> {
    let tree = inputs.tree;
    let project: Table = tree.text("pyproject.toml").parse().unwrap_or_default();
    let packages = packages(tree, &project);
    let guess = guess(tree, &packages);
    let stated = start::stated(inputs)?;
    let mut notes = Vec::new();
    let mut extra = None;
    let start = match (stated, guess) {
        (Some(start), _) => start,
        (None, Some(guess)) => {
            if let Some(server) = guess.server.filter(|server| !packages.contains(*server)) {
                notes.push(format!(
                    "{server} serves the app and is not among its packages: it is installed besides, in its newest version; add it to them"
                ));
                extra = Some(server);
            }
            guess.start
        }
        (None, None) => {
            return Err(start::unknown(
                "there is no main.py or app.py, and no Django, Flask or FastAPI app was found",
            ));
        }
    };
    let mut out = Dockerfile::default();
    out.from(&image(inputs, &project));
    out.line("ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore");
    out.app_folder();
    install(&mut out, inputs, &project)?;
    match extra {
        Some("gunicorn") => out.line("RUN pip install gunicorn"),
        Some(_) => out.line("RUN pip install uvicorn"),
        None => {}
    }
    if let Some(command) = inputs.wishes.build()? {
        out.build(&command, inputs.variables);
    }
    out.app_user();
    out.start(&start);
    Ok(Draft {
        dockerfile: out,
        ignore: IGNORE.to_vec(),
        notes,
    })
}

fn image(inputs: &Inputs<'_>, project: &Table) -> String {
    let tree = inputs.tree;
    let range = project
        .get("project")
        .and_then(|project| project.get("requires-python"))
        .or_else(|| {
            project
                .get("tool")?
                .get("poetry")?
                .get("dependencies")?
                .get("python")
        })
        .and_then(toml::Value::as_str);
    let files = [".python-version", "runtime.txt"].map(|file| tree.text(file).trim());
    let wanted = files.into_iter().find(|text| !text.is_empty()).or(range);
    Choice::make(&inputs.images.python, wanted, 2).apply(&inputs.images.python)
}

fn tool(tree: &Tree) -> Tool {
    if tree.has("uv.lock") {
        Tool::Uv
    } else if tree.has("poetry.lock") {
        Tool::Poetry
    } else if tree.has("Pipfile") {
        Tool::Pipenv
    } else if tree.has("requirements.txt") {
        Tool::Pip
    } else if tree.has("pyproject.toml") {
        Tool::Project
    } else {
        Tool::Nothing
    }
}

/// Installs the packages into the image's own Python, and copies the source after what decides them.
fn install(out: &mut Dockerfile, inputs: &Inputs<'_>, project: &Table) -> Result<()> {
    let tree = inputs.tree;
    if let Some(command) = inputs.wishes.install()? {
        out.copy_all_owned();
        out.run(&command);
        return Ok(());
    }
    let is_package = project.contains_key("build-system");
    match tool(tree) {
        Tool::Uv => {
            out.line("RUN pip install uv");
            out.copy(&["pyproject.toml", "uv.lock"]);
            out.line("RUN uv export --frozen --no-dev --no-emit-project --output-file /tmp/requirements.txt && pip install --requirement /tmp/requirements.txt");
            out.copy_all_owned();
            if is_package {
                out.line("RUN pip install --no-deps .");
            }
        }
        Tool::Poetry => {
            out.line("RUN pip install poetry");
            out.line("ENV POETRY_VIRTUALENVS_CREATE=false POETRY_NO_INTERACTION=1");
            out.copy(&["pyproject.toml", "poetry.lock"]);
            out.line("RUN poetry install --only main --no-root --no-cache");
            out.copy_all_owned();
        }
        Tool::Pipenv => {
            out.line("RUN pip install pipenv");
            if tree.has("Pipfile.lock") {
                out.copy(&["Pipfile", "Pipfile.lock"]);
                out.line("RUN pipenv install --system --deploy");
            } else {
                out.copy(&["Pipfile"]);
                out.line("RUN pipenv install --system --skip-lock");
            }
            out.copy_all_owned();
        }
        Tool::Pip if names_other_files(tree.text("requirements.txt")) => {
            out.copy_all_owned();
            out.line("RUN pip install --requirement requirements.txt");
        }
        Tool::Pip => {
            out.copy(&["requirements.txt"]);
            out.line("RUN pip install --requirement requirements.txt");
            out.copy_all_owned();
        }
        Tool::Project => {
            out.copy_all_owned();
            out.line("RUN pip install .");
        }
        Tool::Nothing => out.copy_all_owned(),
    }
    Ok(())
}

/// Whether a list of requirements leads to files beside it.
fn names_other_files(requirements: &str) -> bool {
    let mut lines = requirements.lines().map(str::trim);
    lines.any(|line| {
        let names_file = [
            "-r",
            "-c",
            "-e",
            "--requirement",
            "--constraint",
            "--editable",
            ".",
            "/",
            "file:",
        ];
        names_file.iter().any(|start| line.starts_with(start)) || line.contains("@ file:")
    })
}

/// The names of the packages, in small letters and with `-`.
fn packages(tree: &Tree, project: &Table) -> BTreeSet<String> {
    let requirements = tree.text("requirements.txt").lines();
    let mut names: BTreeSet<String> = requirements.filter_map(package_name).collect();
    let listed = project
        .get("project")
        .and_then(|project| project.get("dependencies"));
    let listed = listed.and_then(toml::Value::as_array).into_iter().flatten();
    names.extend(
        listed
            .filter_map(toml::Value::as_str)
            .filter_map(package_name),
    );
    let poetry = project
        .get("tool")
        .and_then(|tool| tool.get("poetry")?.get("dependencies")?.as_table());
    names.extend(
        poetry
            .into_iter()
            .flat_map(|table| table.keys())
            .filter_map(|name| package_name(name)),
    );
    let pipfile: Table = tree.text("Pipfile").parse().unwrap_or_default();
    let pipfile = pipfile.get("packages").and_then(toml::Value::as_table);
    names.extend(
        pipfile
            .into_iter()
            .flat_map(|table| table.keys())
            .filter_map(|name| package_name(name)),
    );
    // Lock files name what comes along with others: `name = "…"` each.
    for lock in ["uv.lock", "poetry.lock"] {
        let lines = tree.text(lock).lines();
        let names_in = lines.filter_map(|line| {
            line.strip_prefix("name = ")?
                .trim()
                .strip_prefix('"')?
                .strip_suffix('"')
        });
        names.extend(names_in.filter_map(package_name));
    }
    if names.contains("fastapi") && tree.text("requirements.txt").contains("fastapi[") {
        names.insert("uvicorn".to_owned());
    }
    names
}

fn package_name(line: &str) -> Option<String> {
    let line = line.trim();
    let end = line
        .find(|character: char| !character.is_ascii_alphanumeric() && !"-_.".contains(character));
    let name = line[..end.unwrap_or(line.len())]
        .to_ascii_lowercase()
        .replace(['_', '.'], "-");
    (!name.is_empty() && !name.starts_with('-')).then_some(name)
}

struct Guess {
    start: Start,
    /// The package that serves it.
    server: Option<&'static str>,
}

fn guess(tree: &Tree, packages: &BTreeSet<String>) -> Option<Guess> {
    if tree.has("manage.py")
        && let Some(module) = django_module(tree.text("manage.py"))
    {
        let command = format!("gunicorn --bind 0.0.0.0:$PORT {}.wsgi", module.as_str());
        return Some(served(&command, "gunicorn"));
    }
    for (file, module) in PROGRAMS
        .iter()
        .filter_map(|file| Some((*file, module_of(file)?)))
    {
        let text = tree.text(file);
        if packages.contains("fastapi")
            && let Some(name) = assigned(text, "FastAPI(")
        {
            let command = format!(
                "uvicorn --host 0.0.0.0 --port $PORT {module}:{}",
                name.as_str()
            );
            return Some(served(&command, "uvicorn"));
        }
        if packages.contains("flask") {
            if let Some(name) = assigned(text, "Flask(") {
                let command = format!("gunicorn --bind 0.0.0.0:$PORT {module}:{}", name.as_str());
                return Some(served(&command, "gunicorn"));
            }
            if text.contains("def create_app(") {
                let command = format!("gunicorn --bind 0.0.0.0:$PORT '{module}:create_app()'");
                return Some(served(&command, "gunicorn"));
            }
        }
    }
    let program = tree.first_of(&PROGRAMS[..7])?;
    Some(Guess {
        start: Start::program(&["python", program]),
        server: None,
    })
}

fn served(command: &str, server: &'static str) -> Guess {
    Guess {
        start: Start::command(command),
        server: Some(server),
    }
}

/// `app/main.py` as `app.main`.
fn module_of(file: &str) -> Option<String> {
    let module = file.strip_suffix(".py")?.replace('/', ".");
    Some(
        module
            .strip_suffix(".__init__")
            .map_or(module.clone(), str::to_owned),
    )
}

/// The name in `NAME = Flask(…)`, at the beginning of a line.
fn assigned(text: &str, constructor: &str) -> Option<Word> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once('=')?;
        let name = name.split(':').next()?.trim_end();
        let value = value.trim_start();
        let is_made = value.starts_with(constructor)
            || value
                .split_once('.')
                .is_some_and(|(_, rest)| rest.starts_with(constructor));
        if is_made {
            Word::parse_name(name).filter(|word| !word.as_str().contains(['.', '-']))
        } else {
            None
        }
    })
}

/// The project's module, from the settings that `manage.py` names.
fn django_module(manage: &str) -> Option<Word> {
    let (_, after) = manage.split_once("DJANGO_SETTINGS_MODULE")?;
    let value = after
        .split(['"', '\''])
        .find(|part| part.contains(".settings"))?;
    let (module, _) = value.split_once(".settings")?;
    Word::parse_name(module)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apps_are_found_where_they_are_made() {
        let name =
            |text, constructor| assigned(text, constructor).map(|word| word.as_str().to_owned());
        assert_eq!(
            name("app = Flask(__name__)", "Flask(").as_deref(),
            Some("app")
        );
        assert_eq!(
            name("api: FastAPI = FastAPI()", "FastAPI(").as_deref(),
            Some("api")
        );
        assert_eq!(
            name("app = flask.Flask(x)", "Flask(").as_deref(),
            Some("app")
        );
        assert_eq!(name("    app = Flask(x)", "Flask("), None);
        assert_eq!(name("app; x = Flask(x)", "Flask("), None);
        let manage = "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'my.site.settings.prod')";
        assert_eq!(
            django_module(manage)
                .map(|word| word.as_str().to_owned())
                .as_deref(),
            Some("my.site")
        );
        assert_eq!(
            django_module("DJANGO_SETTINGS_MODULE', 'a b.settings'"),
            None
        );
    }

    #[test]
    fn packages_have_one_spelling() {
        for (line, name) in [
            ("Flask==3.0", Some("flask")),
            ("fastapi[standard]>=0.1", Some("fastapi")),
            ("My_Package.x ; python_version > '3'", Some("my-package-x")),
            ("# comment", None),
            ("-r other.txt", None),
            ("", None),
        ] {
            assert_eq!(package_name(line).as_deref(), name, "{line}");
        }
    }

    #[test]
    fn requirements_that_lead_elsewhere_are_noticed() {
        assert!(names_other_files("flask\n-r base.txt"));
        assert!(names_other_files("-e ."));
        assert!(!names_other_files("flask==3 --hash=sha256:0\n# -r x"));
    }
}
