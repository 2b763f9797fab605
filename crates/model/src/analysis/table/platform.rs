//! What the platform itself says of an app that does not come to life, see `deployment/failure.rs`.

use super::{BASE, CERTAIN, HINT, LIKELY, POSSIBLE, Pattern};

pub(super) const TABLE: &[Pattern] = &[
    Pattern {
        id: "platform-memory",
        title: "The app used more than its {memory} GB of memory and was killed",
        texts: &["was killed because it used more than its {memory} GB of memory"],
        fix: "Raise `ram` above {memory}, or make the app use less memory.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "platform-wrong-port",
        title: "The app listens on port {other} and is expected on port {port}",
        texts: &[
            "nothing listened on port {port#} within {seconds#} s; the process listens on {other#}",
        ],
        fix: "Make the app listen on the port in the variable PORT, or set the project's port to {other}.",
        confidence: CERTAIN,
        stays: true,
        ..BASE
    },
    Pattern {
        id: "platform-no-port",
        title: "Nothing listened on port {port} within {seconds} s",
        texts: &["nothing listened on port {port#} within {seconds#} s"],
        fix: "Make the app listen on 0.0.0.0 and the port in the variable PORT. An app that answers no visitors is a worker: give it a process of its own.",
        confidence: POSSIBLE,
        stays: true,
        ..BASE
    },
    Pattern {
        id: "platform-loopback",
        title: "The app listens on port {port} of the loopback address only",
        texts: &["listens on port {port#} of the loopback address only"],
        fix: "Make the app listen on 0.0.0.0 instead of 127.0.0.1 or localhost.",
        confidence: CERTAIN,
        stays: true,
        ..BASE
    },
    Pattern {
        id: "platform-not-ready",
        title: "The app was not ready within {seconds} s: {probe}",
        texts: &["the app was not ready within {seconds#} s: {probe*}"],
        fix: "Make the health path answer with a status of 2xx or 3xx as soon as the app can serve. If it only starts slowly, give it more time.",
        confidence: POSSIBLE,
        stays: true,
        ..BASE
    },
    Pattern {
        id: "platform-cannot-start",
        title: "The container could not be started: {reason}",
        texts: &["the container could not be started: {reason*}"],
        fix: "Check the start command and the image: the file that it names has to be in the image and be executable.",
        confidence: LIKELY,
        ..BASE
    },
    Pattern {
        id: "platform-never-started",
        title: "The container engine did not start every replica in time",
        texts: &["the container engine did not start every replica within"],
        fix: "Deploy again, and ask the operator to look at the engine if that does not help.",
        confidence: LIKELY,
        ..BASE
    },
    Pattern {
        id: "exit-at-once",
        title: "The start command ended at once without an error",
        texts: &["exited with code 0 right after it was started"],
        fix: "Start a program that keeps running in the foreground. A server that puts itself into the background needs its option for the foreground; a task that ends is a job or a release command.",
        confidence: LIKELY,
        ..BASE
    },
    Pattern {
        id: "exit-not-executable",
        title: "The start command is not executable",
        texts: &[
            "exited with code 126",
            "exit code: 126",
            "returned exit status 126",
        ],
        fix: "Make the file executable with `git update-index --chmod=+x FILE` and commit it, or start it with its interpreter, such as `sh FILE`.",
        confidence: LIKELY,
        ..BASE
    },
    Pattern {
        id: "exit-not-found",
        title: "The start command was not found in the image",
        texts: &[
            "exited with code 127",
            "exit code: 127",
            "returned exit status 127",
        ],
        fix: "Check the name of the program in the start command, and that it is installed in the image.",
        confidence: POSSIBLE,
        ..BASE
    },
    Pattern {
        id: "exit-killed",
        title: "The process was killed from outside, most often for its use of memory",
        texts: &[
            "exited with code 137",
            "exit code: 137",
            "exit status 137",
            "exit code 137",
            "returned a non-zero code: 137",
        ],
        fix: "Look at the memory that the app used, and raise `ram` if it was near its limit.",
        confidence: LIKELY,
        ..BASE
    },
    Pattern {
        id: "exit-segfault",
        title: "The process crashed with a segmentation fault",
        texts: &[
            "exited with code 139",
            "exit code: 139",
            "Segmentation fault",
            "segmentation violation",
            "signal: 11, SIGSEGV",
            "A fatal error has been detected by the Java Runtime Environment",
        ],
        unless: &["[signal SIGSEGV"],
        fix: "Look for a native library that does not fit its interpreter or its base image (Alpine has another C library than Debian), and update it.",
        confidence: LIKELY,
        ..BASE
    },
    Pattern {
        id: "exit-illegal-instruction",
        title: "The program uses instructions that this processor does not have",
        texts: &[
            "exited with code 132",
            "exit code: 132",
            "Illegal instruction",
            "signal: 4, SIGILL",
        ],
        fix: "Build it for a generic processor (without `-march=native` or `target-cpu=native`), or take a build of the library for older processors.",
        confidence: LIKELY,
        ..BASE
    },
    Pattern {
        id: "exit-code",
        title: "The process ended with code {code}",
        texts: &["exited with code {code#}"],
        fix: "Look at the last lines before its end: none of them is a message that has a known cause.",
        confidence: HINT,
        unless: &["exited with code 0"],
        ..BASE
    },
];
