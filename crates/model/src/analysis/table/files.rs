//! Files and programs that are missing, may not be used, or do not fit.

use super::{BASE, CERTAIN, LIKELY, Pattern};

pub(super) const TABLE: &[Pattern] = &[
    Pattern {
        id: "file-read-only",
        title: "The app writes to {path|a place}, which is read-only",
        texts: &[
            "EROFS: read-only file system, {call} '{path}'",
            "[Errno 30] Read-only file system: '{path}'",
            "open {path}: read-only file system",
            "mkdir {path}: read-only file system",
            "Read-only file system @ {call} - {path}",
            "Read-only file system",
            "read-only file system",
        ],
        fix: "Write temporary files below /tmp, and what has to stay into a volume.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "file-permission",
        title: "The app may not use {path|a file}",
        texts: &[
            "EACCES: permission denied, {call} '{path}'",
            "[Errno 13] Permission denied: '{path}'",
            "open {path}: permission denied",
            "mkdir {path}: permission denied",
            "java.nio.file.AccessDeniedException: {path}",
            "Permission denied @ {call} - {path}",
            "({path}): Failed to open stream: Permission denied",
            "({path}): failed to open stream: Permission denied",
            "Access to the path '{path}' is denied",
            "Permission denied (os error 13)",
            "kind: PermissionDenied",
            "EPERM: operation not permitted, {call} '{path}'",
        ],
        fix: "Write below /tmp or into a volume, or give {path|the file} to the user that the image runs as (`COPY --chown`, `chown` before `USER`).",
        confidence: LIKELY,
        ..BASE
    },
    Pattern {
        id: "file-missing",
        title: "The file {path|that the app opens} does not exist",
        texts: &[
            "ENOENT: no such file or directory, {call} '{path}'",
            "[Errno 2] No such file or directory: '{path}'",
            "open {path}: no such file or directory",
            "java.io.FileNotFoundException: {path} (No such file or directory)",
            "java.nio.file.NoSuchFileException: {path}",
            "({path}): Failed to open stream: No such file or directory",
            "({path}): failed to open stream: No such file or directory",
            "No such file or directory @ {call} - {path}",
            "Could not find file '{path}'",
            "Could not find a part of the path '{path}'",
            "kind: NotFound, message: \"No such file or directory\"",
            "No such file or directory (os error 2)",
            "can't open file '{path}': [Errno 2]",
            "sh: 0: cannot open {path}: No such file",
        ],
        fix: "Commit {path|the file} and check that no .dockerignore leaves it out; paths are relative to the working directory of the image, and upper and lower case differ.",
        confidence: LIKELY,
        ..BASE
    },
    Pattern {
        id: "command-not-found",
        title: "The program {command} is not in the image",
        texts: &[
            "{command}: command not found",
            "sh: {line#}: {command}: not found",
            "sh: line {line#}: {command}: not found",
            "sh: {command}: not found",
            "exec: \"{command}\": executable file not found in $PATH",
            "exec: {command}: not found",
            "env: ‘{command}’: No such file or directory",
            "env: '{command}': No such file or directory",
            "spawn {command} ENOENT",
            "[Errno 2] No such file or directory: '{command}': 'exec",
        ],
        unless: &["\\r", "git: command"],
        fix: "Install {command} in the image or add the package that has it to the dependencies; a tool that only the build needs has to be there in the build.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "script-line-ends",
        title: "A script has the line ends of Windows",
        texts: &[
            "$'\\r': command not found",
            "bash\\r’: No such file or directory",
            "sh\\r’: No such file or directory",
            "python3\\r’: No such file or directory",
            "node\\r’: No such file or directory",
            "python\\r’: No such file or directory",
            "^M: bad interpreter",
            "use -[v]S to pass options in shebang lines",
        ],
        fix: "Save the script with Unix line ends (LF), and put `*.sh text eol=lf` into .gitattributes.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "script-interpreter",
        title: "The interpreter {interpreter|that the script names} is not in the image",
        texts: &[
            "{interpreter}: bad interpreter: No such file or directory",
            "cannot execute: required file not found",
        ],
        unless: &["^M"],
        fix: "Name an interpreter in the first line that the image has: Alpine has `/bin/sh` but no bash. A program made for another C library needs the base image it was built on.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "entrypoint-missing",
        title: "The start program {path} is not in the image",
        texts: &[
            "exec {path}: no such file or directory",
            "exec: \"{path}\": stat {other}: no such file or directory",
            "exec: \"{path}\": no such file or directory",
            "exec failed: unable to start container process: exec: \"{path}\": stat",
        ],
        fix: "Check the path {path} in the start command and that a COPY brings it in. A script whose first line names a missing interpreter or ends in CRLF looks the same, and so does a program for another C library.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "entrypoint-permission",
        title: "The start program {path} is not executable",
        texts: &[
            "exec: \"{path}\": permission denied",
            "exec {path}: permission denied",
            "sh: {line#}: {path}: Permission denied",
            "sh: line {line#}: {path}: Permission denied",
            "sh: {path}: Permission denied",
        ],
        fix: "Make it executable with `git update-index --chmod=+x {path}` and commit it, or add `RUN chmod +x {path}` to the Dockerfile.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "exec-format",
        title: "The program was built for another processor",
        texts: &[
            "exec format error",
            "Exec format error",
            "cannot execute binary file",
        ],
        fix: "Build the image for linux/amd64 (`--platform=linux/amd64`), or let the platform build it. A script without its first line `#!/bin/sh` looks the same.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "library-glibc",
        title: "The program needs version {version} of the C library, which the image does not have",
        texts: &[
            "version `GLIBC_{version}' not found",
            "version `GLIBCXX_{version}' not found",
        ],
        fix: "Run it on the base image that it was built on, or one that is newer; or build it in the image that runs it.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "library-missing",
        title: "The shared library {library} is not in the image",
        texts: &[
            "error while loading shared libraries: {library}: cannot open shared object file",
            "Error loading shared library {library}: No such file or directory",
            "ImportError: {library}: cannot open shared object file",
            "OSError: {library}: cannot open shared object file",
            "Unable to load shared library '{library}'",
            "LoadError: {library}: cannot open shared object file",
            "Error: {library}: cannot open shared object file",
        ],
        fix: "Install the package that has {library} in the image that runs the app, not only in the one that builds it.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "library-symbol",
        title: "A library is older than what uses it: {symbol} is missing",
        texts: &[
            "undefined symbol: {symbol}",
            "symbol lookup error: {symbol}",
            "Error relocating {file}: {symbol}: symbol not found",
        ],
        fix: "Build it again in the image that runs it, so that both have the same versions. Programs made for Debian do not run on Alpine.",
        confidence: LIKELY,
        ..BASE
    },
];
