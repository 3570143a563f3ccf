"""Which certificates the host trusts when it connects for code or for packages."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path


def make_context(environ: Mapping[str, str], *, also: tuple[str, ...] = ()) -> ssl.SSLContext:
    """Checks certificates against the user's bundle, the system's or, if it has none, certifi's.

    `also` are variables that name a bundle beside the usual ones.
    """
    for name in ("SSL_CERT_FILE", *also, "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        if (path := environ.get(name)) and Path(path).is_file():
            return ssl.create_default_context(cafile=path)
    paths = ssl.get_default_verify_paths()
    if paths.cafile or paths.capath:
        return ssl.create_default_context()
    import certifi

    return ssl.create_default_context(cafile=certifi.where())
