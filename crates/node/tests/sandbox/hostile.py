"""A command that attacks: every attempt is made, and what came of it is printed as JSON.

An attempt that raises OSError or AssertionError was denied; one that returns has succeeded.
"""

import ctypes
import json
import os
import signal
import socket
import struct
import subprocess
import sys

LIBC = ctypes.CDLL(None, use_errno=True)
SECRET = os.environ["SECRET"]
LAUNCHER = int(os.environ["LAUNCHER"])
NEIGHBOUR = int(os.environ["NEIGHBOUR"])
OTHER_SOCKET = os.environ["OTHER_SOCKET"]
OWN_SOCKETS = os.environ.get("OWN_SOCKETS", "own.sock").split(",")
ABSTRACT = os.environ["ABSTRACT"]
PORT = int(os.environ["PORT"])

NEWNS, NEWUSER, NEWPID, NEWNET = 0x20000, 0x10000000, 0x20000000, 0x40000000
PTRACE_ATTACH, PTRACE_SEIZE = 16, 0x4206
OWN = os.getpid()
INHERITED = [
    os.readlink(f"/proc/self/fd/{number}")
    for number in range(3, 64)
    if os.path.islink(f"/proc/self/fd/{number}")
]
ATTEMPTS = {}


def attempt(function):
    ATTEMPTS[function.__name__] = function
    return function


def check(result):
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result


def syscall(number, *arguments):
    return check(LIBC.syscall(number, *arguments))


def read(path):
    with open(path, "rb") as file:
        return file.read(64)


def write(path, content=b"x"):
    with open(path, "wb") as file:
        file.write(content)


def in_child(function):
    """Runs an attempt that changes the process in a child, and fails as it fails."""
    pid = os.fork()
    if pid == 0:
        try:
            function()
            os._exit(0)
        except OSError as error:
            os._exit(error.errno or 1)
        except BaseException:
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    if code:
        raise OSError(abs(code), os.strerror(abs(code)))


@attempt
def read_the_secret():
    read(SECRET)


@attempt
def read_the_secret_through_a_link():
    os.symlink(SECRET, "/tmp/link")
    read("/tmp/link")


@attempt
def read_the_secret_through_roots():
    for root in ["/proc/1/root", "/proc/self/root", f"/proc/{LAUNCHER}/root", "/.." * 9]:
        try:
            read(root + SECRET)
            return
        except OSError:
            pass
    raise PermissionError("no root leads there")


@attempt
def read_the_hosts_accounts():
    read("/etc/shadow")


@attempt
def read_the_hosts_disk():
    os.mknod("/tmp/disk", 0o660 | 0o060000, os.makedev(254, 0))
    read("/tmp/disk")


@attempt
def open_the_secret_by_handle():
    handle = (ctypes.c_char * 24)(*struct.pack("Ii16s", 8, 1, b"\2"))
    check(LIBC.open_by_handle_at(os.open("/usr", os.O_RDONLY), handle, os.O_RDONLY))


@attempt
def read_a_key_of_the_launchers_session():
    key = syscall(250, 10, -3, b"user", b"chancery-test", 0)
    syscall(250, 11, key, ctypes.create_string_buffer(64), 64)


@attempt
def request_a_key_of_the_launchers_session():
    syscall(249, b"user", b"chancery-test", None, 0)


@attempt
def make_a_key():
    syscall(248, b"user", b"own", b"x", 1, -3)


@attempt
def use_an_inherited_descriptor():
    found = [target for target in INHERITED if target != sys.argv[0]]
    assert found, "none"


@attempt
def see_other_processes():
    found = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    assert set(found) - {1, OWN, os.getppid()}, "only ourselves"


@attempt
def see_the_launcher():
    read(f"/proc/{LAUNCHER}/cmdline")


@attempt
def read_the_launchers_environment():
    read(f"/proc/{LAUNCHER}/environ")


@attempt
def read_pid_1s_environment():
    read("/proc/1/environ")


@attempt
def read_pid_1s_memory():
    read("/proc/1/maps")
    read("/proc/1/mem")


@attempt
def list_pid_1s_descriptors():
    os.listdir("/proc/1/fd")


@attempt
def take_a_descriptor_of_pid_1():
    pidfd = os.pidfd_open(1)
    for number in range(8):
        try:
            syscall(438, pidfd, number, 0)
            return
        except OSError:
            pass
    raise PermissionError("none given")


def trace(pid):
    try:
        check(LIBC.ptrace(PTRACE_SEIZE, pid, None, None))
    except OSError:
        check(LIBC.ptrace(PTRACE_ATTACH, pid, None, None))


@attempt
def trace_pid_1():
    in_child(lambda: trace(1))


@attempt
def trace_the_launcher():
    in_child(lambda: trace(LAUNCHER))


@attempt
def trace_a_neighbour():
    in_child(lambda: trace(NEIGHBOUR))


def read_memory(pid):
    local = ctypes.create_string_buffer(8)
    vector = struct.pack("PN", ctypes.addressof(local), 8)
    remote = struct.pack("PN", id(local), 8)
    check(LIBC.process_vm_readv(pid, vector, 1, remote, 1, 0))


@attempt
def read_memory_of_pid_1():
    read_memory(1)


@attempt
def read_memory_of_the_launcher():
    read_memory(LAUNCHER)


@attempt
def read_memory_of_a_neighbour():
    read_memory(NEIGHBOUR)


@attempt
def kill_the_launcher():
    os.kill(LAUNCHER, signal.SIGKILL)


@attempt
def kill_a_neighbour():
    os.kill(NEIGHBOUR, signal.SIGKILL)


@attempt
def kill_pid_1():
    os.kill(1, signal.SIGKILL)
    os.kill(1, signal.SIGSTOP)
    # The kernel takes the signal and drops it: pid 1 must still bury an orphan.
    pid = os.fork()
    if pid == 0:
        os.execv("/bin/sh", ["sh", "-c", "sh -c : &"])
    os.waitpid(pid, 0)
    raise PermissionError("it goes on")


@attempt
def open_another_launchs_socket():
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(OTHER_SOCKET)


@attempt
def find_another_launchs_socket():
    found = os.listdir("/run/chancery")
    assert set(found) - set(OWN_SOCKETS), "only our own"


@attempt
def connect_to_an_abstract_socket():
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect("\0" + ABSTRACT)


@attempt
def connect_to_the_hosts_loopback():
    socket.create_connection(("127.0.0.1", PORT), 2).close()


@attempt
def connect_to_the_hosts_loopback_over_ipv6():
    socket.create_connection(("::ffff:127.0.0.1", PORT), 2).close()


@attempt
def send_a_datagram():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.sendto(b"x", ("127.0.0.1", PORT))


@attempt
def listen_on_the_network():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))


@attempt
def open_a_raw_socket():
    socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close()


@attempt
def open_a_packet_socket():
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()


@attempt
def write_outside_the_work_folder():
    places = ["/", "/usr", "/usr/bin", "/etc", "/etc/ssl", "/dev", "/run", "/run/chancery", "/proc"]
    for place in places:
        try:
            write(place + "/planted")
            return
        except OSError:
            pass
    raise PermissionError("nowhere")


@attempt
def overwrite_what_is_there():
    for path in ["/usr/bin/env", "/etc/passwd", "/etc/ld.so.cache", "/bin/sh"]:
        try:
            with open(path, "r+b"):
                return
        except OSError:
            pass
    raise PermissionError("nothing")


@attempt
def remove_what_is_there():
    os.unlink("/etc/passwd")


@attempt
def replace_the_socket():
    os.rename(f"/run/chancery/{OWN_SOCKETS[0]}", "/run/chancery/other.sock")


@attempt
def write_system_settings():
    for path in [
        "/proc/sys/kernel/hostname",
        "/proc/sys/kernel/core_pattern",
        "/proc/sys/vm/drop_caches",
        "/proc/sysrq-trigger",
        "/proc/1/oom_score_adj",
    ]:
        try:
            write(path)
            return
        except OSError:
            pass
    raise PermissionError("none")


@attempt
def allow_namespaces_again():
    write("/proc/sys/user/max_user_namespaces", b"100")


@attempt
def map_another_user():
    write("/proc/self/uid_map", b"0 0 1")


@attempt
def change_the_host_name():
    socket.sethostname("mine")


@attempt
def become_root():
    in_child(lambda: os.setuid(0))


@attempt
def become_another_user():
    in_child(lambda: os.setresuid(65533, 65533, 65533))


@attempt
def become_roots_group():
    in_child(lambda: os.setgid(0))


@attempt
def join_groups():
    in_child(lambda: os.setgroups([0]))


@attempt
def have_a_capability():
    lines = open("/proc/self/status").read().splitlines()
    sets = dict(line.split(":\t") for line in lines if line.startswith("Cap"))
    assert any(int(bits, 16) for bits in sets.values()), sets


@attempt
def raise_a_capability():
    header, wanted = struct.pack("Ii", 0x20080522, 0), struct.pack("6I", *[0xFFFFFFFF] * 6)
    in_child(lambda: check(LIBC.capset(header, wanted)))


@attempt
def gain_by_a_setuid_program():
    with open("/proc/self/status") as status:
        assert "NoNewPrivs:\t1\n" not in status.read(), "no_new_privs"


@attempt
def change_the_root():
    in_child(lambda: os.chroot("/tmp"))


def mount(source, target, kind, flags):
    check(LIBC.mount(source, target, kind, flags, None))


@attempt
def mount_a_memory_folder():
    in_child(lambda: mount(b"tmpfs", b"/tmp", b"tmpfs", 0))


@attempt
def mount_read_write():
    in_child(lambda: mount(None, b"/usr", None, 0x20 | 0x1000))


@attempt
def bind_over_the_socket():
    in_child(lambda: mount(b"/tmp", b"/run/chancery", None, 0x1000))


@attempt
def unmount_proc():
    in_child(lambda: check(LIBC.umount2(b"/proc", 2)))


@attempt
def open_a_tree_detached():
    in_child(lambda: syscall(428, -100, b"/", 1))


@attempt
def open_a_filesystem():
    in_child(lambda: syscall(430, b"tmpfs", 0))


def unshare(flags):
    check(LIBC.unshare(flags))


@attempt
def make_a_user_namespace():
    in_child(lambda: unshare(NEWUSER))


@attempt
def make_a_user_namespace_and_mount():
    def both():
        unshare(NEWUSER | NEWNS)
        mount(b"tmpfs", b"/tmp", b"tmpfs", 0)

    in_child(both)


@attempt
def make_other_namespaces():
    for flag in [NEWNS, NEWPID, NEWNET]:
        try:
            in_child(lambda flag=flag: unshare(flag))
            return
        except OSError:
            pass
    raise PermissionError("none")


@attempt
def enter_pid_1s_namespaces():
    for kind in ["user", "mnt", "pid", "net"]:
        try:
            descriptor = os.open(f"/proc/1/ns/{kind}", os.O_RDONLY)
            in_child(lambda: check(LIBC.setns(descriptor, 0)))
            return
        except OSError:
            pass
    raise PermissionError("none")


@attempt
def leave_for_the_parents_namespace():
    descriptor = os.open("/proc/self/ns/user", os.O_RDONLY)
    parent = check(LIBC.ioctl(descriptor, 0xB702, 0))
    in_child(lambda: check(LIBC.setns(parent, 0)))


@attempt
def open_the_terminal():
    os.close(os.open("/dev/tty", os.O_RDWR))


@attempt
def open_devices():
    for device in ["/dev/mem", "/dev/kmsg", "/dev/vda", "/dev/fuse", "/dev/ptmx", "/dev/pts/0"]:
        try:
            os.close(os.open(device, os.O_RDONLY))
            return
        except OSError:
            pass
    raise PermissionError("none")


@attempt
def load_a_kernel_module():
    syscall(313, 0, b"", 0)


@attempt
def load_a_kernel_program():
    syscall(321, 5, ctypes.create_string_buffer(128), 128)


@attempt
def read_the_kernels_log():
    check(LIBC.klogctl(3, ctypes.create_string_buffer(64), 64))


@attempt
def set_the_clock():
    check(LIBC.settimeofday(struct.pack("qq", 1, 0), None))


@attempt
def see_shared_memory_of_others():
    with open("/proc/sysvipc/shm") as table:
        assert len(table.readlines()) > 1, "none"


@attempt
def outlive_the_sandbox():
    # Left behind on purpose; the test looks for it on the host afterwards.
    subprocess.Popen(
        ["/bin/sh", "-c", "trap '' TERM HUP; sleep 7654321; :"],
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    raise PermissionError("see the host")


def main():
    results = {}
    only = os.environ.get("ONLY")
    for name, function in ATTEMPTS.items():
        if only and name not in only.split(","):
            continue
        try:
            function()
            results[name] = "SUCCEEDED"
        except (OSError, AssertionError) as error:
            results[name] = f"denied: {error}"
    json.dump(results, sys.stdout)


main()
