"""A workload that knows SPIFFE by PyPI's `spiffe` alone: speaks for itself, or judges a foreign one.

peer.py LIBRARY speak AUDIENCE: prints its SVIDs as JSON.
peer.py LIBRARY judge FILE AUDIENCE: waits for the bundle of the trust domain of whoever spoke, judges what they
said, and says when the bundle is gone again.
"""

import json
import os
import sys
import time

sys.path.insert(0, sys.argv.pop(1))
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.x509 import load_pem_x509_certificates
from spiffe import JwtSvid, SpiffeId, WorkloadApiClient


def pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def speak(client, audience):
    context = client.fetch_x509_context()
    svid = context.default_svid
    key = svid.private_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    said = {
        "id": str(svid.spiffe_id),
        "token": client.fetch_jwt_svid(audience={audience}).token,
        "chain": "".join(pem(one) for one in svid.cert_chain),
        "key": key.decode(),
        "domains": sorted(bundle.trust_domain.name for bundle in context.x509_bundle_set.bundles),
    }
    print(json.dumps(said), flush=True)


def of(bundles, domain):
    return next((one for one in bundles.bundles if one.trust_domain == domain), None)


def wait(client, domain, there):
    for _ in range(1200):
        bundle = of(client.fetch_x509_bundles(), domain)
        if (bundle is not None) == there:
            return bundle
        time.sleep(0.05)
    sys.exit(f"{domain}: in vain")


def is_issued(certificate, root):
    try:
        certificate.verify_directly_issued_by(root)
    except (InvalidSignature, ValueError):
        return False
    return True


def judge(client, file, audience):
    with open(file) as opened:
        said = json.load(opened)
    domain = SpiffeId(said["id"]).trust_domain
    x509 = wait(client, domain, True)
    chain = load_pem_x509_certificates(said["chain"].encode())
    for signed, by in zip(chain, chain[1:]):
        signed.verify_directly_issued_by(by)
    assert any(is_issued(chain[-1], root) for root in x509.x509_authorities)
    jwt = of(client.fetch_jwt_bundles(), domain)
    token = JwtSvid.parse_and_validate(said["token"], jwt, {audience})
    judged = client.validate_jwt_svid(said["token"], audience)
    assert str(token.spiffe_id) == str(judged.spiffe_id) == said["id"]
    context = client.fetch_x509_context().x509_bundle_set
    assert of(context, domain).x509_authorities == x509.x509_authorities
    print(f"verified {said['id']} with {len(x509.x509_authorities)} authorities", flush=True)
    wait(client, domain, False)
    try:
        client.validate_jwt_svid(said["token"], audience)
        sys.exit("still believed")
    except Exception:
        print("gone", flush=True)


with WorkloadApiClient(os.environ["SPIFFE_ENDPOINT_SOCKET"]) as client:
    {"speak": speak, "judge": judge}[sys.argv[1]](client, *sys.argv[2:])
