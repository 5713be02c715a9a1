"""Marks that several subjects share: who must run a test, and on what system."""

from __future__ import annotations

import os
import platform
import socket

import pytest


def _has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


by_root = pytest.mark.skipif(os.geteuid() != 0, reason="takes root")
has_ipv6 = pytest.mark.skipif(not _has_ipv6(), reason="takes IPv6")
on_linux = pytest.mark.skipif(platform.system() != "Linux", reason="takes Linux")
