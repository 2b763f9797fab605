//! Node.js at run time, and the frameworks on it.

use super::{BASE, CERTAIN, HINT, LIKELY, POSSIBLE, Pattern};

pub(super) const TABLE: &[Pattern] = &[
    Pattern {
        id: "node-missing-module",
        title: "The package {module} is not installed",
        texts: &[
            "Cannot find module '{module}'",
            "Cannot find package '{module}' imported from",
            "Cannot find package '{module}' from",
            "Cannot find package '{module}'",
        ],
        unless: &[
            "Cannot find module '.",
            "Cannot find module '/",
            "error TS2307",
            "Cannot find module 'file:",
        ],
        fix: "Add {module} to `dependencies` in package.json (not only to `devDependencies`) and commit the lock file.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "node-missing-file",
        title: "The program wants the file {file}, which is not in the image",
        texts: &[
            "Cannot find module './{file}'",
            "Cannot find module '../{file}'",
            "Cannot find module '/{file}' imported from",
            "Cannot find module 'file:{file}'",
        ],
        unless: &["error TS2307", ".node'"],
        fix: "Check that {file} is committed and written with the same upper and lower case, that the build has made it, and that the start command names it where the build puts it. In an ES module an import needs the ending, such as .js.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "node-start-file",
        title: "The program wants the file /{file}, which is not in the image",
        texts: &["Cannot find module '/{file}'"],
        unless: &["imported from", "error TS2307", ".node'"],
        fix: "Name the file in the start command where the build puts it (dist, build or src), as seen from the folder that the app starts in, and check that it is committed or built.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "node-native-package",
        title: "The native part {package|of a package} is not there for this platform",
        texts: &[
            "Could not load the \"{package}\" module using the {runtime} runtime",
            "You installed {package} for another platform than the one you're currently using",
            "Cannot find module @{package}. npm has a bug related to optional dependencies",
            "Cannot find module '{package}.node'",
            "Cannot find native binding",
            "Failed to load native binding",
            "Could not locate the bindings file",
            "invalid ELF header",
            "Failed to load SWC binary for {package}",
        ],
        fix: "Install the packages in the image that runs them: keep node_modules out with .dockerignore, make the lock file anew with all platforms (remove it and node_modules, then `npm install`), and do not leave optional packages out.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "node-abi",
        title: "A native package was built for another version of Node.js",
        texts: &[
            "was compiled against a different Node.js version",
            "NODE_MODULE_VERSION {version#}",
        ],
        fix: "Build and run with the same version of Node.js, and keep node_modules out of the source with .dockerignore.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "node-require-of-esm",
        title: "The code loads an ES module with require(): {module}",
        texts: &[
            "require() of ES Module {module} from",
            "require() of ES Module {module} not supported",
            "Must use import to load ES Module: {module}",
            "require() cannot be used on an ESM graph with top-level await{module*}",
        ],
        fix: "Use Node.js 22.12 or newer, or load it with `await import()`, or take the last version of the package that is CommonJS.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "node-import-outside-module",
        title: "A file uses import or export and is read as CommonJS",
        texts: &[
            "Cannot use import statement outside a module",
            "SyntaxError: Unexpected token 'export'",
            "To load an ES module, set \"type\": \"module\"",
        ],
        fix: "Set \"type\": \"module\" in package.json or name the file .mjs; for TypeScript start what the build has made, not the source.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "node-commonjs-in-module",
        title: "The code uses {name}, which ES modules do not have",
        texts: &["ReferenceError: {name} is not defined in ES module scope"],
        fix: "Write it with import and import.meta in place of {name}, or name the file .cjs, or take \"type\": \"module\" out of package.json.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "node-missing-export",
        title: "A module has no export named {name}",
        texts: &[
            "does not provide an export named '{name}'",
            "Named export '{name}' not found",
        ],
        fix: "Check the version of the package and the name {name}; of a CommonJS package import the default and take {name} from it; of a type write `import type`.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "node-unknown-extension",
        title: "Node.js cannot run {file}",
        texts: &["Unknown file extension \"{extension}\" for {file}"],
        fix: "Build TypeScript to JavaScript and start that, or start it with tsx; version 22.18 and newer run simple TypeScript themselves.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "node-import-path",
        title: "Node.js does not allow the import of {path}",
        texts: &[
            "Directory import '{path}' is not supported",
            "Package subpath '{path}' is not defined by \"exports\"",
            "No \"exports\" main defined in {path}",
        ],
        fix: "Write the import as the package offers it, with the full file name; an older or newer version of the package may have had {path}.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "node-too-old",
        title: "The version of Node.js is too old for the code",
        texts: &[
            "SyntaxError: Unexpected token '??='",
            "SyntaxError: Unexpected token '||='",
            "SyntaxError: Unexpected token '?'",
            "SyntaxError: Unexpected token '.'",
            "SyntaxError: Unexpected token 'with'",
            "The engine \"node\" is incompatible with this module",
            "For Next.js, Node.js version",
            "Vite requires Node.js version",
            "is not supported by Astro",
            "requires Node.js version",
            "requires a minimum Node.js version of",
            "ReferenceError: fetch is not defined",
            "ReferenceError: File is not defined",
            "ReferenceError: crypto is not defined",
            "crypto.getRandomValues is not a function",
            "crypto.hash is not a function",
            "node:util' does not provide an export named 'styleText'",
            "ERR_UNKNOWN_BUILTIN_MODULE",
            "npm error notsup Required: {required*}",
            "ERR_PNPM_UNSUPPORTED_ENGINE",
        ],
        fix: "Name a newer version in package.json, such as \"engines\": {\"node\": \"22.x\"}, or in .nvmrc.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "node-openssl",
        title: "An old build tool uses a digest that Node.js 17 and newer do not allow",
        texts: &[
            "error:0308010C:digital envelope routines::unsupported",
            "ERR_OSSL_EVP_UNSUPPORTED",
        ],
        fix: "Update webpack or react-scripts to version 5; until then set NODE_OPTIONS=--openssl-legacy-provider for the build.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "node-option",
        title: "Node.js does not take the option {option}",
        texts: &[
            "node: bad option: {option}",
            "{option} is not allowed in NODE_OPTIONS",
            "node: bad option: {option} ",
        ],
        fix: "Take {option} out of the start command or NODE_OPTIONS, or name a version of Node.js that has it.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "node-syntax",
        title: "A file of the app is no valid JavaScript: {what}",
        texts: &["SyntaxError: {what*}"],
        near: &[
            "node:internal",
            "at wrapSafe",
            "at Module._compile",
            "at compileSourceTextModule",
            "at internalCompileFunction",
        ],
        unless: &["JSON", "does not provide an export", "Named export"],
        fix: "Correct the place shown above the message; if it is new syntax, name a newer version of Node.js in package.json.",
        confidence: LIKELY,
        ..BASE
    },
    Pattern {
        id: "node-undefined",
        title: "The code reads {property} of a value that is not there",
        texts: &[
            "Cannot read properties of undefined (reading '{property}')",
            "Cannot read properties of null (reading '{property}')",
            "Cannot read property '{property}' of undefined",
            "Cannot read property '{property}' of null",
            "Cannot set properties of undefined (setting '{property}')",
            "Cannot destructure property '{property}' of",
        ],
        fix: "Look at the shown line of the app: what comes before .{property} is undefined there, often a variable or an answer that is missing.",
        confidence: LIKELY,
        ..BASE
    },
    Pattern {
        id: "bun-undefined",
        title: "The code uses a value that is not there: {expression}",
        texts: &[
            "undefined is not an object (evaluating '{expression*}')",
            "null is not an object (evaluating '{expression*}')",
        ],
        fix: "Look at the shown line of the app: a part of {expression} is undefined there, often a variable or an answer that is missing.",
        confidence: LIKELY,
        ..BASE
    },
    Pattern {
        id: "node-not-a-function",
        title: "The code calls {name}, which is no function",
        texts: &[
            "TypeError: {name*} is not a function",
            "TypeError: {name*} is not a constructor",
            "TypeError: {name*} is not iterable",
        ],
        fix: "Look at the shown line: often an import takes the module in place of its default, or the package has another version than the code expects.",
        confidence: LIKELY,
        ..BASE
    },
    Pattern {
        id: "node-not-defined",
        title: "The code uses {name}, which is not defined",
        texts: &[
            "ReferenceError: {name} is not defined",
            "ReferenceError: Cannot access '{name}' before initialization",
        ],
        fix: "Import or declare {name} before it is used. Names of browsers such as window, document and localStorage are not there on the server.",
        confidence: LIKELY,
        ..BASE
    },
    Pattern {
        id: "node-unhandled-rejection",
        title: "A promise failed and nothing in the code handled it",
        texts: &[
            "This error originated either by throwing inside of an async function without a catch block",
            "UnhandledPromiseRejectionWarning: {what*}",
            "ERR_UNHANDLED_REJECTION",
        ],
        fix: "Put `await` into try and catch or add .catch() where the shown error begins: Node.js ends the process otherwise.",
        confidence: POSSIBLE,
        ..BASE
    },
    Pattern {
        id: "node-unhandled-event",
        title: "An error event had nobody who listens",
        texts: &[
            "throw er; // Unhandled 'error' event",
            "Unhandled 'error' event",
            "ERR_UNHANDLED_ERROR",
        ],
        fix: "Add .on('error', …) to the socket, stream or client that the shown error comes from.",
        confidence: HINT,
        ..BASE
    },
    Pattern {
        id: "node-headers-sent",
        title: "The code answers one request twice",
        texts: &[
            "ERR_HTTP_HEADERS_SENT",
            "Cannot set headers after they are sent to the client",
        ],
        fix: "Return after the first answer in the shown handler, and do not call next() after it.",
        confidence: LIKELY,
        ..BASE
    },
    Pattern {
        id: "node-route-path",
        title: "A route's path is written in a way that this version of Express does not take",
        texts: &[
            "Missing parameter name at",
            "PathError [TypeError]: Missing parameter name",
            "Unexpected ? at {position#}, expected",
        ],
        near: &[
            "path-to-regexp",
            "pathToRegexp",
            "git.new/pathToRegexpError",
        ],
        fix: "Write `/*splat` in place of `*` and `{/:id}` in place of `/:id?`, as Express 5 wants it, or stay at Express 4.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "node-typescript-run",
        title: "TypeScript refused the source when it was started",
        texts: &[
            "TSError: ⨯ Unable to compile TypeScript",
            "error TS{code#}: {what*} ts-node",
        ],
        fix: "Correct the errors below it, and better build with tsc and start the JavaScript that it makes.",
        confidence: LIKELY,
        more: 3,
        ..BASE
    },
    Pattern {
        id: "node-dev-watcher",
        title: "A development tool waits for changed files after the app crashed",
        texts: &[
            "[nodemon] app crashed - waiting for file changes before starting",
            "Failed running '{file}'. Waiting for file changes before restarting",
        ],
        fix: "Start the app with node alone: then the platform sees the crash and starts it again.",
        confidence: HINT,
        ..BASE
    },
    Pattern {
        id: "next-no-build",
        title: "Next.js was started without having been built",
        texts: &[
            "Could not find a production build in the",
            ".next/BUILD_ID'",
            "required-server-files.json'",
        ],
        fix: "Run `next build` in the build, and keep .next in the image (see .dockerignore).",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "next-standalone",
        title: "Next.js was built as standalone and started with next start",
        texts: &[
            "\"next start\" does not work with \"output: standalone\" configuration",
            "\"next start\" does not work with \"output: export\" configuration",
        ],
        fix: "Start `node .next/standalone/server.js`; for \"output: export\" serve the folder out as files.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "nest-dependency",
        title: "NestJS cannot build {provider}",
        texts: &["Nest can't resolve dependencies of the {provider}"],
        fix: "Provide what stands at the place of the question mark in the module of {provider}, or import the module that exports it.",
        confidence: CERTAIN,
        ..BASE
    },
];
