//! Recipes: which one fits, what it writes (`tests/recipe/*.snap`), and that nobody's text becomes an
//! instruction.

use proptest::prelude::*;
use tose_model::Error;
use tose_model::recipe::manifest::{BuildWishes, Manifest};
use tose_model::recipe::{Images, Inputs, Recipe, Tree, find};

fn tree(files: &[(&str, &str)]) -> Tree {
    let mut tree = Tree::default();
    for (path, text) in files {
        tree.add_text(*path, *text);
    }
    tree
}

fn wishes(tree: &Tree) -> BuildWishes {
    let found = Manifest::read(tree).expect("a good file");
    found.map_or_else(BuildWishes::default, |(_, manifest)| manifest.build)
}

fn try_recipe(files: &[(&str, &str)]) -> Result<Option<Recipe>, String> {
    let tree = tree(files);
    let found = try_find(&tree, &wishes(&tree), &Images::default());
    found.map_err(|error| error.to_string())
}

fn try_find(tree: &Tree, wishes: &BuildWishes, images: &Images) -> Result<Option<Recipe>, Error> {
    let variables = ["API_URL", "PORT"].map(|name| name.parse().expect("a name"));
    find(&Inputs {
        tree,
        wishes,
        variables: &variables.into(),
        images,
    })
}

fn recipe(files: &[(&str, &str)]) -> Recipe {
    try_recipe(files).expect("a recipe").expect("one fits")
}

/// Each case is a source tree; what its recipe writes is golden.
const CASES: &[(&str, &[(&str, &str)])] = &[
    (
        "node-npm",
        &[
            (
                "package.json",
                r#"{"engines": {"node": ">=18"}, "scripts": {"start": "node server.js"}}"#,
            ),
            ("package-lock.json", "{}"),
            (".npmrc", ""),
        ],
    ),
    (
        "node-npm-built",
        &[
            (
                "package.json",
                r#"{"engines": {"node": "20.x"}, "scripts": {"build": "tsc", "prestart": "x", "start": "node dist"}}"#,
            ),
            ("package-lock.json", "{}"),
        ],
    ),
    (
        "node-pnpm",
        &[
            (
                "package.json",
                r#"{"main": "./src/index.js", "packageManager": "pnpm@9.15.4+sha512.00"}"#,
            ),
            ("pnpm-lock.yaml", "lockfileVersion: '9.0'"),
            ("src/index.js", ""),
        ],
    ),
    (
        "node-yarn",
        &[
            ("package.json", r#"{"scripts": {"start": "node x"}}"#),
            ("yarn.lock", ""),
        ],
    ),
    (
        "node-bun",
        &[
            ("package.json", r#"{"scripts": {"start": "bun x"}}"#),
            ("bun.lock", ""),
        ],
    ),
    (
        "node-next",
        &[
            (
                "package.json",
                r#"{"dependencies": {"next": "15"}, "scripts": {"build": "next build", "start": "next start"}}"#,
            ),
            ("package-lock.json", "{}"),
        ],
    ),
    (
        "node-next-standalone",
        &[
            (
                "package.json",
                r#"{"dependencies": {"next": "15"}, "scripts": {"build": "next build", "start": "next start"}}"#,
            ),
            ("next.config.mjs", "export default { output: 'standalone' }"),
            ("package-lock.json", "{}"),
        ],
    ),
    (
        "node-vite",
        &[
            (
                "package.json",
                r#"{"devDependencies": {"vite": "6"}, "scripts": {"build": "vite build", "start": "vite"}}"#,
            ),
            ("package-lock.json", "{}"),
            ("index.html", ""),
        ],
    ),
    (
        "node-astro",
        &[
            (
                "package.json",
                r#"{"dependencies": {"astro": "5"}, "scripts": {"build": "astro build"}}"#,
            ),
            ("pnpm-lock.yaml", "lockfileVersion: '6.0'"),
        ],
    ),
    (
        "node-wishes",
        &[
            ("package.json", r#"{"scripts": {"start": "x"}}"#),
            ("package-lock.json", "{}"),
            (
                "tose.json",
                r#"{"build": {"install": "npm ci --legacy-peer-deps", "build": "make \"all\"", "start": "migrate && serve <<EOF"}}"#,
            ),
        ],
    ),
    (
        "deno",
        &[("deno.json", r#"{"tasks": {}}"#), ("main.ts", "")],
    ),
    (
        "python-pip-flask",
        &[
            ("requirements.txt", "Flask==3.0\ngunicorn\n"),
            ("app.py", "app = Flask(__name__)\n"),
            (".python-version", "3.11\n"),
        ],
    ),
    (
        "python-procfile",
        &[
            ("requirements.txt", "-r base.txt\n"),
            (
                "Procfile",
                "release: migrate\nweb: PYTHONPATH=src gunicorn 'a:b()' --bind :$PORT\n",
            ),
        ],
    ),
    (
        "python-uv-fastapi",
        &[
            (
                "pyproject.toml",
                "[project]\nname = \"x\"\nrequires-python = \">=3.10\"\ndependencies = [\"fastapi>=0.1\"]\n[build-system]\n",
            ),
            ("uv.lock", "[[package]]\nname = \"uvicorn\"\n"),
            ("app/main.py", "api: FastAPI = FastAPI()\n"),
        ],
    ),
    (
        "python-poetry-django",
        &[
            (
                "pyproject.toml",
                "[tool.poetry.dependencies]\npython = \"^3.10\"\nDjango = \"^5\"\n",
            ),
            ("poetry.lock", ""),
            (
                "manage.py",
                "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'site1.settings')\n",
            ),
            ("package.json", "{}"),
        ],
    ),
    (
        "python-pipenv",
        &[
            ("Pipfile", "[packages]\nx = \"*\"\n"),
            ("Pipfile.lock", "{}"),
            ("main.py", ""),
        ],
    ),
    (
        "go",
        &[
            ("go.mod", "module example.com/x\n\ngo 1.22\n"),
            ("go.sum", ""),
            ("main.go", ""),
        ],
    ),
    (
        "go-cmd-cgo",
        &[
            (
                "go.mod",
                "module x\nrequire github.com/mattn/go-sqlite3 v1\n",
            ),
            ("cmd/api/main.go", ""),
            ("cmd/tool/main.go", ""),
        ],
    ),
    (
        "rust",
        &[
            (
                "Cargo.toml",
                "[package]\nname = \"hello\"\n[dependencies]\n",
            ),
            ("Cargo.lock", ""),
            ("src/main.rs", ""),
        ],
    ),
    (
        "rust-workspace",
        &[
            (
                "Cargo.toml",
                "[workspace]\n[package]\nname = \"a\"\ndefault-run = \"web\"\n",
            ),
            ("Cargo.lock", ""),
        ],
    ),
    ("php", &[("index.php", "")]),
    (
        "php-laravel",
        &[
            (
                "composer.json",
                r#"{"require": {"php": "^8.2", "ext-bcmath": "*", "ext-gd": "*"}}"#,
            ),
            ("composer.lock", "{}"),
            ("artisan", ""),
            ("public/index.php", ""),
            ("package.json", "{}"),
        ],
    ),
    (
        "ruby-rack",
        &[
            ("Gemfile", "ruby \"3.2.1\"\n"),
            ("Gemfile.lock", "    puma (6.0)\n"),
            ("config.ru", ""),
        ],
    ),
    (
        "ruby-rails",
        &[
            ("Gemfile", "gem \"pg\"\n"),
            ("Gemfile.lock", "    propshaft (1)\n"),
            ("bin/rails", ""),
        ],
    ),
    (
        "java-maven",
        &[("pom.xml", "<java.version>17</java.version>")],
    ),
    (
        "java-gradle",
        &[
            ("build.gradle.kts", ""),
            ("system.properties", "java.runtime.version=17\n"),
        ],
    ),
    ("static", &[("index.html", ""), ("style.css", "")]),
    (
        "static-folder",
        &[(
            "tose.toml",
            "[build]\nrecipe = \"static\"\nstatic_dir = \"site/out\"\n",
        )],
    ),
];

#[test]
fn each_recipe_writes_its_golden_dockerfile() {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("recipe");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for (name, files) in CASES {
            let recipe = recipe(files);
            let notes: String = recipe
                .notes
                .iter()
                .map(|note| format!("note: {note}\n"))
                .collect();
            let text = format!(
                "recipe: {} because {}\nignore: {}\n{notes}\n{}",
                recipe.name,
                recipe.reason,
                recipe.ignore.join(" "),
                recipe.dockerfile
            );
            insta::assert_snapshot!(*name, text);
        }
    });
}

#[test]
fn the_first_that_fits_is_taken() {
    for (files, expected) in [
        (
            &["package.json", "requirements.txt", "index.html"][..],
            Some("node"),
        ),
        (&["package.json", "manage.py"], Some("python")),
        (&["package.json", "artisan", "composer.json"], Some("php")),
        (&["package.json", "bin/rails", "Gemfile"], Some("ruby")),
        (&["deno.lock", "main.ts", "index.html"], Some("deno")),
        (&["go.mod", "main.go", "index.html"], Some("go")),
        (&["index.php", "index.html"], Some("php")),
        (&["pom.xml"], Some("java")),
        (&["index.html", "README.md"], Some("static")),
        (&["README.md"], None),
        (&["docs/index.html"], None),
        (&[], None),
    ] {
        let texts = |path: &str| match path {
            "package.json" => r#"{"scripts": {"start": "node x"}}"#,
            "composer.json" => "{}",
            "manage.py" => "'DJANGO_SETTINGS_MODULE', 'x.settings'",
            _ => "",
        };
        let files: Vec<_> = files.iter().map(|path| (*path, texts(path))).collect();
        let found = try_recipe(&files)
            .expect("no problem")
            .map(|recipe| recipe.name);
        assert_eq!(found, expected, "{files:?}");
    }
}

#[test]
fn what_is_missing_is_said() {
    for (files, words) in [
        (&[("package.json", "{}")][..], "no `start` script"),
        (&[("package.json", "{")], "package.json cannot be read"),
        (
            &[("package.json", r#"{"dependencies": {"vite": "6"}}"#)],
            "no `build` script",
        ),
        (&[("requirements.txt", "flask")], "no main.py or app.py"),
        (
            &[("go.mod", ""), ("cmd/a/x.go", ""), ("cmd/b/x.go", "")],
            "which Go program",
        ),
        (&[("Cargo.toml", "[workspace]")], "which Rust program"),
        (
            &[("Cargo.toml", "[[bin]]\nname = \"a\"\n[[bin]]\nname = \"b\"")],
            "which Rust program",
        ),
        (&[("Gemfile", "")], "config.ru"),
        (
            &[("tose.toml", "[build]\nrecipe = \"static\"\n")],
            "no index.html",
        ),
        (
            &[("tose.toml", "[build]\nrecipe = \"cobol\"\n")],
            "no recipe `cobol`",
        ),
        (
            &[("main.py", ""), ("Procfile", "web: a\u{7}b")],
            "the web line of the Procfile",
        ),
    ] {
        let problem = try_recipe(files).expect_err("refused");
        assert!(problem.contains(words), "{problem}");
    }
}

#[test]
fn the_operators_images_are_used_and_versions_change_their_tag() {
    let images = Images {
        node: "registry.example:5000/mirror/node:22-slim".to_owned(),
        ..Images::default()
    };
    let tree = tree(&[(
        "package.json",
        r#"{"engines": {"node": "20"}, "scripts": {"start": "node x"}}"#,
    )]);
    let recipe = try_find(&tree, &BuildWishes::default(), &images)
        .expect("good")
        .expect("one fits");
    assert!(
        recipe
            .dockerfile
            .contains("FROM registry.example:5000/mirror/node:20-slim\n")
    );
}

const INSTRUCTIONS: [&str; 9] = [
    "ARG ",
    "FROM ",
    "RUN ",
    "COPY ",
    "ENV ",
    "WORKDIR ",
    "USER ",
    "CMD ",
    "ENTRYPOINT ",
];

/// The instructions of a Dockerfile, read as an engine reads it, with lines that go on joined.
fn instructions(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut is_continued = false;
    for (number, line) in text.lines().enumerate() {
        assert!(
            number == 0 || !line.trim_start().starts_with('#'),
            "a comment: {line:?}"
        );
        assert!(!line.contains("<<"), "a document begins: {line:?}");
        let plain = line.trim_end();
        if is_continued {
            found
                .last_mut()
                .map(|last: &mut String| last.push_str(plain))
                .expect("a beginning");
        } else if number > 0 && !plain.is_empty() {
            assert!(
                INSTRUCTIONS.iter().any(|word| line.starts_with(word)),
                "{line:?}"
            );
            found.push(plain.to_owned());
        }
        is_continued = plain.ends_with('\\');
    }
    assert!(!is_continued, "the last line goes on");
    found
}

/// Every line that holds text of a repository is JSON, and says what it should.
fn check_words(text: &str) {
    for line in instructions(text) {
        let Some((_, words)) = line.split_once(" [") else {
            continue;
        };
        if line.starts_with("CMD ") || line.starts_with("RUN [\"") {
            let words: Vec<String> = serde_json::from_str(&format!("[{words}")).expect("JSON");
            assert!(!words.is_empty() || line.starts_with("ENTRYPOINT"));
        }
    }
}

/// What somebody would write to break out, among other things.
fn hostile() -> impl Strategy<Value = String> {
    let evil = prop::sample::select(vec![
        "\nRUN evil",
        "\r\nRUN evil",
        "\\\nUSER root",
        "\"]\nRUN evil",
        "<<EOF\nx\nEOF",
        "# syntax=evil/x",
        "\n# escape=`",
        "$(evil)",
        "${PORT}",
        "' || evil",
        "\u{2028}RUN evil",
        "\u{0}",
        "a b",
        "--from=x",
        "../../etc",
        "evil AS x",
        "web: x",
        "x:1 AS build\nFROM evil",
        "\u{85}",
        "`evil`",
        "1.2.3",
        "20",
    ]);
    prop_oneof![
        prop::collection::vec(
            prop_oneof![evil.prop_map(str::to_owned), any::<String>()],
            1..4
        )
        .prop_map(|parts| parts.concat()),
        any::<String>(),
    ]
}

fn json_text(text: &str) -> String {
    serde_json::to_string(text).expect("a text")
}

/// Trees of each family with `text` wherever a repository can put one.
fn trees_with(text: &str) -> Vec<Vec<(String, String)>> {
    let json = json_text(text);
    let own = |pairs: &[(&str, String)]| -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(path, text)| ((*path).to_owned(), text.clone()))
            .collect()
    };
    let package = |rest: &str| {
        format!(
            "{{\"name\": {json}, \"engines\": {{\"node\": {json}}}, \"packageManager\": {json}, \"main\": {json}{rest}}}"
        )
    };
    let build = format!(
        "{{\"build\": {{\"install\": {json}, \"build\": {json}, \"start\": {json}, \"static_dir\": {json}}}}}"
    );
    let toml = format!(
        "[package]\nname = {json}\ndefault-run = {json}\n[dependencies]\n[toolchain]\nchannel = {json}\n"
    );
    vec![
        own(&[(
            "package.json",
            package(&format!(
                ", \"scripts\": {{\"start\": {json}, \"build\": {json}}}"
            )),
        )]),
        own(&[
            ("package.json", package("")),
            ("index.js", String::new()),
            (".nvmrc", text.to_owned()),
            ("pnpm-lock.yaml", format!("lockfileVersion: {text}")),
        ]),
        own(&[
            ("package.json", package("")),
            ("index.js", String::new()),
            ("Procfile", format!("web: {text}")),
        ]),
        own(&[
            (
                "package.json",
                package(", \"scripts\": {\"start\": \"x\", \"build\": \"y\"}"),
            ),
            ("tose.json", build.clone()),
        ]),
        own(&[
            ("main.py", format!("{text} = Flask(x)")),
            ("requirements.txt", format!("flask\n{text}")),
            ("runtime.txt", text.to_owned()),
        ]),
        own(&[
            (
                "manage.py",
                format!("'DJANGO_SETTINGS_MODULE', '{text}.settings'"),
            ),
            (
                "pyproject.toml",
                format!("[project]\nrequires-python = {json}\n"),
            ),
        ]),
        own(&[
            ("go.mod", format!("module {text}\ngo {text}\n")),
            ("cmd/x/main.go", String::new()),
            (&format!("cmd/{text}/main.go"), String::new()),
        ]),
        own(&[
            ("go.mod", String::new()),
            (&format!("cmd/{text}/main.go"), String::new()),
        ]),
        own(&[
            ("Cargo.toml", toml.clone()),
            ("Cargo.lock", String::new()),
            ("src/main.rs", String::new()),
            ("rust-toolchain.toml", toml),
            ("rust-toolchain", text.to_owned()),
        ]),
        own(&[
            (
                "composer.json",
                format!("{{\"require\": {{\"php\": {json}, \"ext-x\": {json}}}}}"),
            ),
            ("artisan", String::new()),
        ]),
        own(&[
            ("Gemfile", format!("ruby '{text}'")),
            ("Gemfile.lock", text.to_owned()),
            ("config.ru", String::new()),
            (".ruby-version", text.to_owned()),
        ]),
        own(&[
            ("pom.xml", format!("<java.version>{text}</java.version>")),
            (".java-version", text.to_owned()),
        ]),
        own(&[("index.html", text.to_owned()), ("tose.json", build)]),
        own(&[
            ("deno.json", format!("{{\"tasks\": {{\"start\": {json}}}}}")),
            ("Procfile", text.to_owned()),
        ]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_of_a_repository_becomes_an_instruction(text in hostile()) {
        let plain = trees_with("plain");
        for (files, plain) in trees_with(&text).into_iter().zip(plain) {
            let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
            let tree = tree(&files);
            let Ok(manifest) = Manifest::read(&tree) else {
                continue;
            };
            let wishes = manifest.map(|(_, manifest)| manifest.build).unwrap_or_default();
            let Ok(Some(recipe)) = try_find(&tree, &wishes, &Images::default()) else {
                continue;
            };
            check_words(&recipe.dockerfile);
            for line in instructions(&recipe.dockerfile) {
                let is_json = line.contains("[\"/bin/sh\",\"-c\",") || line.starts_with("CMD [");
                prop_assert!(is_json || !line.contains("evil"), "{}", line);
            }
            // The same instructions in the same order as for a text that means no harm.
            let stages = |text: &str| text.lines().filter(|line| line.starts_with("FROM ")).count();
            let plain: Vec<_> = plain.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
            if let Ok(Some(harmless)) = try_recipe(&plain) {
                prop_assert!(stages(&recipe.dockerfile) <= stages(&harmless.dockerfile) + 1);
            }
            let last = recipe.dockerfile.lines().last().unwrap_or_default().to_owned();
            prop_assert!(last.starts_with("CMD ["), "{}", last);
            let user = recipe.dockerfile.lines().rfind(|line| line.starts_with("USER "));
            prop_assert!(matches!(user, Some("USER 1000:1000" | "USER www-data")), "{:?}", user);
        }
    }
}
