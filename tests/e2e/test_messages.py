"""Every message that a Linux machine can be brought to say: by the real client, explained, and cured as printed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.e2e.lab import IMAGES
from tests.e2e.messages import nothing, pulls, runs, serves
from tests.e2e.steps import CERTS, carry, hand_over, push
from tests.e2e.test_rootless import ENVIRONMENT
from tests.e2e.test_rootless import _start as begin_rootless

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.hosts import Done, Host
    from tests.e2e.messages import Case

CERTS_D = "/etc/docker/certs.d"
NAME = "images.lab.local"
ABROAD = "registry.example.com"

STRICT = (
    "import ssl, sys, urllib.request; tls = ssl.create_default_context(); "
    "tls.verify_flags |= ssl.VERIFY_X509_STRICT; print(urllib.request.urlopen(sys.argv[1], context=tls).status)"
)
SESSION = {"XDG_RUNTIME_DIR": "/home/dev/.run"}
"""What a login gives an ordinary user, and `docker exec` does not."""

HASH = "dev:{SHA}fEqNCco3Yq9h5ZUglD3CZJT4lBs=\n"
"""htpasswd's hash of a password by SHA-1, which the registry does not read."""


def starts(registry: Host, client: Host) -> str:
    """Have a registry with one image, its authority at hand on the client, and return the image's name."""
    registry.inv("up")
    hand_over(registry, client)
    push(registry, f"{registry.address}/app:latest")
    return f"{registry.address}/app:latest"


def test_what_each_client_says_of_a_registry_that_it_was_not_told_of_is_explained_and_cured(case: Case) -> None:
    registry, client = case.registry, case.client
    reference = starts(registry, client)
    url = f"https://{registry.address}/v2/"
    for argv in (["podman", "pull"], ["buildah", "pull"]):
        case.means(client.run(*argv, reference), "unknown-authority")
    skopeo = runs(client, "skopeo", "inspect", f"docker://{reference}", user="dev", env=SESSION)
    case.means(skopeo(), "unknown-authority")
    case.cures("unknown-authority", pulls(client, reference), between=nothing)
    assert skopeo().code == 0
    case.means(
        registry.run("./inv", "registry.logs", user="dev", env=registry.settings), "refused-by-client", host=registry
    )
    case.tally.cured.add("refused-by-client")  # by what was just typed on the client

    client.begin("containerd", log="/srv/containerd.log")
    client.wait_for("containerd", lambda: client.silently("ctr", "--timeout", "1s", "version").code == 0)
    ctr = ["ctr", "--namespace", "lab", "images", "pull", "--hosts-dir", "/etc/containerd/certs.d", reference]
    case.cures("unknown-authority-containerd", runs(client, *ctr), between=nothing)
    case.means(client.run("python3", "-c", STRICT, url), "unknown-authority-python")
    case.cures("unknown-authority-system", runs(client, "curl", "--silent", "--show-error", url), between=nothing)
    assert client.run("python3", "-c", STRICT, url).code == 0
    case.tally.cured.add("unknown-authority-python")


def test_what_lies_wrong_under_certs_d_is_explained_or_found_and_cured(case: Case) -> None:
    registry, client = case.registry, case.client
    reference = starts(registry, client)
    folder, pull = f"{CERTS_D}/{registry.address}", pulls(client, reference)
    client.inv("trust.linux")
    client.does("cp", f"{CERTS}/ca.crt", f"{folder}/domain.key")
    case.cures("stray-key", pull, between=nothing)
    client.does("mv", f"{folder}/ca.crt", f"{folder}/ca.cert")
    case.cures("stray-cert", pull, between=nothing)
    client.does("mv", f"{folder}/ca.crt", f"{folder}/ca.pem")
    _doctor_cures(case, pull, "certs.d", "ca.pem")

    skopeo = runs(client, "skopeo", "inspect", f"docker://{reference}", user="dev", env=SESSION)
    client.does("chmod", "0700", f"/etc/containers/certs.d/{registry.address}")
    _doctor_cures(case, skopeo, "readable", "may not be read by everybody")
    client.does("mkdir", "--parents", f"/home/dev/.config/containers/certs.d/{registry.address}")
    client.does("chown", "--recursive", "dev:dev", "/home/dev/.config/containers")
    _doctor_cures(case, skopeo, "shadowed", ".config/containers")
    client.inv("trust.remove")
    client.inv("trust.linux", "--only", "system")
    _doctor_cures(case, pull, "os-store", "the system's store")


def _doctor_cures(case: Case, again: Callable[[], Done], check: str, evidence: str) -> None:
    """Insist that a command fails, that doctor names the cause, and that what it prints cures it."""
    refused = again()
    case.means(refused, "unknown-authority")
    client = case.client
    found = client.run("./inv", "doctor", "--remote", case.registry.address, user="dev", env=client.settings)
    blocks = [block for block in found.out.split("\n\n") if block.startswith(f"wrong: {check}:") and evidence in block]
    assert blocks, f"doctor should have named {evidence} by {check}:\n{found}"
    for block in blocks:
        case.cure([("do", line.removeprefix("   do: ")) for line in block.splitlines() if line.startswith("   do: ")])
    assert again().code == 0
    case.tally.heard.setdefault(f"{check}, by doctor", set()).add(refused.argv[0])
    case.tally.cured.add(f"{check}, by doctor")


def test_what_clients_say_of_a_certificate_with_a_fault_is_explained_and_cured(case: Case) -> None:
    registry, client = case.registry, case.client
    reference = starts(registry, client)
    address, pull = registry.address, pulls(client, reference)
    client.inv("trust.linux")
    for key, order in {
        "no-address": f'{{"names": ["{address}.lab.local"]}}',
        "common-name": "{}",
        "other-name": '{"addresses": ["10.1.1.1"]}',
        "expired": f'{{"addresses": ["{address}"], "begin": -10, "days": 5}}',
        "not-yet-valid": f'{{"addresses": ["{address}"], "begin": 10}}',
        "usage": f'{{"addresses": ["{address}"], "client": true}}',
    }.items():
        serves(registry, order)
        case.cures(key, pull, instead=key == "not-yet-valid", between=nothing)
    registry.does("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", f"{CERTS}/domain.key")
    carry(registry, "domain.key", answers=False)
    words = registry.run("./inv", "registry.logs", user="dev", env=registry.settings)
    case.cure(case.means(words, "pair", host=registry), host=registry)
    assert pull().code == 0
    case.tally.cured.add("pair")
    url = f"https://{address}/v2/"
    client.inv("trust.linux", "--system")
    strict = runs(client, "python3", "-c", STRICT, url)
    serves(registry, f'{{"addresses": ["{address}"], "orphan": true}}')
    case.cures_with_a_new_authority("not-strict", strict)
    serves(registry, f'{{"addresses": ["{address}"], "names": ["{ABROAD}"]}}')
    for host in (registry, client):
        host.does("sh", "-c", 'echo "$1" >> /etc/hosts', "sh", f"{address} {ABROAD}")
    client.inv_fails("trust.linux", saying="not authorized", registry_address=ABROAD)
    case.cures_with_a_new_authority("constraint", pulls(client, f"{ABROAD}/app:latest"))


def test_a_self_signed_certificate_that_was_made_anew_is_told_from_one_that_nobody_knows(case: Case) -> None:
    registry, client = case.registry, case.client
    registry.inv("cert", "--self-signed")
    registry.inv("up")
    reference = f"{registry.address}/app:latest"
    push(registry, reference)
    hand_over(registry, client, "domain.crt")
    client.inv("trust.linux")
    registry.inv("cert", "--self-signed", "--force")
    registry.inv("registry.tls")

    def handed() -> None:
        hand_over(registry, client, "domain.crt")

    case.cures("another-authority", pulls(client, reference), between=handed)


def test_plain_http_where_tls_is_meant_and_the_other_way_round_are_explained_and_cured(case: Case) -> None:
    registry, client = case.registry, case.client
    registry.inv("registry.basic", "--lan")
    client.settings["INVOKE_REGISTRY_ADDRESS"] = registry.address
    push(registry, "localhost:5000/app:latest")
    plain = f"{registry.address}:5000"
    case.means(client.run("curl", "--silent", "--show-error", f"https://{plain}/v2/"), "plain-at-tls")
    case.cures("plain-at-tls", pulls(client, f"{plain}/app:latest"), instead=True, between=nothing)
    client.inv("trust.remove")

    steps = case.means(pulls(client, f"{plain}/app:latest")(), "plain-at-tls")
    case.cure(steps)  # TLS, and another name
    hand_over(registry, client)
    client.inv("trust.linux")
    assert pulls(client, f"{registry.address}/app:latest")().code == 0
    case.tally.cured.add("plain-at-tls")
    wrong = client.run("curl", "--silent", "--show-error", f"http://{registry.address}:443/v2/")
    case.cure(case.means(wrong, "tls-at-plain"))
    case.tally.cured.add("tls-at-plain")


def test_what_stands_in_the_way_to_a_registry_is_explained_and_cured(case: Case) -> None:
    registry, client = case.registry, case.client
    registry.settings["INVOKE_REGISTRY_NAMES"] = NAME
    reference = starts(registry, client)
    client.inv("trust.linux", registry_names=NAME)
    pull, named = pulls(client, reference), pulls(client, f"{NAME}/app:latest")
    case.cure(case.means(named(), "unknown-name"))
    # programs in Go look into /etc/hosts every five seconds (golang.org/src/net/hosts.go, cacheMaxAge)
    client.wait_for("the engine knows the name", lambda: client.silently("docker", "pull", f"{NAME}/app").code == 0)
    case.tally.cured.add("unknown-name")
    case.means(client.run("docker", "pull", "app"), "hub")

    registry.does("docker", "stop", "--time", "1", "registry")
    case.cures("refused", pull, between=nothing)
    client.write("/etc/default/docker", "export HTTPS_PROXY=http://127.0.0.1:9\n")
    client.does("service", "docker", "restart")
    client.wait()

    def again() -> Done:
        client.wait()
        return pull()

    case.cures("proxy", again, between=nothing)
    client.does("service", "docker", "stop")
    case.cures("no-engine", pull, between=nothing)
    missing = client.run("docker", "pull", f"{registry.address}/absent:1")
    case.cure(case.means(missing, "no-image"))
    registry.does("docker", "rm", "--force", "registry")
    taken = ["docker", "run", "--detach", "--publish", "443:5000", "busybox:1", "sleep", "60"]
    registry.does(*taken)
    busy = registry.run(*taken)
    case.cure(case.means(busy, "port-taken", host=registry), instead=True, host=registry)
    push(registry, f"{registry.address}:8443/app:latest")
    case.tally.cured |= {"no-image", "port-taken"}


def test_a_login_that_is_missing_or_cannot_work_is_explained_and_cured(case: Case) -> None:
    registry, client = case.registry, case.client
    reference = starts(registry, client)
    client.inv("trust.linux")
    _let_in(registry, "./inv registry.user.add dev")
    pull = runs(client, "docker", "pull", reference, user="dev")
    steps = case.means(pull(), "login")
    login = next(line for word, line in steps if word == "do")
    assert _logs_in(client, login).code == 0
    assert pull().code == 0
    client.does("docker", "logout", registry.address, user="dev")

    registry.write(f"{CERTS}/users/htpasswd", HASH, owner=1000, mode=0o600)
    carry(registry, "users/htpasswd")
    case.means(_logs_in(client, login), "login")
    found = registry.run("./inv", "doctor", user="dev", env=registry.settings)
    assert "wrong: login:" in found.out
    cure = next(line.removeprefix("   do: ") for line in found.out.splitlines() if "registry.user.add" in line)
    _let_in(registry, cure)
    assert _logs_in(client, login).code == 0
    case.tally.heard["login, by doctor"] = {"docker"}
    case.tally.cured |= {"login", "login, by doctor"}


def _let_in(registry: Host, command: str) -> None:
    """Type a command that asks for a password, and a password."""
    registry.does("sh", "-c", f"echo password | {command}", user="dev", env=registry.settings)


def _logs_in(client: Host, command: str) -> Done:
    """Type a command that asks for a name and a password, on a terminal."""
    typed = f"(sleep 1; echo dev; sleep 1; echo password) | script --quiet --return --command '{command}' /dev/null"
    return client.run("sh", "-c", typed, user="dev", env=client.settings)


def test_a_port_that_an_engine_without_root_may_not_have_is_explained_and_cured(case: Case) -> None:
    registry = case.registry
    begin_rootless(registry)
    registry.settings |= ENVIRONMENT
    for reference, (archive, program) in IMAGES.items():
        entry = ["--change", f'ENTRYPOINT ["{program}"]']
        registry.does("docker", "import", *entry, archive, reference, user="dev", env=ENVIRONMENT)
    low = ["docker", "run", "--detach", "--publish", "443:5000", "busybox:1", "sleep", "60"]
    refused = registry.run(*low, user="dev", env=ENVIRONMENT)
    case.cure(case.means(refused, "privileged-port", host=registry), host=registry)
    assert f"{registry.address}:8443" in registry.inv("registry.test", registry_port="8443").out
    case.tally.cured.add("privileged-port")
