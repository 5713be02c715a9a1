"""Trust on many machines at once, through Ansible: options, command, environment, and the result on each host."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trusted_registry.console import pasteable
from trusted_registry.errors import RegistryError, SettingError
from trusted_registry.values import matching, path, whole_number

PLAYBOOK = Path(__file__).parent / "playbook" / "hosts.yml"
ANSIBLE_EXTRA = "hosts"
"""Name of the optional dependencies in pyproject.toml that include Ansible."""

UNREACHABLE, REFUSED = "unreachable", "refused"
FINE_STATES = ("changed", "already trusted", "would change", "absent", "ready")
"""Final states of a kit that succeeded, or of another script, printed after `MARK`."""
MARK = "trusted-registry: "

MOST_FORKS = 500
LONGEST_STEP = 120
"""Seconds that one host may take: a kit takes less than one, and a host that hangs must not delay the others."""
_USER = re.compile(r"([a-zA-Z0-9_][a-zA-Z0-9_.@\\-]{0,63})?\Z")
_LIMIT = re.compile(r"[^\x00-\x1f\x7f]{0,4096}\Z")
_LONGEST_REASON = 200
_RESTART = re.compile(r"^\S+: it .+, so: .+$", re.MULTILINE)
_NOTE = re.compile(r"^note: (.+)$", re.MULTILINE)
_PROOF = re.compile(r"^proof: (.+)$", re.MULTILINE)
_FACT = re.compile(r"^fact: (.+)$", re.MULTILINE)
_MOST_FACTS = 20
_KIT_REASON = re.compile(r"^error: (.+)$", re.MULTILINE)

_KEY_CHANGED = "its host key is not the one in known_hosts: see that it is still your machine"
_SSH_REASONS = (
    ("REMOTE HOST IDENTIFICATION HAS CHANGED", _KEY_CHANGED),
    ("Host key verification failed", "its host key is not known: ssh to it once, compare, say yes"),
    ("Permission denied", "ssh does not accept this key: {}"),
    ("Too many authentication failures", "ssh does not accept these keys: {}"),
)
"""Messages of ssh if a host answers but refuses this user (OpenSSH, sshconnect.c and sshconnect2.c), with reasons."""
_SSH_PREFIX = re.compile(r"^(.*(via|over) ssh: )?(ssh: )?", re.IGNORECASE)
_WANTS_PASSWORD = re.compile(r"a password is required|missing sudo password", re.IGNORECASE)
"""Words where nobody was asked for a password; one that was asked for and is wrong is no reason to ask."""
_NO_SUDO = re.compile(r"^.*(?:sudo: |sudo password|not in the sudoers|doas: ).*$", re.MULTILINE | re.IGNORECASE)


@dataclass(frozen=True)
class HostOptions:
    """Options of a run on hosts, in Ansible's terms.

    Args:
        inventory: File, folder, or hosts with commas between and after them.
        limit: Ansible's pattern for some of the hosts; empty for all.
        user: User to log in as; empty if ssh or the inventory names one.
        forks: Number of hosts at a time.
        check: Whether the hosts only report the changes that would be made.
        remove: Whether the trust is to be removed.
        system: Whether the operating systems' own stores are included.
        ask_password: Whether Ansible asks, once, for the hosts' sudo password.
        password: That password, which Ansible reads from its standard input; "" for none.
    """

    inventory: str
    limit: str = ""
    user: str = ""
    forks: str = "25"
    check: bool = False
    remove: bool = False
    system: bool = False
    ask_password: bool = False
    password: str = field(default="", repr=False)

    @property
    def flags(self) -> list[str]:
        """Flags of the kit; the plugin on the host adds the one for a check."""
        return [*(["--remove"] if self.remove else []), *(["--system"] if self.system else [])]


@dataclass(frozen=True)
class HostResult:
    """Result on one host: one of FINE_STATES with the work left there, or UNREACHABLE or REFUSED with the reason.

    `proof` is how the kit proved that a pull works there; empty if it did not. `facts` are told by scripts that look.
    """

    host: str
    state: str
    reason: str = ""
    proof: str = ""
    facts: tuple[str, ...] = ()

    @property
    def fine(self) -> bool:
        """Whether the run succeeded on the host."""
        return self.state in FINE_STATES

    @property
    def wants_password(self) -> bool:
        """Whether sudo there asks for a password that nobody gave."""
        return self.state == REFUSED and bool(_WANTS_PASSWORD.search(self.reason))


def checked(options: HostOptions) -> HostOptions:
    """Return the options unchanged, after validation.

    Raises:
        SettingError: A flag is of no use to Ansible.
    """
    cure = "Name one: --inventory hosts.ini, a file with a host on each line, as Ansible reads it."
    if not options.inventory:
        raise SettingError("trust.hosts needs an inventory.", cure=cure)
    if not path("--inventory", options.inventory).exists() and "," not in options.inventory:
        raise SettingError(f"There is no inventory {options.inventory}.", cure=cure)
    matching("--limit", options.limit, _LIMIT, "names of hosts and groups, separated by commas")
    matching("--user", options.user, _USER, "a user's name")
    whole_number("--forks", options.forks, 1, MOST_FORKS)
    return options


def program() -> str:
    """Return the path of ansible-playbook: beside this Python, or on PATH.

    Raises:
        RegistryError: Ansible, or the ssh that Ansible calls, is not installed.
    """
    beside = shutil.which("ansible-playbook", path=str(Path(sys.executable).parent))
    found = beside or shutil.which("ansible-playbook")
    if not found:
        root = Path(__file__).parents[3]
        argv = [sys.executable, "-I", "-m", "pip", "install", "--editable", f"{root}[{ANSIBLE_EXTRA}]"]
        raise RegistryError("Ansible is not installed; trust.hosts works through it.", cure=pasteable(argv))
    if not shutil.which("ssh"):
        raise RegistryError("ssh is not installed.", cure="Debian, Ubuntu: apt-get install openssh-client")
    return found


def command(options: HostOptions, kit: str, ansible: str = "ansible-playbook") -> list[str]:
    """Return the command that runs a kit's file on all hosts."""
    argv = [ansible, f"--inventory={options.inventory}", f"--forks={options.forks}"]
    argv += [f"--limit={options.limit}"] if options.limit else []
    argv += [f"--user={options.user}"] if options.user else []
    argv += ["--check"] if options.check else []
    argv += ["--ask-become-pass"] if options.ask_password else []
    argv += ["--become-password-file=-"] if options.password else []  # a file would outlive a run that is killed
    values = json.dumps({"trust_kit": kit, "trust_flags": options.flags})
    return [*argv, f"--extra-vars={values}", str(PLAYBOOK)]


def environment(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the environment variables that set Ansible's behaviour.

    Whether host keys are checked is left to ssh and the user's ansible.cfg.
    """
    return {
        "ANSIBLE_STDOUT_CALLBACK": "trusted_registry_lines",
        "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true",
        "ANSIBLE_NOCOLOR": "true",
        "ANSIBLE_FORCE_COLOR": "false",
        "ANSIBLE_TASK_TIMEOUT": environ.get("ANSIBLE_TASK_TIMEOUT", str(LONGEST_STEP)),
        # Ansible reads nothing but UTF-8, and other machines' messages are matched in English.
        "LC_ALL": "C.UTF-8",
        # ssh would ask about keys and passphrases, for all hosts at once: whatever it asks, nobody answers (ssh(1)).
        "SSH_ASKPASS": "false",
        "SSH_ASKPASS_REQUIRE": "force",
    }


def result_of(event: Mapping[str, Any]) -> HostResult:
    """Return a host's result from one event of the callback plugin."""
    host, end = str(event["host"]), event["end"]
    out, err, message = (str(event[key]) for key in ("stdout", "stderr", "msg"))
    last = _lines(out)[-1] if _lines(out) else ""
    if end == "ok" and last.removeprefix(MARK) in FINE_STATES:
        left = [*_RESTART.findall(out), *_NOTE.findall(err)]
        proof = _one_line("; ".join(_PROOF.findall(out)))
        facts = tuple(map(_one_line, _FACT.findall(out)[:_MOST_FACTS]))
        return HostResult(host, last.removeprefix(MARK), _one_line("; ".join(left)), proof, facts)
    if end == "unreachable":
        return _unreached(host, message)
    return HostResult(host, REFUSED, _one_line(_refusal(last, out, err, message)))


def _unreached(host: str, message: str) -> HostResult:
    words = _one_line(_SSH_PREFIX.sub("", (_lines(message) or ["nobody answers"])[-1]))
    for sign, reason in _SSH_REASONS:
        if sign in message:
            return HostResult(host, REFUSED, reason.format(words))
    return HostResult(host, UNREACHABLE, words)


def _refusal(last: str, out: str, err: str, message: str) -> str:
    """Return the reason of a failure.

    The kit's own reason comes first; then sudo's, if the kit never ran; then the last line of output.
    """
    if last.startswith(MARK):
        said = _KIT_REASON.search(f"{err}\n{out}")
        return said.group(1) if said else (_lines(err) or _lines(out)[:-1] or [last])[-1]
    no_sudo = _NO_SUDO.search(f"{err}\n{message}\n{out}")
    if no_sudo:
        return f"no root there: {no_sudo.group(0).strip().removeprefix('Task failed: ')}"
    return (_lines(err) or _lines(message) or _lines(out) or ["it said nothing"])[-1].removeprefix("Task failed: ")


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _one_line(text: str) -> str:
    """Return a remote message as one short line without control characters."""
    plain = "".join(letter if letter.isprintable() else " " for letter in text).strip()
    return plain if len(plain) <= _LONGEST_REASON else f"{plain[: _LONGEST_REASON - 1]}…"


class Report:
    """Ansible's output, read line by line: hosts and their results, warnings and errors."""

    def __init__(self) -> None:
        self.hosts: list[str] = []
        self.results: dict[str, HostResult] = {}
        self._words: list[str] = []

    def read_line(self, line: str) -> HostResult | None:
        """Read a line; return the host's result if the line holds one."""
        event = _event(line)
        if event is None:
            if line.startswith(("[", "ERROR")):
                self._words.append(line.strip())
            elif self._words and line.strip():
                self._words[-1] += f" {line.strip()}"  # Ansible breaks its lines
            return None
        if "hosts" in event:
            self.hosts += event["hosts"]
            return None
        result = result_of(event)
        self.results[result.host] = result
        return result

    @property
    def all_results(self) -> tuple[HostResult, ...]:
        """Every host's result, in the inventory's order; unreachable if none came."""
        unheard = "there was no result from it"
        return tuple(self.results.get(host) or HostResult(host, UNREACHABLE, unheard) for host in self.hosts)

    @property
    def warnings(self) -> list[str]:
        """Warnings that Ansible printed."""
        mark = "[WARNING]: "
        return [_one_line(words.removeprefix(mark)) for words in self._words if words.startswith(mark)]

    @property
    def error(self) -> str:
        """Reason why Ansible gave up; empty if none was printed."""
        marks = ("[ERROR]: ", "ERROR! ")
        found = [words for words in self._words if words.startswith(marks)]
        return _one_line(found[-1].partition(" ")[2]) if found else ""


def _event(line: str) -> dict[str, Any] | None:
    if not line.startswith("{"):
        return None
    try:
        event = json.loads(line)
    except json.JSONDecodeError:
        return None
    return event if isinstance(event, dict) and ("hosts" in event or {"host", "end"} <= event.keys()) else None
