"""A login, from another machine: nobody is let in without it, whatever client they use and whatever comes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.e2e.checkout import HOME
from tests.e2e.steps import CERTS, UNTRUSTED, hand_over, is_refused, pull

if TYPE_CHECKING:
    from tests.e2e.hosts import Done, Host

RIGHT, WRONG = "correct horse battery staple", "correct horse"
ANONYMOUS = "no basic auth credentials"
"""What docker says where a registry asks for a login and it has none."""
PIPE = 'password=$1; shift; printf "%s\\n" "$password" | "$@"'


def _add(registry: Host, name: str, password: str) -> Done:
    """Let a user in, the password on standard input."""
    argv = ("sh", "-c", PIPE, "sh", password, f"{HOME}/inv", "registry.user.add", name)
    return registry.does(*argv, user="dev", env=registry.settings)


def _login(program: str, at: str, password: str) -> tuple[str, ...]:
    words = (program, "login", "--username", "ada", "--password-stdin", at)
    return ("sh", "-c", PIPE, "sh", password, *words)


def test_a_login_is_asked_for_on_every_machine_and_only_the_right_password_lets_anybody_in(
    registry: Host, client: Host, bystander: Host
) -> None:
    registry.inv("up")
    before = registry.does("docker", "inspect", "--format", "{{.Id}}", "registry").out
    said = _add(registry, "ada", RIGHT).said
    assert "restarted" in said
    assert RIGHT not in said
    assert registry.does("docker", "inspect", "--format", "{{.Id}}", "registry").out != before
    assert "proof: pushed" in registry.inv("registry.test").out
    hand_over(registry, client)
    assert f"accepts {registry.address}" in client.inv("trust.linux").out
    reference = f"{registry.address}/app:1"

    is_refused(client, reference, ANONYMOUS)
    client.inv_fails("registry.test", saying="docker login")
    client.fails(*_login("docker", registry.address, WRONG), saying="401 Unauthorized")
    client.does(*_login("docker", registry.address, RIGHT))
    client.does("docker", "push", reference)
    pull(client, reference)

    skopeo = ("skopeo", "inspect", "--no-creds", f"docker://{reference}")
    client.fails(*skopeo, saying="authentication required")
    client.fails(*_login("podman", registry.address, WRONG), saying="invalid username/password")
    client.does(*_login("podman", registry.address, RIGHT))
    client.does("podman", "pull", reference)
    curl = ("curl", "--silent", "--show-error", "--fail", "--cacert", f"{CERTS}/ca.crt")
    client.fails(*curl, f"https://{reference.partition('/')[0]}/v2/", saying="401")
    client.does(*curl, "--user", f"ada:{RIGHT}", f"https://{registry.address}/v2/")

    bystander.fails(*_login("docker", registry.address, RIGHT), saying=UNTRUSTED)
    _is_still_asked_for(registry, client, reference)


def _is_still_asked_for(registry: Host, client: Host, reference: str) -> None:
    """Insist that neither a renewal nor a power cut nor another `up` opens the registry, and that a removal counts."""
    at = f"https://{registry.address}/v2/"
    curl = ("curl", "--silent", "--show-error", "--fail", "--cacert", f"{CERTS}/ca.crt")
    registry.inv("cert.renew")
    client.fails(*curl, at, saying="401")
    registry.lose_power()
    client.wait_for("the registry answers", lambda: client.silently(*curl, at).code == 22)  # curl(1): an HTTP error
    client.does(*curl, "--user", f"ada:{RIGHT}", at)
    assert "Nothing had to be changed." in registry.inv("up").out
    client.fails(*curl, at, saying="401")

    _add(registry, "bob", RIGHT)
    registry.inv("registry.user.remove", "ada")
    is_refused(client, reference, "nauthorized")
    client.does(*curl, "--user", f"bob:{RIGHT}", at)
