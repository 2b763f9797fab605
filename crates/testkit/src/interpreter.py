# Does what a program says: one act per line, see program.rs.
import os
import signal
import socket
import sys
import threading
import urllib.error
import urllib.request

held = []


def listen(address, status=None):
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    server = socket.create_server((host, int(port)), family=family)

    def accept():
        while True:
            connection, _ = server.accept()
            with connection:
                if status is not None:
                    answer(connection, status)

    threading.Thread(target=accept, daemon=True).start()


def answer(connection, status):
    request = b""
    while b"\r\n\r\n" not in request:
        piece = connection.recv(4096)
        if not piece:
            return
        request += piece
    body = socket.gethostname().encode()
    head = f"HTTP/1.1 {status} OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    connection.sendall(head.encode() + body)


def fetch(host, port):
    try:
        with urllib.request.urlopen(f"http://{host}:{port}/", timeout=5) as response:
            return f"fetched {response.status}"
    except urllib.error.HTTPError as error:
        return f"fetched {error.code}"
    except OSError:
        return "unreachable"


def store(path, text):
    with open(path, "w") as file:
        file.write(text)


def text_of(path):
    try:
        with open(path) as file:
            return file.read()
    except FileNotFoundError:
        return f"{path} is not there"


def count_start():
    try:
        with open("/tmp/starts") as file:
            before = int(file.read())
    except FileNotFoundError:
        before = 0
    with open("/tmp/starts", "w") as file:
        file.write(str(before + 1))
    return before


def act(verb, rest):
    if verb == "print":
        print(rest, flush=True)
    elif verb == "print-err":
        print(rest, file=sys.stderr, flush=True)
    elif verb == "write":
        print(rest, end="", flush=True)
    elif verb == "fill":
        print("x" * int(rest), flush=True)
    elif verb == "count":
        for number in range(int(rest)):
            print(f"line {number}", flush=True)
    elif verb == "print-env":
        print(f"{rest}={os.environ[rest]}" if rest in os.environ else f"{rest} is not set", flush=True)
    elif verb == "listen":
        listen(rest)
    elif verb == "serve":
        listen("0.0.0.0:" + os.environ["PORT"], int(rest))
    elif verb == "fetch":
        print(fetch(*rest.split(" ")), flush=True)
    elif verb == "store":
        store(*rest.split(" ", 1))
    elif verb == "print-file":
        print(text_of(rest), flush=True)
    elif verb == "allocate":
        held.append(bytearray(os.urandom(1 << 20) * int(rest)))
    elif verb == "crash":
        times, code = rest.split(" ")
        if count_start() < int(times):
            sys.exit(int(code))
    elif verb == "ignore-term":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    elif verb == "exit":
        sys.exit(int(rest))
    else:
        raise ValueError(verb)


with open(sys.argv[1]) as program:
    for line in program.read().splitlines():
        verb, _, rest = line.partition(" ")
        act(verb, rest)
while True:
    signal.pause()
