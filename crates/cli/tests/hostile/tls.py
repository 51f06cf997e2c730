"""Asks the gateway for a nonce with whatever certificate it is given, and says what came of it."""

import base64
import errno
import json
import socket
import ssl
import sys
import tempfile

ORDER = json.load(sys.stdin)
REQUEST = b"POST /v1/challenges HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


def pem(kind, content):
    body = base64.encodebytes(bytes.fromhex(content)).decode()
    return f"-----BEGIN {kind}-----\n{body}-----END {kind}-----\n"


def wrapped(raw):
    if ORDER.get("plain"):
        return raw
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    text = ORDER.get("pem")
    if "chain" in ORDER:
        text = "".join(pem("CERTIFICATE", one) for one in ORDER["chain"])
        text += pem("PRIVATE KEY", ORDER["key"])
    if text:
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(text)
            file.flush()
            context.load_cert_chain(file.name)
    return context.wrap_socket(raw)


def ask():
    with socket.create_connection(("127.0.0.1", ORDER["port"]), 5) as raw, wrapped(raw) as stream:
        stream.sendall(REQUEST)
        answer = stream.recv(4096)
    if answer.startswith(b"HTTP/1.1 200"):
        return {"answer": answer.decode().splitlines()[0]}
    return {"refused": "no answer" if not answer else "no HTTP answer"}


try:
    SAID = ask()
except ssl.SSLError as error:
    SAID = {"refused": error.reason or str(error)}
except OSError as error:
    SAID = {"refused": errno.errorcode.get(error.errno, str(error))}
json.dump(SAID, sys.stdout)
