"""The catalogue recognises what clients say, and puts nothing into a command that was not checked."""

from __future__ import annotations

import re
import shlex
import time
from pathlib import Path

import hypothesis
import pytest
from hypothesis import strategies

from tests.client_messages.samples import CTR, CURL, DOCKER, PODMAN, SAMPLES, UNKNOWN
from trusted_registry import doctor
from trusted_registry.client_messages import catalogue
from trusted_registry.client_messages.catalogue import MESSAGES, LocalContext
from trusted_registry.client_messages.message import REGISTRY, Message
from trusted_registry.trust import client_stores

HERE = LocalContext(registry="192.168.0.12")
OF_ONE_S_OWN = re.compile(r"\./inv |NO_PROXY")
"""Steps for a registry of one's own."""
EVIL = [
    "$(reboot)",
    "`reboot`",
    "a;reboot",
    "a b",
    "-rf",
    "../../etc",
    "a\nb",
    "x" * 300,
    "'",
    '"',
    "a|b",
    "a&b",
    "%s{x}",
]


def commands(text: str, local: LocalContext = HERE) -> list[str]:
    """Return the commands of the only message in a text."""
    (found,) = catalogue.find(text, local)
    return [step.command for step in found.cure]


@pytest.mark.parametrize(("said", "key"), SAMPLES)
def test_a_message_is_recognised_for_what_it_is_and_has_a_cure(said: str, key: str) -> None:
    (found,) = catalogue.find(said, HERE)
    assert found.key == key
    assert all(step.command for step in found.cure)
    assert found.cure


def test_every_row_has_a_message_that_it_recognises() -> None:
    assert {message.key for message in MESSAGES} == {key for _, key in SAMPLES}


def test_every_row_is_known_by_a_key_of_its_own() -> None:
    assert len({message.key for message in MESSAGES}) == len(MESSAGES)


def test_a_store_that_a_cure_names_is_one() -> None:
    lines = [step.command for message in MESSAGES for step in message.cure]
    named = {name for line in lines for name in re.findall(r"--only (\w+)", line)}
    assert named <= set(client_stores.NAMES)


def test_what_a_row_sends_doctor_to_look_at_is_one_of_its_checks() -> None:
    sources = (path.read_text() for path in Path(doctor.__file__).parent.glob("checks_*.py"))
    keys = {key for source in sources for key in re.findall(r'(?:Finding|_untold)\((?:\w+, )*\s*"([a-z.-]+)"', source)}
    asked = {key for message in MESSAGES for key in message.checks}
    assert asked
    assert asked <= keys


@pytest.mark.parametrize(
    "said",
    [
        "",
        "all is well",
        "x509",
        "docker pull 192.168.0.12/app",
        "timeout set to 30",
        "WARNING: Error loading config file: /root/.docker/config.json: unexpected end of JSON input",
        'err.code="manifest invalid" err.detail="unexpected end of JSON input" err.message="manifest invalid"',
        'err.code="digest invalid" err.detail="invalid checksum digest format"',
    ],
)
def test_a_text_without_a_known_message_has_none(said: str) -> None:
    assert catalogue.find(said, HERE) == []


def test_the_address_and_port_that_a_message_names_stand_in_the_cure() -> None:
    assert commands(f"{PODMAN}{UNKNOWN}")[0] == "./inv trust.linux --address 192.168.0.12 --port 8443"


def test_without_an_address_in_the_message_the_cure_is_for_this_checkout_s_own() -> None:
    assert commands("x509: certificate signed by unknown authority")[0] == "./inv trust.linux"


@pytest.mark.parametrize(
    "said",
    [
        "https://192.168.0.12/v2/: MOZILLA_PKIX_ERROR_CA_CERT_USED_AS_END_ENTITY",
        "https://192.168.0.12/v2/: SEC_ERROR_EXPIRED_ISSUER_CERTIFICATE",
        "https://192.168.0.12/v2/: CERTIFICATE_VERIFY_FAILED: Missing Authority Key Identifier",
    ],
)
def test_a_new_authority_reaches_the_stores_that_the_message_s_program_reads(said: str) -> None:
    assert commands(said)[1] == "./inv trust.linux --system --address 192.168.0.12"


def test_a_layer_that_was_collected_is_pushed_again_once_the_registry_has_forgotten_it() -> None:
    (cut_off,) = catalogue.find("unexpected EOF", HERE)
    (lost,) = catalogue.find("unknown blob", HERE)
    for step in (cut_off.cure[-1], lost.cure[0]):
        assert step.command == "docker restart registry"
        assert "push again" in step.line


def test_the_name_that_a_certificate_lacks_stands_in_the_cure() -> None:
    said = 'Get "https://registry.local/v2/": x509: certificate is valid for a.local, not registry.local'
    renew, trust = commands(said)
    assert (renew, trust) == ("./inv cert.renew --names registry.local", "./inv trust.linux --address registry.local")


def test_a_port_of_this_machine_s_registry_that_it_has_left_is_told_from_a_registry_that_does_not_run() -> None:
    said = "dial tcp 192.168.0.12:8443: connect: connection refused"
    at_home = LocalContext(registry="192.168.0.12", hosts=frozenset({"192.168.0.12"}))
    reach = "./inv doctor --remote 192.168.0.12:8443"
    assert commands(said, at_home) == ["./inv up --port 8443", reach, "docker pull 192.168.0.12/app"]
    assert commands(said, LocalContext(registry="192.168.0.12:8443", hosts=at_home.hosts)) == ["./inv up", reach]
    assert commands(said) == ["./inv up", reach], "on another machine the registry may be anywhere"


def test_an_ipv6_address_is_understood_in_brackets() -> None:
    said = 'Get "https://[fd00::12]:8443/v2/": x509: certificate signed by unknown authority'
    assert commands(said)[0] == "./inv trust.linux --address fd00::12 --port 8443"


def test_the_proxy_s_address_is_not_taken_for_the_registry_s() -> None:
    said = 'Get "https://192.168.0.12/v2/": proxyconnect tcp: dial tcp 10.9.9.9:3128: connect: connection refused'
    assert all("10.9.9.9" not in line and "192.168.0.12" in line for line in commands(said))


def test_containerd_is_told_by_its_own_store_and_docker_with_containerd_s_words_is_not() -> None:
    assert "--only containerd" in commands(f"{CTR}{UNKNOWN}")[0]
    assert "--only" not in commands(f"Error response from daemon: {CTR.removeprefix('ctr: ')}{UNKNOWN}")[0]


def test_a_log_with_several_messages_has_each_once_in_its_order() -> None:
    lines = [f"{DOCKER}EOF", "nothing", f"{DOCKER}{UNKNOWN}", f"{PODMAN}{UNKNOWN}", f"{DOCKER}{UNKNOWN}"]
    found = [(match.key, match.cure[0].command) for match in catalogue.find("\n".join(lines), HERE)]
    assert [key for key, _ in found] == ["cut-off", "unknown-authority", "unknown-authority"]
    assert found[1] != found[2]


def test_in_the_registry_s_own_log_a_client_s_address_is_not_taken_for_the_registry_s() -> None:
    said = "http: TLS handshake error from 192.168.0.31:{}: remote error: tls: bad certificate"
    (found,) = catalogue.find("\n".join(said.format(port) for port in (40001, 40002)), HERE)
    assert "192.168.0.31" in found.cause
    assert all("192.168.0.31" not in step.command for step in found.cure)
    two = said.replace(".31", ".32").format(40003)
    assert len(catalogue.find(f"{said.format(40001)}\n{two}", HERE)) == 2


def test_a_message_that_a_terminal_broke_into_lines_is_recognised() -> None:
    assert commands('Get "https://192.168.0.12/v2/": x509: certificate signed by\nunknown authority')
    assert commands('Get "https://192.168.0.12/v2/": x509: certificate signed by unkn\nown authority')


def test_a_message_inside_an_engine_s_own_log_is_recognised() -> None:
    said = 'level=error msg="Handler returned error: Get \\"https://192.168.0.12/v2/\\": x509: certificate signed by '
    assert commands(f'{said}unknown authority"')[0] == "./inv trust.linux --address 192.168.0.12"


def test_a_step_for_the_registry_s_machine_says_so_unless_that_is_this_one() -> None:
    said = f"{DOCKER}x509: certificate has expired or is not yet valid: current time x is after y"
    (elsewhere,) = catalogue.find(said, HERE)
    (at_home,) = catalogue.find(said, LocalContext(registry="192.168.0.12", hosts=frozenset({"192.168.0.12"})))
    assert (elsewhere.cure[0].at, elsewhere.cure[0].line) == (
        REGISTRY,
        "./inv cert.renew  # on the registry's machine",
    )
    assert at_home.cure[0].line == "./inv cert.renew"


def test_only_a_client_elsewhere_is_told_to_fetch_the_authority_from_the_registry_s_machine() -> None:
    for said in (f"{DOCKER}{UNKNOWN}", f"{DOCKER}{UNKNOWN} (possibly because of", f"{CURL}self-signed certificate"):
        (elsewhere,) = catalogue.find(said, LocalContext(registry="192.168.0.12"))
        (at_home,) = catalogue.find(said, LocalContext(registry="192.168.0.12", hosts=frozenset({"192.168.0.12"})))
        assert "registry's machine in certs/ here" in elsewhere.cure[0].line
        assert "#" not in at_home.cure[0].line


def test_of_a_certificate_without_the_address_no_more_is_said_than_the_message_tells() -> None:
    said = f"{DOCKER}x509: cannot validate certificate for 192.168.0.12 because it doesn't contain any IP SANs"
    (found,) = catalogue.find(said, LocalContext(registry="10.0.0.5"))
    assert "does not name the address 192.168.0.12 as an IP" in found.cause
    assert found.cure[0].command == "./inv cert.renew --names 192.168.0.12"
    assert found.cure[0].note == "if that is your registry"
    assert "proxy" in found.look


def test_an_image_that_is_not_there_is_to_be_pushed_first() -> None:
    (found,) = catalogue.find(f"{DOCKER}manifest unknown", HERE)
    assert "nobody has pushed it yet" in found.cause
    assert "push first" in found.cure[0].note


def test_what_was_said_is_shown_as_it_was_said_and_understood_without_its_escapes() -> None:
    said = 'time="x" level=fatal msg="pinging: Get \\"https://192.168.0.12/v2/\\": x509: certificate is valid for a'
    said += ', not 127.0.0.2"'
    (found,) = catalogue.find(said, HERE)
    assert found.said == said
    assert found.cure[0].command == "./inv cert.renew --names 127.0.0.2"


@pytest.mark.parametrize("evil", EVIL)
@pytest.mark.parametrize(
    "said",
    [
        'Get "https://{}/v2/": x509: certificate signed by unknown authority',
        'Get "https://192.168.0.12/v2/": x509: certificate is valid for 10.0.0.1, not {}',
        "cannot validate certificate for {} because it doesn't contain any IP SANs",
        "missing client certificate a.cert for key {}",
        "missing key a.key for client certificate {}",
        "curl: (6) Could not resolve host: {}",
        'Get "https://{}/v2/": proxyconnect tcp: refused',
        "open /etc/docker/certs.d/{}/ca.crt: permission denied",
        "dial tcp {}:443: connect: connection refused",
        "http: TLS handshake error from {}:1: remote error: tls: bad certificate",
    ],
)
def test_what_a_message_smuggles_in_reaches_no_command(said: str, evil: str) -> None:
    harmless = {line for match in catalogue.find(said.format("10.0.0.9"), HERE) for line in _words(match)}
    for match in catalogue.find(said.format(evil), HERE):
        for step in match.cure:
            assert not {"reboot", "etc/passwd", "../"} & set(shlex.split(step.command, comments=True))
            assert "reboot" not in step.command.replace("until the next reboot", "")
            assert "\n" not in step.line
            assert ".." not in step.command
            assert "x" * 254 not in step.command
    assert harmless


def _words(match: catalogue.Match) -> list[str]:
    return [step.command for step in match.cure]


def test_what_is_shown_of_a_message_moves_no_cursor() -> None:
    (found,) = catalogue.find(f"\x1b]0;owned\x07\x1b[31m{DOCKER}{UNKNOWN}\x1b[0m", HERE)
    assert not any(ord(character) < 32 for character in found.said)


@pytest.mark.parametrize(("systemd", "wanted"), [(True, "systemctl restart docker"), (False, "/etc/default/docker")])
def test_the_engine_is_sent_past_its_proxy_as_this_system_does_it(systemd: bool, wanted: str) -> None:  # noqa: FBT001 - a parameter
    said = f"{DOCKER}proxyconnect tcp: dial tcp 10.9.9.9:3128: i/o timeout"
    local = LocalContext(registry="192.168.0.12", systemd=systemd, no_proxy="localhost,.corp")
    last = commands(said, local)[-1]
    assert wanted in last
    assert "localhost,.corp,192.168.0.12" in last


@pytest.mark.parametrize("evil", ["a;reboot", "$(reboot)", 'a"; reboot #', "a\nb"])
def test_what_the_engine_says_of_its_proxy_is_checked_like_the_rest(evil: str) -> None:
    last = catalogue.no_proxy_command("192.168.0.12", LocalContext(no_proxy=evil))
    assert ("reboot" in last, "NO_PROXY=192.168.0.12" in last) == (False, True)


@pytest.mark.parametrize(
    ("hub", "named"), [("registry-1.docker.io", False), ("docker.io", False), ("mydocker.io", True)]
)
@pytest.mark.parametrize(
    "said",
    [
        'Get "https://{}/v2/": x509: certificate signed by unknown authority',
        'Get "https://{}/token": proxyconnect tcp: dial tcp: lookup proxy: oops',
    ],
)
def test_the_docker_hub_is_never_the_registry_that_a_cure_names(said: str, hub: str, named: bool) -> None:  # noqa: FBT001 - a parameter
    found = commands(said.format(hub))
    assert found
    assert any("docker.io" in line for line in found if OF_ONE_S_OWN.search(line)) is named


def test_of_a_long_log_the_end_is_read_in_a_second_or_two() -> None:
    line = 'level=info msg="response completed" number={} ' + "x" * 200
    lines = [line.format(number) for number in range(100_000)]
    begun = time.process_time()
    (found,) = catalogue.find("\n".join([f"{DOCKER}EOF", *lines, f"{DOCKER}{UNKNOWN}"]), HERE)
    assert (found.key, time.process_time() - begun < 2.0) == ("unknown-authority", True)


@pytest.mark.parametrize("message", MESSAGES, ids=lambda row: row.key)
def test_a_line_of_nonsense_takes_no_row_long(message: Message) -> None:
    begun = time.process_time()
    for filling in ("a", "x509: ", "certificate is valid for ", " ", "desc = failed to resolve "):
        catalogue.find(f"{message.key} {filling * 2000}", HERE)
    assert time.process_time() - begun < 1.0


CRAFTED = [
    "x509: ",
    "certificate is valid for a, ",
    "status 401 x",
    "certificate signed by unknown authority failed to solve ",
    "error during connect: ",
    "login -a -a ",
    "read tcp 1.2.3.4->",
    "docker pull a.b/c ",
    "https://a.b:5000/ x509: ",
    "table a already ",
]


@pytest.mark.parametrize("filling", CRAFTED)
def test_a_text_that_was_made_to_be_slow_takes_no_second(filling: str) -> None:
    lines = "\n".join(f"{number} {filling * 4000}"[:4000] for number in range(1000))
    assert _least_seconds(lines) < 1.5


def _least_seconds(text: str) -> float:
    """Return the seconds of the quickest of three searches: what else runs on a machine makes a processor slow too."""
    taken = []
    for _ in range(3):
        begun = time.process_time()
        catalogue.find(text, HERE)
        taken.append(time.process_time() - begun)
    return min(taken)


def test_a_thousand_messages_about_a_thousand_registries_take_no_second() -> None:
    said = 'Get "https://10.0.{}.{}/v2/": dial tcp 10.0.{}.{}:443: connect: connection refused'
    lines = "\n".join(said.format(*2 * (number // 250, number % 250)) for number in range(1000))
    begun = time.process_time()
    assert len(catalogue.find(lines, HERE)) == 1000
    assert time.process_time() - begun < 2.0


@pytest.mark.parametrize(("message", "pattern"), [(row.key, it) for row in MESSAGES for it in row.patterns])
@hypothesis.settings(max_examples=15, deadline=None, database=None)
@hypothesis.given(data=strategies.data())
def test_every_message_has_one_of_the_words_by_which_lines_are_chosen(
    message: str, pattern: str, data: strategies.DataObject
) -> None:
    line = data.draw(strategies.from_regex(pattern, alphabet=strategies.characters(codec="ascii")))
    assert any(hint in line.lower() for hint in catalogue.HINTS), message
