"""What PyPI's `spiffe` and `cryptography` see of this workload's SVIDs: no word of Chancery.

Prints one JSON object: the SPIFFE ID, the names in the certificate by their kind, how many seconds it lives, and
the hints of all X.509-SVIDs.
"""

import json
import sys
import warnings

sys.path.insert(0, sys.argv[1])
warnings.simplefilter("ignore")

from cryptography import x509  # noqa: E402
from spiffe import WorkloadApiClient  # noqa: E402

context = WorkloadApiClient().fetch_x509_context()
svid = context.default_svid
names = svid.leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
life = svid.leaf.not_valid_after_utc - svid.leaf.not_valid_before_utc
said = {
    "id": str(svid.spiffe_id),
    "critical": names.critical,
    "uris": names.value.get_values_for_type(x509.UniformResourceIdentifier),
    "dns": names.value.get_values_for_type(x509.DNSName),
    "others": len(names.value) - len(names.value.get_values_for_type(x509.DNSName)) - 1,
    "seconds": int(life.total_seconds()),
    "hints": [getattr(one, "hint", None) for one in context.x509_svids],
}
print(json.dumps(said), flush=True)
