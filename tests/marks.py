"""Marks that several subjects share: who must run a test, and on what system."""

from __future__ import annotations

import os
import platform

import pytest

by_root = pytest.mark.skipif(os.geteuid() != 0, reason="takes root")
on_linux = pytest.mark.skipif(platform.system() != "Linux", reason="takes Linux")
