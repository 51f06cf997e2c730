"""A program that knows SPIFFE by PyPI's `spiffe` and `spiffe-tls` alone: no word of Chancery.

`watch` fetches, validates and waits until both kinds of SVIDs have rotated; `serve PORT PEER COUNT` answers
over mutual TLS whose SPIFFE ID it saw, to peers below the path PEER; `dial PORT ID` asks the peer of that ID.
"""

import logging
import sys
import threading
import time
import warnings

sys.path.insert(0, sys.argv[1])
warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)

from cryptography import x509  # noqa: E402
from OpenSSL import SSL  # noqa: E402
from spiffe import JwtSource, JwtSvid, SpiffeId, WorkloadApiClient, X509Source  # noqa: E402
from spiffetls import ListenOptions, dial, listen  # noqa: E402
from spiffetls.tlsconfig.authorize import authorize_id  # noqa: E402

AUDIENCE = "reports"
PATIENCE = 60


def say(text):
    print(text, flush=True)


def must_fail(what, work, *arguments, **named):
    try:
        work(*arguments, **named)
    except Exception:
        return
    raise SystemExit(f"{what} was taken")


def watch():
    source = X509Source(timeout_in_seconds=PATIENCE)
    first = source.svid
    say(f"id {first.spiffe_id}")
    changed = threading.Event()
    source.subscribe_for_updates(changed.set)
    domain = first.spiffe_id.trust_domain
    bundle = source.get_bundle_for_trust_domain(domain)
    # Its chain leads to the bundle: each is issued by the one behind it.
    chain = list(first.cert_chain)
    for leaf, issuer in zip(chain, chain[1:] + list(bundle.x509_authorities)):
        leaf.verify_directly_issued_by(issuer)
    tokens = JwtSource(timeout_in_seconds=PATIENCE)
    token = tokens.fetch_svid({AUDIENCE})
    keys = tokens.get_bundle_for_trust_domain(domain)
    assert JwtSvid.parse_and_validate(token.token, keys, {AUDIENCE}).spiffe_id == first.spiffe_id
    must_fail("a token for somebody else", JwtSvid.parse_and_validate, token.token, keys, {"accounts"})
    client = WorkloadApiClient()
    assert client.validate_jwt_svid(token.token, AUDIENCE).spiffe_id == first.spiffe_id
    must_fail("a token for somebody else", client.validate_jwt_svid, token.token, "accounts")
    must_fail("another identity", tokens.fetch_svid, {AUDIENCE}, SpiffeId(f"spiffe://{domain.name}/x"))
    say("validated")
    while source.svid.leaf == first.leaf:
        assert changed.wait(PATIENCE)
        changed.clear()
    now = source.svid
    assert now.spiffe_id == first.spiffe_id
    assert now.private_key.private_numbers() != first.private_key.private_numbers()
    say("x509 rotated")
    assert tokens.fetch_svid({AUDIENCE}).token != token.token
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            client.validate_jwt_svid(token.token, AUDIENCE)
        except Exception:
            break
        time.sleep(0.5)
    again = tokens.fetch_svid({AUDIENCE})
    assert client.validate_jwt_svid(again.token, AUDIENCE).spiffe_id == first.spiffe_id
    must_fail("a token that has expired", client.validate_jwt_svid, token.token, AUDIENCE)
    say("jwt rotated")


def spiffe_id(certificate):
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return SpiffeId(names.get_values_for_type(x509.UniformResourceIdentifier)[0])


def of(path):
    """Peers of this path, in whatever instance."""
    return lambda certificate: spiffe_id(certificate.to_cryptography()).path.startswith(path)


def read_all(connection):
    text = b""
    try:
        while piece := connection.recv(4096):
            text += piece
    except (SSL.ZeroReturnError, SSL.SysCallError):
        pass
    return text.decode()


def serve(port, peer, count):
    source = X509Source(timeout_in_seconds=PATIENCE)
    listener = listen(f"127.0.0.1:{port}", source, ListenOptions(authorize_fn=of(peer)))
    for _ in range(int(count)):
        connection, _ = listener.accept()
        try:
            connection.do_handshake()
            seen = str(spiffe_id(connection.get_peer_certificate().to_cryptography()))
            assert connection.recv(5) == b"hello"
            connection.sendall(seen.encode())
            connection.shutdown()
            say(f"served {seen}")
        except SSL.Error as error:
            say(f"refused: {error}")
        finally:
            connection.close()


def call(port, peer):
    source = X509Source(timeout_in_seconds=PATIENCE)
    while True:
        try:
            connection = dial(f"127.0.0.1:{port}", source, authorize_fn=authorize_id(SpiffeId(peer)))
            break
        except ConnectionError:
            time.sleep(0.05)
        except Exception as error:
            return say(f"refused: {error!r}")
    try:
        connection.sendall(b"hello")
        seen = read_all(connection)
    except SSL.Error as error:
        return say(f"refused: {error!r}")
    say("seen as itself" if seen == str(source.svid.spiffe_id) else f"refused: {seen!r}")


if __name__ == "__main__":
    {"watch": watch, "serve": serve, "dial": call}[sys.argv[2]](*sys.argv[3:])
