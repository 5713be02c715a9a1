"""Every setting's default, and the one port that no reference names: `inv --list` needs these and no more."""

from __future__ import annotations

HTTPS = 443
"""The port that clients assume, so that references and flags leave it out."""

DEFAULTS: dict[str, dict[str, str]] = {
    "registry": {
        "address": "",
        "names": "",
        "port": "443",
        "plain_port": "5000",
        "listen": "",
        "container": "registry",
        "volume": "trusted-registry",
        "image": "registry:3",
        "archive": "",
    },
    "certificate": {
        "folder": "certs",
        "key": "ec:P-256",
        "days": "365",
        "authority_days": "3650",
        "renew_before": "30",
        "tool": "auto",
    },
}
"""Texts, all of them: Invoke turns an environment variable into the type of its default, and fails with a traceback
when that is a number and the variable is not (invoke/env.py, `_cast`)."""
