//! The socket that the app itself wants to listen on.

use super::{BASE, CERTAIN, LIKELY, POSSIBLE, Pattern};

pub(super) const TABLE: &[Pattern] = &[
    Pattern {
        id: "port-in-use",
        title: "The port {port|that the app wants} is in use already",
        texts: &[
            "listen EADDRINUSE: address already in use {address}:{port#}",
            "Address already in use",
            "address already in use",
            "[Errno 98] error while attempting to bind on address ('{address}', {port#}): ",
            "Connection in use: ('{address}', {port#})",
            "listen tcp :{port#}: bind: address already in use",
            "listen tcp {address}:{port#}: bind: address already in use",
            "java.net.BindException: Address already in use",
            "Port {port#} was already in use",
            "kind: AddrInUse",
            "bind() to {address}:{port#} failed (98: Address already in use)",
            "Port {port#} is in use by another program",
            "Address in use",
            "Failed to listen on {address}:{port#} (reason: Address already in use)",
            "Failed to bind to address {address}:{port#}: address already in use",
            "Port {port#} is already in use",
            "Is port {port#} in use?",
        ],
        unless: &["trying another", "using available port"],
        fix: "Listen once only, on the port in the variable PORT: two parts of the app want {port|it}. A second server in the same container needs a port of its own.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "port-privileged",
        title: "The app may not listen on port {port|below 1024}",
        texts: &[
            "listen EACCES: permission denied {address}:{port#}",
            "listen tcp :{port#}: bind: permission denied",
            "listen tcp {address}:{port#}: bind: permission denied",
            "bind() to {address}:{port#} failed (13: Permission denied)",
            "[Errno 13] error while attempting to bind on address ('{address}', {port#}): permission denied",
            "Permission denied - bind(2) for \"{address}\" port {port#}",
            "java.net.SocketException: Permission denied",
            "AH00072: make_sock: could not bind to address {address}:{port#}",
        ],
        unless: &["Address already in use"],
        fix: "Listen on the port in the variable PORT, or another one from 1024 on, and set the project's port to it.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "port-bad-address",
        title: "The app wants to listen on an address that its container does not have",
        texts: &[
            "listen EADDRNOTAVAIL: address not available {address}",
            "bind: cannot assign requested address",
            "[Errno 99] Cannot assign requested address",
            "[Errno 99] error while attempting to bind on address",
            "java.net.BindException: Cannot assign requested address",
            "failed (99: Cannot assign requested address)",
            "failed (99: Address not available)",
            "kind: AddrNotAvailable",
        ],
        fix: "Listen on 0.0.0.0: no fixed address of another machine is there, also not the app's public one.",
        confidence: LIKELY,
        ..BASE
    },
    Pattern {
        id: "port-not-a-number",
        title: "The port {port|that the app was told} is no port number",
        texts: &[
            "'{port}' is not a valid port number",
            "Invalid value for '--port': '{port}' is not a valid int",
            "options.port should be >= 0 and < 65536. Received {what*}",
            "ERR_SOCKET_BAD_PORT",
            "Error: '{port}' is not a valid port",
            "listen tcp: address {port}: unknown port",
            "listen tcp: lookup tcp/{port}: unknown port",
            "listen tcp: lookup tcp/{port}: nodename nor servname",
            "error: argument -p/--port: invalid int value: '{port}'",
        ],
        fix: "Let a shell fill in the variable: write the start command as `sh -c 'exec PROGRAM --port $PORT'`, or read PORT in the program as a number.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "port-without-colon",
        title: "The address {address} that the Go program listens on has no port",
        texts: &["listen tcp: address {address}: missing port in address"],
        fix: "Write it with a colon: \":\" + os.Getenv(\"PORT\").",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "port-loopback",
        title: "The server listens on 127.0.0.1 only, where no visitor reaches it",
        texts: &[
            "Uvicorn running on http://127.0.0.1:{port#}",
            "Listening at: http://127.0.0.1:{port#}",
            "Running on http://127.0.0.1:{port#}",
            "Starting development server at http://127.0.0.1:{port#}",
            "Listening on http://127.0.0.1:{port#}",
            "Now listening on: http://localhost:{port#}",
            "Network: use --host to expose",
        ],
        not_near: &["0.0.0.0", "all addresses", "http://[::]", "http://*:"],
        fix: "Make it listen on 0.0.0.0: `--host 0.0.0.0` for uvicorn, Flask and Vite, `--bind 0.0.0.0:$PORT` for gunicorn, ASPNETCORE_URLS=http://+:$PORT for .NET.",
        confidence: POSSIBLE,
        stays: true,
        ..BASE
    },
];
