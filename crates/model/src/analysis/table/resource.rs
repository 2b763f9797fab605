//! What runs out: memory, disk, file descriptors, threads.

use super::{BASE, CERTAIN, LIKELY, POSSIBLE, Pattern};

pub(super) const TABLE: &[Pattern] = &[
    Pattern {
        id: "memory-kernel",
        title: "The kernel killed a process because memory ran out",
        texts: &[
            "Out of memory: Killed process",
            "Memory cgroup out of memory: Killed process",
            "OOMKilled",
            "signal: 9, SIGKILL: kill",
            "signal: killed",
            "Killed signal terminated program",
            "was sent SIGKILL! Perhaps out of memory?",
        ],
        fix: "Raise `ram`, or make the app or its build use less memory, for example with fewer workers or parallel jobs.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "memory-node",
        title: "Node.js ran out of heap memory",
        texts: &["JavaScript heap out of memory"],
        fix: "Raise `ram`, and set the variable NODE_OPTIONS to `--max-old-space-size=` with about three quarters of it in MB. If it grows without end, the app keeps objects that it no longer needs.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "memory-java",
        title: "Java ran out of heap memory",
        texts: &[
            "java.lang.OutOfMemoryError: Java heap space",
            "java.lang.OutOfMemoryError: GC overhead limit exceeded",
            "Terminating due to java.lang.OutOfMemoryError",
        ],
        fix: "Raise `ram`, and let the heap have more of it with `-XX:MaxRAMPercentage=75` in the variable JAVA_TOOL_OPTIONS.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "memory-java-metaspace",
        title: "Java has no room left for its classes",
        texts: &["java.lang.OutOfMemoryError: Metaspace"],
        fix: "Raise `ram` and `-XX:MaxMetaspaceSize` in the variable JAVA_TOOL_OPTIONS.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "memory-java-reserve",
        title: "Java may not have the heap that its options ask for",
        texts: &[
            "Could not reserve enough space for",
            "There is insufficient memory for the Java Runtime Environment to continue",
        ],
        fix: "Set `-Xmx` below `ram`, or use `-XX:MaxRAMPercentage=75` instead of it, or raise `ram`.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "memory-go",
        title: "The Go program ran out of memory",
        texts: &[
            "runtime: out of memory: cannot allocate",
            "fatal error: runtime: out of memory",
            "fatal error: runtime: cannot allocate memory",
            "runtime: cannot map pages in arena address space",
        ],
        fix: "Raise `ram`, or set GOMEMLIMIT to about nine tenths of it so that the collector works in time.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "memory-python",
        title: "Python ran out of memory",
        texts: &["MemoryError", "numpy.core._exceptions._ArrayMemoryError"],
        fix: "Raise `ram`, or work on the data in smaller parts.",
        near: &[
            "Traceback (most recent call last)",
            "MemoryError: Unable to allocate",
        ],
        confidence: CERTAIN,
        unless: &["NoMemoryError"],
        ..BASE
    },
    Pattern {
        id: "memory-php",
        title: "PHP used more than its limit of {limit} bytes",
        texts: &["Allowed memory size of {limit#} bytes exhausted"],
        fix: "Raise `memory_limit` in PHP's settings, and `ram` if it is not larger than that. For Composer set COMPOSER_MEMORY_LIMIT to -1.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "memory-rust",
        title: "The program could not get {bytes} bytes of memory",
        texts: &["memory allocation of {bytes#} bytes failed"],
        fix: "Raise `ram`, or check what decides the size: a length that came from outside has to be limited.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "memory-ruby",
        title: "Ruby ran out of memory",
        texts: &["failed to allocate memory (NoMemoryError)"],
        fix: "Raise `ram`, or set WEB_CONCURRENCY to fewer workers.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "memory-dotnet",
        title: ".NET ran out of memory",
        texts: &["System.OutOfMemoryException", "Out of memory."],
        near: &["System.OutOfMemoryException", "   at System."],
        fix: "Raise `ram`, or set DOTNET_GCHeapHardLimitPercent so that the collector works in time.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "memory-allocate",
        title: "The system gave no more memory",
        texts: &["Cannot allocate memory", "cannot allocate memory", "ENOMEM"],
        fix: "Raise `ram`, or start fewer workers and threads.",
        confidence: LIKELY,
        ..BASE
    },
    Pattern {
        id: "memory-redis",
        title: "Redis has reached its limit of memory and takes no more writes",
        texts: &["OOM command not allowed when used memory > 'maxmemory'"],
        fix: "Give the Redis database more memory, let keys expire, or set a `maxmemory-policy` that evicts them.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "disk-watchers",
        title: "The limit of watched files is reached",
        texts: &[
            "ENOSPC: System limit for number of file watchers reached",
            "inotify_add_watch: no space left on device",
            "OS file watch limit reached",
        ],
        fix: "Start the app without a watcher: a development server or `--watch`, `--reload` and nodemon have no place in production.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "disk-full",
        title: "The disk is full",
        texts: &[
            "ENOSPC: no space left on device",
            "No space left on device",
            "no space left on device",
            "Disk quota exceeded",
            "database or disk is full",
            "There is not enough space on the disk",
        ],
        fix: "Remove files that the app no longer needs, or get a larger volume. Ask the operator if it is the disk of the server.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "limit-open-files",
        title: "The process has too many open files or connections",
        texts: &[
            "EMFILE: too many open files",
            "EMFILE, too many open files",
            "Too many open files",
            "too many open files",
            "EMFILE (Too many open files)",
        ],
        fix: "Close files, sockets and responses when they are done, and keep one client or pool instead of a new one for each request.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "limit-threads",
        title: "The limit of threads and processes is reached",
        texts: &[
            "RuntimeError: can't start new thread",
            "failed to create new OS thread",
            "unable to create native thread",
            "unable to create new native thread",
            "pthread_create failed",
            "pthread_create: Resource temporarily unavailable",
            "fork: Resource temporarily unavailable",
            "fork: retry: Resource temporarily unavailable",
            "spawn {command} EAGAIN",
            "failed to spawn thread: Os {{ code: 11",
            "pthread_create() failed",
        ],
        fix: "Use a pool of threads with a limit, start fewer workers, and wait for child processes so that they end.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "limit-stack",
        title: "A function called itself without end",
        texts: &[
            "Maximum call stack size exceeded",
            "RecursionError: maximum recursion depth exceeded",
            "java.lang.StackOverflowError",
            "goroutine stack exceeds",
            "has overflowed its stack",
            "stack level too deep",
            "Stack overflow.",
        ],
        fix: "Look at the function that the stack trace repeats: its end is never reached, or its data refer to themselves.",
        confidence: LIKELY,
        ..BASE
    },
    Pattern {
        id: "limit-request-size",
        title: "A request was larger than the app accepts",
        texts: &[
            "PayloadTooLargeError: request entity too large",
            "client intended to send too large body",
            "POST Content-Length of {size#} bytes exceeds the limit",
            "Request body too large",
            "http: request body too large",
            "MaxUploadSizeExceededException",
        ],
        fix: "Raise the limit of bodies in the app or its web server, or send less at once.",
        confidence: POSSIBLE,
        ..BASE
    },
];
