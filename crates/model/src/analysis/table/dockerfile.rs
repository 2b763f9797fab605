//! Dockerfiles, images, the system's packages, and where the source comes from.

use super::{BASE, CERTAIN, HINT, LIKELY, POSSIBLE, Pattern};

pub(super) const TABLE: &[Pattern] = &[
    Pattern {
        id: "dockerfile-copy",
        title: "COPY finds no {path} in the source",
        texts: &[
            "failed to calculate checksum of ref {reference}: \"{path}\": not found",
            "failed to compute cache key: \"{path}\": not found",
            "failed to compute cache key: failed to calculate checksum of ref {reference}: \"{path}\": not found",
            "COPY failed: file not found in build context or excluded by .dockerignore: stat {path}:",
            "COPY failed: stat {path}:",
            "COPY failed: no source files were specified{path*}",
            "ADD failed: file not found in build context or excluded by .dockerignore: stat {path}:",
        ],
        fix: "Commit {path} and check that .dockerignore does not leave it out; paths begin at the project's folder. For a file of another stage check where that stage puts it.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "dockerfile-instruction",
        title: "The Dockerfile has an unknown instruction {instruction}",
        texts: &["unknown instruction: {instruction}"],
        fix: "Correct {instruction}. A RUN that goes on needs a backslash at the end of each line but the last, and nothing after it.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "dockerfile-syntax",
        title: "Line {line} of the Dockerfile cannot be read",
        texts: &[
            "dockerfile parse error on line {line#}",
            "dockerfile parse error line {line#}",
            "Dockerfile parse error on line {line#}",
        ],
        unless: &["unknown instruction"],
        fix: "Correct line {line}: its instruction has too few or wrong arguments.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "dockerfile-missing",
        title: "There is no {file}",
        texts: &[
            "failed to read dockerfile: open {file}: no such file or directory",
            "Cannot locate specified Dockerfile: {file}",
            "unable to evaluate symlinks in Dockerfile path: lstat {file}: no such file",
        ],
        fix: "Commit the {file}, or set its path and the project's folder in the settings.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "dockerfile-from",
        title: "A FROM of the Dockerfile names no image",
        texts: &[
            "base name ({name}) should not be blank",
            "failed to parse stage name \"{name}\"",
            "no build stage in current context",
            "requires either one or three arguments",
        ],
        near: &["FROM", "stage", "base name"],
        fix: "Write the image after FROM; an ARG that it uses has to come before the first FROM and have a value.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "dockerfile-stage",
        title: "The Dockerfile has no stage {stage}",
        texts: &[
            "target stage \"{stage}\" could not be found",
            "failed to reach build target {stage} in Dockerfile",
            "invalid from flag value {stage}: ",
        ],
        fix: "Name a stage that a `FROM … AS {stage}` begins, or correct `--from`.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "dockerfile-buildkit",
        title: "The Dockerfile uses {option}, which needs BuildKit",
        texts: &["the --{option} option requires BuildKit"],
        fix: "Take {option} out of the Dockerfile, or ask the operator for BuildKit.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "dockerfile-secret",
        title: "The build wants the secret {secret}, which it did not get",
        texts: &["secret {secret}: not found"],
        fix: "Add {secret} to the secrets of the project's build.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "image-unknown",
        title: "The image {image|that the build names} is not there, or may not be pulled",
        texts: &[
            "pull access denied for {image}",
            "manifest for {image} not found",
            "failed to resolve source metadata for {image}: not found",
            "{image}: failed to resolve source metadata for",
            "{image}: manifest unknown",
            "{image}: pull access denied, repository does not exist or may require authorization",
            "pull access denied, repository does not exist or may require authorization",
            "No such image: {image}",
            "failed to resolve reference \"{image}\"",
            "repository {image} not found: does not exist or no pull access",
        ],
        fix: "Check name and tag of {image|the image}; a private image needs the credentials of its registry. A name after --from that is no stage of the Dockerfile is taken for an image.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "image-registry",
        title: "The image registry {registry} is not reached",
        texts: &["Get \"https://{registry}/v2/\": "],
        fix: "Check the name of the image, which begins with its registry, and deploy again. If it stays, ask the operator whether the server reaches {registry}.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "image-rate-limit",
        title: "The registry gives no more images for a while",
        texts: &[
            "You have reached your pull rate limit",
            "You have reached your unauthenticated pull rate limit",
            "toomanyrequests:",
        ],
        fix: "Deploy again later, or add credentials for the registry: signed-in users get more.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "image-platform",
        title: "The image is not there for this processor",
        texts: &[
            "no match for platform in manifest",
            "no matching manifest for {platform}",
            "does not match the specified platform",
        ],
        fix: "Use an image that has linux/amd64, or build yours for it: `docker buildx build --platform linux/amd64`.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "apt-package",
        title: "The system package {package} does not exist in this image",
        texts: &[
            "E: Unable to locate package {package}",
            "E: Package '{package}' has no installation candidate",
            "{package} (no such package)",
            "No match for argument: {package}",
            "E: Version '{version}' for '{package}' was not found",
        ],
        fix: "Run `apt-get update` in the same RUN before it, and check the name {package} for the image's release.",
        confidence: CERTAIN,
        is_first: true,
        ..BASE
    },
    Pattern {
        id: "apt-fetch",
        title: "The system's packages could not be fetched",
        texts: &[
            "E: Failed to fetch",
            "E: The repository '{url*}' does not have a Release file",
            "is not valid yet (invalid for another",
            "E: Some index files failed to download",
            "temporary error (try again later)",
        ],
        fix: "Deploy again. If it stays, the image's release is too old for its package servers: take a newer base image.",
        confidence: LIKELY,
        ..BASE
    },
    Pattern {
        id: "git-access",
        title: "Git may not read {repository|a repository}",
        texts: &[
            "fatal: could not read Username for '{repository}'",
            "Permission denied (publickey)",
            "Host key verification failed",
            "fatal: Authentication failed for '{repository}'",
            "remote: Repository not found",
            "fatal: repository '{repository}' not found",
            "fatal: repository '{repository}' does not exist",
            "ERROR: Repository not found",
        ],
        fix: "Give the project a deploy key or a token that may read {repository|it}, and check its address. A private dependency needs a secret in the build.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "git-branch",
        title: "The branch {branch} does not exist",
        texts: &[
            "fatal: Remote branch {branch} not found in upstream",
            "fatal: couldn't find remote ref {branch}",
            "pathspec '{branch}' did not match any file(s) known to git",
        ],
        fix: "Set the project's branch to one that is there; the default is often main, not master.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "git-submodule",
        title: "A submodule could not be fetched",
        texts: &[
            "fatal: No url found for submodule path '{path}' in .gitmodules",
            "fatal: clone of '{path}' into submodule path",
        ],
        fix: "Correct .gitmodules, and use an https address that the build may read.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "make-failed",
        title: "make stopped at {target}",
        texts: &[
            "make: *** No rule to make target '{target}'",
            "make: *** [{target}] Error",
            "make: *** [Makefile:{line#}: {target}] Error",
        ],
        fix: "Look at the error above it, and check that the Makefile and what {target} needs are committed.",
        confidence: POSSIBLE,
        ..BASE
    },
    Pattern {
        id: "dockerfile-run",
        title: "A command of the build ended with code {code}: {command}",
        texts: &[
            "process \"{command*}\" did not complete successfully: exit code: {code#}",
            "The command '{command*}' returned a non-zero code: {code#}",
        ],
        fix: "Look at the command's own output above it.",
        confidence: HINT,
        ..BASE
    },
];
