"""Default of every setting, the checkout, and the port of HTTPS: all that `inv --list` needs."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The checkout."""

HTTPS = 443
"""Port that clients assume, so references and flags omit this one."""

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
        "front": "off",
        "front_image": "haproxy:lts",
        "drain": "600",
        "metrics": "",
        "storage": "",
        "storage_endpoint": "",
        "storage_region": "us-east-1",
        "storage_insecure": "off",
    },
    "certificate": {
        "folder": "certs",
        "key": "ec:P-256",
        "days": "365",
        "authority_days": "3650",
        "renew_before": "30",
        "tool": "auto",
    },
    "images": {
        "undo_days": "7",
        "keep": "",
        "older": "",
        "untagged": "off",
        "match": "",
    },
}
"""Strings throughout: Invoke casts an environment variable to the type of its default, and fails with a traceback if
the default is a number and the variable is not (invoke/env.py, `_cast`)."""
