//! Builds with npm, pnpm, Yarn, Bun and Deno, and what bundlers and compilers say.

use super::{BASE, CERTAIN, HINT, LIKELY, Pattern};

pub(super) const TABLE: &[Pattern] = &[
    Pattern {
        id: "npm-peer-conflict",
        title: "npm cannot find versions that fit together",
        texts: &[
            "npm error code ERESOLVE",
            "npm ERR! code ERESOLVE",
            "ERESOLVE unable to resolve dependency tree",
            "ERESOLVE could not resolve",
        ],
        fix: "Raise or lower the package that it shows, so that its peer fits, and commit the lock file; or put `legacy-peer-deps=true` into .npmrc.",
        confidence: CERTAIN,
        more: 10,
        ..BASE
    },
    Pattern {
        id: "npm-missing-script",
        title: "package.json has no script {script}",
        texts: &[
            "Missing script: \"{script}\"",
            "missing script: {script}",
            "error Command \"{script}\" not found",
            "Couldn't find a script named \"{script}\"",
            "error: Script not found \"{script}\"",
            "ERR_PNPM_NO_SCRIPT_OR_SERVER  Missing script {script} or",
            "ERR_PNPM_RECURSIVE_EXEC_FIRST_FAIL  Command \"{script}\" not found",
        ],
        fix: "Add {script} to `scripts` in package.json, or name another command in the project's settings.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "npm-no-package",
        title: "There is no package.json where the package manager looks",
        texts: &[
            "npm error enoent Could not read package.json",
            "npm ERR! enoent ENOENT: no such file or directory, open '{path}package.json'",
            "ERR_PNPM_NO_IMPORTER_MANIFEST_FOUND",
            "ERR_PNPM_NO_PKG_MANIFEST",
            "Couldn't find a package.json file in",
            "error: Couldn't find a package.json",
        ],
        fix: "Commit package.json, or set the project's folder to the one that has it.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "npm-lock-stale",
        title: "The lock file does not fit package.json",
        texts: &[
            "can only install packages when your package.json and package-lock.json",
            "ERR_PNPM_OUTDATED_LOCKFILE",
            "Cannot install with \"frozen-lockfile\" because pnpm-lock.yaml is not up to date",
            "The lockfile would have been modified by this install, which is explicitly forbidden",
            "Your lockfile needs to be updated, but yarn was run with `--frozen-lockfile`",
            "lockfile had changes, but lockfile is frozen",
            "ERR_PNPM_LOCKFILE_CONFIG_MISMATCH",
        ],
        fix: "Run the package manager's install at home and commit the lock file together with package.json.",
        confidence: CERTAIN,
        more: 4,
        ..BASE
    },
    Pattern {
        id: "npm-no-lock",
        title: "The lock file is missing",
        texts: &[
            "can only install with an existing package-lock.json",
            "ERR_PNPM_NO_LOCKFILE",
            "The lockfile would have been created by this install, which is explicitly forbidden",
        ],
        fix: "Run the package manager's install at home and commit its lock file; look whether .gitignore or .dockerignore leaves it out.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "pnpm-lock-version",
        title: "The lock file is of another version of the package manager",
        texts: &[
            "ERR_PNPM_LOCKFILE_BREAKING_CHANGE",
            "Ignoring not compatible lockfile at",
            "Unknown lockfile version",
        ],
        fix: "Name the version that wrote it in package.json, such as \"packageManager\": \"pnpm@10.12.1\", or write the lock file anew.",
        confidence: LIKELY,
        ..BASE
    },
    Pattern {
        id: "npm-package-unknown",
        title: "The package {package|that it names} is not in the registry",
        texts: &[
            "npm error 404  '{package}' is not in this registry",
            "npm error 404  The requested resource '{package}' could not be found",
            "npm error 404 Not Found - GET {package}",
            "npm ERR! 404 Not Found - GET {package}",
            "ERR_PNPM_FETCH_404",
            "error Couldn't find package \"{package}\" on the",
            "error: GET https://{package} - 404",
        ],
        fix: "Check its name in package.json. A private package needs an .npmrc with its registry and a token that the build gets as a secret.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "npm-version-unknown",
        title: "There is no version of {package} as asked for",
        texts: &[
            "No matching version found for {package}",
            "ERR_PNPM_NO_MATCHING_VERSION  No matching version found for {package}",
            "Couldn't find any versions for \"{package}\" that matches",
            "error: No version matching \"{version}\" found for specifier \"{package}\"",
        ],
        fix: "Name a version of {package} in package.json that is published, and commit the lock file.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "npm-unauthorized",
        title: "The registry wants credentials",
        texts: &[
            "npm error code E401",
            "npm ERR! code E401",
            "npm error code E403",
            "npm ERR! code E403",
            "ERR_PNPM_FETCH_401",
            "ERR_PNPM_FETCH_403",
        ],
        fix: "Give the build a token as a secret, and use it in .npmrc as ${NPM_TOKEN}.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "npm-integrity",
        title: "A package is not what the lock file says",
        texts: &[
            "npm error code EINTEGRITY",
            "npm ERR! code EINTEGRITY",
            "ERR_PNPM_TARBALL_INTEGRITY",
            "YN0018",
            "IntegrityCheckFailed",
        ],
        fix: "Remove the lock file and node_modules at home, install anew, and commit the lock file.",
        confidence: CERTAIN,
        more: 1,
        ..BASE
    },
    Pattern {
        id: "npm-json",
        title: "package.json is no valid JSON",
        texts: &[
            "npm error code EJSONPARSE",
            "npm ERR! code EJSONPARSE",
            "package.json is not actually JSON",
            "ERR_PNPM_JSON_PARSE",
            "Invalid package.json",
        ],
        fix: "Correct it: a comma too many or too few, or marks of a merge that was not finished.",
        confidence: CERTAIN,
        more: 3,
        ..BASE
    },
    Pattern {
        id: "npm-network",
        title: "The package manager could not reach the registry",
        texts: &[
            "npm error code ECONNRESET",
            "npm error code ETIMEDOUT",
            "npm error code EAI_AGAIN",
            "npm error network request to",
            "ERR_PNPM_META_FETCH_FAIL",
            "There appears to be trouble with your network connection",
        ],
        fix: "Deploy again. If it stays, ask the operator whether builds reach the registry.",
        confidence: LIKELY,
        ..BASE
    },
    Pattern {
        id: "package-manager-mismatch",
        title: "package.json names another package manager than the one that runs",
        texts: &[
            "This project is configured to use {manager}",
            "This project's package.json defines \"packageManager\": \"{manager}\"",
            "ERR_PNPM_BAD_PM_VERSION",
            "Unsupported URL Type \"workspace:\"",
            "Cannot find matching keyid",
        ],
        fix: "Keep the lock file of one package manager only, the one that \"packageManager\" names; workspace: needs pnpm, Yarn or Bun. An old Corepack needs an update: `npm install -g corepack@latest`.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "node-gyp",
        title: "A native package could not be compiled",
        texts: &[
            "gyp ERR! find Python",
            "gyp ERR! build error",
            "gyp ERR! stack Error: not found: make",
            "gyp ERR! configure error",
        ],
        fix: "Install python3, make and g++ in the image that builds, or take a version of the package with a ready build for this Node.js.",
        confidence: LIKELY,
        ..BASE
    },
    Pattern {
        id: "typescript-module",
        title: "TypeScript does not find {module}",
        texts: &[
            "error TS2307: Cannot find module '{module}'",
            "error TS7016: Could not find a declaration file for module '{module}'",
            "TS2307: Cannot find module '{module}'",
            "Type error: Cannot find module '{module}'",
            "Type error: Could not find a declaration file for module '{module}'",
        ],
        fix: "Add {module} (and its @types package) to package.json, or correct the path: upper and lower case differ here. If it is in devDependencies, the build has to install those.",
        confidence: CERTAIN,
        is_first: true,
        ..BASE
    },
    Pattern {
        id: "typescript-error",
        title: "TypeScript refused the source: {what}",
        texts: &["error TS{code#}: {what*}", "Type error: {what*}"],
        fix: "Correct the place that it names; `npx tsc --noEmit` shows the same at home.",
        confidence: LIKELY,
        is_first: true,
        more: 3,
        ..BASE
    },
    Pattern {
        id: "bundler-unresolved",
        title: "The bundler does not find {module}",
        texts: &[
            "Rollup failed to resolve import \"{module}\"",
            "Module not found: Can't resolve '{module}'",
            "Module not found: Error: Can't resolve '{module}'",
            "Could not resolve \"{module}\"",
            "Could not resolve '{module}'",
            "Failed to resolve import \"{module}\"",
            "Could not load {module} (imported by",
            "error: Could not resolve: \"{module}\"",
        ],
        fix: "Add the package to package.json, or correct the path {module}: upper and lower case differ here.",
        confidence: CERTAIN,
        is_first: true,
        ..BASE
    },
    Pattern {
        id: "bundler-missing-export",
        title: "The bundler finds no export {name}",
        texts: &[
            "\"{name}\" is not exported by",
            "Attempted import error: '{name}' is not exported from",
            "No matching export in \"{file}\" for import \"{name}\"",
            "export '{name}' (imported as",
            "The export {name} was not found in module",
        ],
        fix: "Check the name {name} and the version of the package: it may have moved.",
        confidence: LIKELY,
        is_first: true,
        ..BASE
    },
    Pattern {
        id: "bundler-syntax",
        title: "The bundler cannot read a file: {what}",
        texts: &[
            "RollupError: {what*}",
            "Module parse failed: {what*}",
            "SyntaxError: /{what*}",
            "[ERROR] {what*} [plugin ",
            "Transform failed with {what*}",
        ],
        fix: "Correct the place that is shown below it.",
        confidence: LIKELY,
        is_first: true,
        more: 4,
        ..BASE
    },
    Pattern {
        id: "vite-plugin",
        title: "Vite could not build: {what}",
        texts: &["[vite:{plugin}] {what*}", "[plugin {plugin}] {what*}"],
        near: &["error during build", "Build failed in"],
        fix: "Correct the place that is shown below it.",
        confidence: LIKELY,
        is_first: true,
        more: 4,
        ..BASE
    },
    Pattern {
        id: "next-prerender",
        title: "Next.js could not render {page} in the build",
        texts: &[
            "Error occurred prerendering page \"{page}\"",
            "should be wrapped in a suspense boundary at page \"{page}\"",
            "Failed to collect page data for {page}",
        ],
        fix: "Look at the error beside it. A page that needs a database or a variable at build time can be rendered on request with `export const dynamic = \"force-dynamic\"`.",
        confidence: LIKELY,
        is_first: true,
        more: 2,
        ..BASE
    },
    Pattern {
        id: "next-compile",
        title: "Next.js could not compile the app",
        texts: &[
            "Failed to compile.",
            "Build failed because of webpack errors",
            "Build failed because of Turbopack errors",
            "Export encountered errors on following paths",
            "Export encountered an error on",
        ],
        fix: "Look at the first error below or above it; `npm run build` shows the same at home.",
        confidence: HINT,
        more: 4,
        ..BASE
    },
    Pattern {
        id: "warnings-as-errors",
        title: "Warnings stop the build since CI is true",
        texts: &["Treating warnings as errors because process.env.CI = true"],
        fix: "Correct the warnings, or build with CI=false: `CI=false npm run build`.",
        confidence: CERTAIN,
        more: 6,
        ..BASE
    },
    Pattern {
        id: "eslint-errors",
        title: "ESLint found {errors} errors, and the build stops at them",
        texts: &[
            "problems ({errors#} errors",
            "problem ({errors#} error",
            "problems ({errors#} error,",
        ],
        unless: &["(0 errors"],
        fix: "Correct them (`npx eslint --fix`), or take the check out of the build.",
        confidence: LIKELY,
        ..BASE
    },
    Pattern {
        id: "tailwind-postcss",
        title: "Tailwind CSS 4 is used in the way of version 3",
        texts: &["trying to use `tailwindcss` directly as a PostCSS plugin"],
        fix: "Install @tailwindcss/postcss and name it in postcss.config in place of tailwindcss, or stay at version 3.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "angular-budget",
        title: "The Angular app is larger than its budget",
        texts: &["exceeded maximum budget"],
        fix: "Make it smaller (lazy routes), or raise `budgets` in angular.json.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "site-adapter",
        title: "The site needs an adapter for a server",
        texts: &[
            "Could not detect a supported production environment",
            "Cannot use server-rendered pages without an adapter",
            "Cannot use `output: 'server'`",
            "[NoAdapterInstalled]",
        ],
        fix: "Install the adapter for Node.js: @sveltejs/adapter-node for SvelteKit, @astrojs/node for Astro; or build a static site.",
        confidence: LIKELY,
        ..BASE
    },
    Pattern {
        id: "deno-permission",
        title: "Deno was not given access to {what}",
        texts: &[
            "NotCapable: Requires {what*} access",
            "PermissionDenied: Requires {what*} access",
        ],
        fix: "Add the option that the message names to the start command, such as --allow-net, --allow-env or --allow-read.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "deno-module",
        title: "Deno does not find {module}",
        texts: &[
            "error: Module not found \"{module}\"",
            "Relative import path \"{module}\" not prefixed with / or ./ or ../",
            "Import \"{module}\" not a dependency",
        ],
        fix: "Commit the file, or add {module} to `imports` in deno.json (`deno add`).",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "deno-lock",
        title: "deno.lock does not fit the modules",
        texts: &[
            "does not match the expected hash in the lock file",
            "The lockfile is out of date",
            "Integrity check failed for remote specifier",
        ],
        fix: "Run `deno install` (or `deno cache --reload`) and commit deno.lock.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "npm-script-failed",
        title: "The script of package.json ended with an error",
        texts: &[
            "npm error Lifecycle script `{script}` failed",
            "npm ERR! errno {code#}",
            "npm error command failed",
            "ELIFECYCLE",
            "error Command failed with exit code {code#}",
        ],
        fix: "Look at the first error above it.",
        confidence: HINT,
        ..BASE
    },
];
