"""PyPI's `spiffe`, asked over stdin: what it reads SPIFFE IDs and JWT-SVIDs as."""

import json
import sys

from spiffe import JwtBundle, JwtSvid, SpiffeId, TrustDomain
from spiffe.errors import PySpiffeError
from spiffe.spiffe_id.spiffe_id import SpiffeIdError


def read(text):
    try:
        return str(SpiffeId(text))
    except SpiffeIdError:
        return None


def judge(given):
    try:
        domain = TrustDomain(given["trust_domain"])
        bundle = JwtBundle.parse(domain, given["bundle"].encode())
        svid = JwtSvid.parse_and_validate(given["token"], bundle, {given["audience"]})
        return {"spiffe_id": str(svid.spiffe_id), "aud": sorted(svid.audience)}
    except PySpiffeError as error:
        return {"refused": str(error)}


given = json.load(sys.stdin)
if given["do"] == "ids":
    answer = [read(text) for text in given["ids"]]
else:
    answer = judge(given)
json.dump(answer, sys.stdout)
