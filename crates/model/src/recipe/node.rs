//! Node.js and Bun: servers, and sites that are built once and served as files.

mod package;

use super::dockerfile::{Dockerfile, Word};
use super::html;
use super::start::{self, Start};
use super::tree::Tree;
use super::version::Choice;
use super::{Draft, Inputs};
use crate::error::{Error, Result};
use package::{Manager, Package};

/// Files of other frameworks, which use Node.js only for their assets.
const OTHERS: [&str; 3] = ["artisan", "bin/rails", "manage.py"];
/// What a package manager reads beside the manifest and its lock file, where it is there.
const SETTINGS: [&str; 3] = [".npmrc", ".yarnrc", ".yarnrc.yml"];
const IGNORE: [&str; 4] = ["node_modules", "**/node_modules", ".next", ".nuxt"];
/// Programs that people start by hand when nothing names one.
const PROGRAMS: [&str; 6] = [
    "server.js",
    "server.mjs",
    "index.js",
    "index.mjs",
    "app.js",
    "main.js",
];
/// What serves while one develops, and is no server for visitors.
const DEV_SERVERS: [&str; 12] = [
    "react-scripts",
    "vite",
    "ng",
    "gatsby",
    "astro",
    "vue-cli-service",
    "parcel",
    "webpack",
    "webpack-dev-server",
    "docusaurus",
    "eleventy",
    "vitepress",
];

/// A framework that makes files: the package that shows it, where the files are, and whether one page
/// answers every path.
struct Site {
    package: &'static str,
    folder: &'static str,
    is_single_page: bool,
}

const fn site(package: &'static str, folder: &'static str, is_single_page: bool) -> Site {
    Site {
        package,
        folder,
        is_single_page,
    }
}

/// Those that are built on others come first.
const SITES: [Site; 9] = [
    site("@sveltejs/adapter-static", "build", true),
    site("astro", "dist", false),
    site("gatsby", "public", false),
    site("@docusaurus/core", "build", false),
    site("@11ty/eleventy", "_site", false),
    site("@vue/cli-service", "dist", true),
    site("react-scripts", "build", true),
    site("parcel", "dist", true),
    site("vite", "dist", true),
];

/// Servers that frameworks build, and what starts them.
const SERVERS: [(&str, &[&str]); 4] = [
    ("nuxt", &["node", ".output/server/index.mjs"]),
    ("@sveltejs/adapter-node", &["node", "build"]),
    ("@astrojs/node", &["node", "dist/server/entry.mjs"]),
    ("@nestjs/core", &["node", "dist/main.js"]),
];

pub(super) fn detect(tree: &Tree) -> Option<&'static str> {
    let is_other = tree.first_of(&OTHERS).is_some();
    (tree.has("package.json") && !is_other).then_some("it has a package.json")
}

/// What becomes of the app.
enum Shape {
    /// Files in a folder.
    Site { folder: Word, is_single_page: bool },
    /// A server.
    Server(Start),
    /// Next.js's own small server.
    Standalone,
}

pub(super) fn write(inputs: &Inputs<'_>) -> Result<Draft> {
    let package = Package::read(inputs.tree)?;
    let image = image(inputs, &package);
    let shape = shape(inputs, &package)?;
    let mut notes = Vec::new();
    if package.lock.is_none() {
        notes.push(format!(
            "there is no lock file, so each build may get other versions: commit the one that {} writes",
            package.manager.program()
        ));
    }
    let mut draft = Draft {
        dockerfile: Dockerfile::default(),
        ignore: IGNORE.to_vec(),
        notes,
    };
    let out = &mut draft.dockerfile;
    let build = build_command(inputs, &package)?;
    match shape {
        Shape::Site {
            folder,
            is_single_page,
        } => {
            if build.is_none() {
                return Err(Error::invalid(
                    "package.json has no `build` script; add one, or set build.build in tose.json",
                ));
            }
            out.stage(&image, "build");
            out.line("WORKDIR /app");
            install(out, inputs, &package, Dependencies::All)?;
            run_build(out, inputs, build);
            html::serve(
                out,
                inputs.images,
                ("build", ("/app/", &folder, "/")),
                is_single_page,
            );
            draft.ignore.extend(html::IGNORE);
        }
        Shape::Standalone => {
            out.stage(&image, "build");
            out.line("WORKDIR /app");
            install(out, inputs, &package, Dependencies::All)?;
            run_build(out, inputs, build);
            if !inputs.tree.has_folder("public") {
                out.line("RUN mkdir -p public");
            }
            out.from(&image);
            out.line("ENV NODE_ENV=production HOSTNAME=0.0.0.0");
            out.app_folder();
            out.copy_stage_owned("build", "/app/.next/standalone");
            out.line("COPY --from=build --chown=1000:1000 /app/.next/static ./.next/static");
            out.line("COPY --from=build --chown=1000:1000 /app/public ./public");
            out.app_user();
            out.start(&Start::program(&["node", "server.js"]));
        }
        Shape::Server(start) => write_server(out, inputs, &package, &image, build, &start)?,
    }
    Ok(draft)
}

fn write_server(
    out: &mut Dockerfile,
    inputs: &Inputs<'_>,
    package: &Package,
    image: &str,
    build: Option<String>,
    start: &Start,
) -> Result<()> {
    let is_built = build.is_some();
    if is_built {
        out.stage(image, "build");
        out.line("WORKDIR /app");
        install(out, inputs, package, Dependencies::All)?;
        run_build(out, inputs, build);
        if inputs.wishes.install.is_none()
            && let Some(prune) = package.manager.prune(package.is_modern_yarn(inputs.tree))
        {
            out.line(prune);
        }
    }
    out.from(image);
    out.line("ENV NODE_ENV=production HOST=0.0.0.0 PATH=/app/node_modules/.bin:$PATH");
    out.app_folder();
    if is_built {
        out.copy_stage_owned("build", "/app");
    } else {
        install(out, inputs, package, Dependencies::Production)?;
    }
    out.app_user();
    out.start(start);
    Ok(())
}

fn image(inputs: &Inputs<'_>, package: &Package) -> String {
    if package.manager == Manager::Bun {
        return inputs.images.bun.clone();
    }
    let files = [".nvmrc", ".node-version"];
    let file = files.iter().map(|file| inputs.tree.text(file).trim());
    let wanted = package
        .node_range
        .as_deref()
        .or_else(|| file.into_iter().find(|text| !text.is_empty()));
    Choice::make(&inputs.images.node, wanted, 1).apply(&inputs.images.node)
}

fn shape(inputs: &Inputs<'_>, package: &Package) -> Result<Shape> {
    if let Some(folder) = inputs.wishes.static_folder()? {
        let found = SITES.iter().find(|site| package.depends_on(site.package));
        let is_single_page = found.is_some_and(|site| site.is_single_page);
        return Ok(Shape::Site {
            folder,
            is_single_page,
        });
    }
    if let Some(start) = start::stated(inputs)? {
        return Ok(Shape::Server(start));
    }
    if package.depends_on("next") {
        let config = ["js", "mjs", "ts", "cjs"];
        let config = config.map(|end| inputs.tree.text(&format!("next.config.{end}")));
        match next_output(&config.concat()) {
            Some("export") => return Ok(files("out", false)),
            Some("standalone") => return Ok(Shape::Standalone),
            _ => {}
        }
    }
    let server = SERVERS.iter().find(|(name, _)| package.depends_on(name));
    let site = SITES.iter().find(|site| package.depends_on(site.package));
    if let Some(script) = package.script("start") {
        let program = script.split_whitespace().next().unwrap_or_default();
        let serves_visitors = site.is_none() || !DEV_SERVERS.contains(&program);
        if serves_visitors && !(server.is_some() && program == "nest") {
            return Ok(Shape::Server(package.start(script)));
        }
    }
    if let Some((_, words)) = server {
        return Ok(Shape::Server(Start::program(words)));
    }
    if let Some(site) = site {
        return Ok(files(site.folder, site.is_single_page));
    }
    if package.depends_on("next") {
        return Ok(Shape::Server(Start::program(&["next", "start"])));
    }
    let main = package
        .main
        .as_ref()
        .filter(|main| inputs.tree.has(main.as_str()));
    if let Some(main) = main
        .map(Word::as_str)
        .or_else(|| inputs.tree.first_of(&PROGRAMS))
    {
        let program = match package.manager {
            Manager::Bun => "bun",
            _ => "node",
        };
        return Ok(Shape::Server(Start::program(&[program, main])));
    }
    Err(start::unknown(
        "package.json has no `start` script and there is no server.js or index.js",
    ))
}

fn files(folder: &str, is_single_page: bool) -> Shape {
    Shape::Site {
        folder: Word::parse(folder).expect("our folders are words"),
        is_single_page,
    }
}

/// The value of `output` in Next.js's configuration, which is a program and cannot be run here.
fn next_output(config: &str) -> Option<&'static str> {
    let mut rest = config;
    while let Some((_, after)) = rest.split_once("output") {
        let value = after.trim_start().strip_prefix(':').map(str::trim_start);
        for known in ["export", "standalone"] {
            let is_known = value.is_some_and(|value| {
                let value = value.trim_start_matches(['"', '\'', '`']);
                value
                    .strip_prefix(known)
                    .is_some_and(|rest| rest.starts_with(['"', '\'', '`']))
            });
            if is_known {
                return Some(known);
            }
        }
        rest = after;
    }
    None
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Dependencies {
    All,
    Production,
}

/// Installs what the lock file says and copies the rest: in this order where only the lock files decide.
fn install(
    out: &mut Dockerfile,
    inputs: &Inputs<'_>,
    package: &Package,
    which: Dependencies,
) -> Result<()> {
    let tree = inputs.tree;
    let is_modern_yarn = package.is_modern_yarn(tree);
    match package.manager {
        Manager::Pnpm => out.run_version("npm install --global pnpm@", &package.pnpm_version(tree)),
        Manager::Yarn if is_modern_yarn => out.line("RUN corepack enable"),
        _ => {}
    }
    let is_alone = !package.has_workspaces && !tree.has("pnpm-workspace.yaml");
    let has_schema = package.depends_on("prisma") || package.depends_on("@prisma/client");
    let is_early = is_alone
        && !has_schema
        && inputs.wishes.install.is_none()
        && !tree.has_folder(".yarn")
        && !tree.has_folder("patches");
    if is_early {
        let mut early = vec!["package.json"];
        early.extend(package.lock);
        early.extend(SETTINGS.into_iter().filter(|file| tree.has(file)));
        out.copy(&early);
    } else {
        copy_all(out, which);
    }
    match inputs.wishes.install()? {
        Some(command) => out.run(&command),
        None => out.line(package.install(is_modern_yarn, which == Dependencies::All)),
    }
    if is_early {
        copy_all(out, which);
    }
    Ok(())
}

fn copy_all(out: &mut Dockerfile, which: Dependencies) {
    match which {
        Dependencies::All => out.line("COPY . ."),
        Dependencies::Production => out.copy_all_owned(),
    }
}

fn build_command(inputs: &Inputs<'_>, package: &Package) -> Result<Option<String>> {
    if let Some(command) = inputs.wishes.build()? {
        return Ok(Some(command));
    }
    let script = package.script("build");
    Ok(script.map(|_| format!("{} run build", package.manager.program())))
}

fn run_build(out: &mut Dockerfile, inputs: &Inputs<'_>, build: Option<String>) {
    if let Some(command) = build {
        out.build(&command, inputs.variables);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_of_next_is_read_from_its_configuration() {
        assert_eq!(
            next_output("module.exports = { output: 'export' }"),
            Some("export")
        );
        assert_eq!(
            next_output("{\n  output : \"standalone\",\n}"),
            Some("standalone")
        );
        assert_eq!(next_output("// output\n{ outputFileTracing: true }"), None);
        assert_eq!(next_output("{ output: mode }"), None);
    }
}
