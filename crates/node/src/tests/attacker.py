"""Asks the Workload API for an X.509-SVID in ways that a process of no launch may try.

Says on standard output what it got: `identity` for a message with one, `denied` for PermissionDenied,
`unavailable` for Unavailable, `closed` where the connection ended. Waits for a line on standard input
first, so that it can be made a launch before.
"""

import array
import os
import signal
import socket
import subprocess
import sys

DATA, HEADERS, RST, PING, GOAWAY = 0, 1, 3, 6, 7


def frame(kind, flags, stream, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


IDENTITY = "/SpiffeWorkloadAPI/FetchX509SVID"


def request(method=IDENTITY):
    def literal(name, value):
        return b"\0" + b"".join(bytes([len(text)]) + text for text in (name, value))

    headers = b"".join(
        literal(name, value)
        for name, value in [
            (b":method", b"POST"),
            (b":scheme", b"http"),
            (b":path", method.encode()),
            (b":authority", b"localhost"),
            (b"te", b"trailers"),
            (b"content-type", b"application/grpc"),
            (b"workload.spiffe.io", b"true"),
        ]
    )
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0)
    return preface + frame(HEADERS, 4, 1, headers) + frame(DATA, 1, 1, bytes(5))


def exactly(connection, size):
    taken = b""
    while len(taken) < size:
        more = connection.recv(size - len(taken))
        if not more:
            raise ConnectionError
        taken += more
    return taken


def hear(connection):
    """The next thing that is said about an identity; PINGs are answered meanwhile."""
    try:
        while True:
            head = exactly(connection, 9)
            kind, flags = head[3], head[4]
            payload = exactly(connection, int.from_bytes(head[:3], "big"))
            if kind == PING and not flags & 1:
                connection.sendall(frame(PING, 1, 0, payload))
            elif kind == DATA and b"spiffe://" in payload:
                return "identity"
            elif kind == HEADERS and flags & 1:
                # The statuses 7 and 14 as HPACK writes them with Huffman's code.
                statuses = {b"\x81\x77": "denied", b"\x82\x0b\x5f": "unavailable"}
                return next((said for code, said in statuses.items() if code in payload), "?")
            elif kind in (RST, GOAWAY):
                return "closed"
    except (ConnectionError, BrokenPipeError):
        return "closed"


def say(text):
    print(text, flush=True)


def connect(path):
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(30)
    connection.connect(path)
    return connection


def ask(path):
    """The ordinary way."""
    connection = connect(path)
    connection.sendall(request())
    say(hear(connection))


def child_asks(path):
    """A child writes on the socket that it inherited."""
    connection = connect(path)
    if os.fork() == 0:
        try:
            connection.sendall(request())
            say(hear(connection))
        finally:
            os._exit(0)
    os.wait()


def child_reads(path):
    """The parent asks, and a child reads the answer."""
    connection = connect(path)
    connection.sendall(request())
    if os.fork() == 0:
        try:
            say(hear(connection))
        finally:
            os._exit(0)
    os.wait()


def hand_over(path):
    """Another program is handed the socket."""
    connection = connect(path)
    ours, theirs = socket.socketpair()
    other = subprocess.Popen(
        [sys.executable, __file__, "take", str(theirs.fileno())], pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL
    )
    descriptors = array.array("i", [connection.fileno()])
    ours.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)])
    other.wait()


def take(number):
    handed = socket.socket(fileno=int(number))
    size = socket.CMSG_SPACE(array.array("i", [0]).itemsize)
    _, messages, _, _ = handed.recvmsg(1, size)
    connection = socket.socket(fileno=array.array("i", messages[0][2])[0])
    connection.settimeout(30)
    try:
        connection.sendall(request())
    except BrokenPipeError:
        return say("closed")
    say(hear(connection))


def swap(path, program):
    """Asks, leaves the socket to a child and executes the program that an identity is bound to."""
    connection = connect(path)
    if os.fork() == 0:
        try:
            say(hear(connection))
        finally:
            os.kill(os.getppid(), signal.SIGKILL)
            os._exit(0)
    connection.sendall(request())
    os.execv(program, [program, "60"])


def execute_later(path, program, method=IDENTITY):
    """Is given an identity, and then executes another program that goes on with the stream."""
    connection = connect(path)
    connection.sendall(request(method))
    say(hear(connection))
    sys.stdin.readline()
    connection.set_inheritable(True)
    os.execv(program, [program, __file__, "go_on", str(connection.fileno())])


def go_on(number):
    say("executed")
    connection = socket.socket(fileno=int(number))
    connection.settimeout(30)
    say(hear(connection))


def fork_as(pid):
    """A child whose process id is that one, which nobody has."""
    for _ in range(200):
        with open("/proc/sys/kernel/ns_last_pid", "w") as last:
            last.write(str(pid - 1))
        child = os.fork()
        if child == 0 and os.getpid() != pid:
            os._exit(0)
        if child in (0, pid):
            return child
        os.waitpid(child, 0)
    raise SystemExit("no such process id is given")


def recycle(path):
    """Asks with the process id of a launch that has exited."""
    victim = os.fork()
    if victim == 0:
        signal.pause()
    say(victim)
    sys.stdin.readline()
    os.kill(victim, signal.SIGKILL)
    os.waitpid(victim, 0)
    again = fork_as(victim)
    if again == 0:
        try:
            ask(path)
        finally:
            os._exit(0)
    os.waitpid(again, 0)


def leave_behind(path):
    """Connects, and exits before it is accepted; another process then has its process id."""
    held, gone = socket.socketpair()
    child = os.fork()
    if child == 0:
        connection = connect(path)
        descriptors = array.array("i", [connection.fileno()])
        gone.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)])
        os._exit(0)
    held.recvmsg(1, 64)
    os.waitpid(child, 0)
    again = fork_as(child)
    if again == 0:
        signal.pause()
    say(again)
    sys.stdin.readline()
    os.kill(again, signal.SIGKILL)


if __name__ == "__main__":
    way, *arguments = sys.argv[1:]
    if way not in ("take", "go_on"):
        sys.stdin.readline()
    globals()[way](*arguments)
