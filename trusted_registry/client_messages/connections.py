"""Messages of the way to a registry: its port, its name, silence, cut lines."""

from __future__ import annotations

from trusted_registry.client_messages import public_sites
from trusted_registry.client_messages.cures import LISTENERS, PUSH_AGAIN, REACH, at_registry
from trusted_registry.client_messages.message import Kind, Message, Step, server, unreachable

_WHILE_READ = r"SSL_read|curl: \((?:18|56)\)"
"""Words of a connection that was cut after its TLS began."""

MESSAGES = (
    server(
        "privileged-port",
        (r"cannot expose privileged port (?P<port>\d+)", r"bind: permission denied"),
        "docker without root",
        "An engine without root may not listen on a port below 1024.",
        (
            at_registry("./inv up --port 8443"),
            at_registry("sudo sysctl net.ipv4.ip_unprivileged_port_start=443", "until the next reboot", instead=True),
        ),
        ("port",),
    ),
    server(
        "port-taken",
        (
            r"Bind for \S*?:(?P<port>\d+) failed: port is already allocated",
            r"listen tcp\S* \S*?:(?P<port>\d+): bind: address already in use",
            r"address already in use|port is already allocated|[Pp]orts are not available|EADDRINUSE",
        ),
        "docker, podman, the registry",
        "Something else listens on that port; on a Mac, port 5000 is the AirPlay receiver's.",
        (
            at_registry(LISTENERS, "names who it is"),
            at_registry("./inv up --port 8443", "on another port", instead=True),
        ),
        ("port",),
    ),
    public_sites.LIMIT,
    unreachable(
        "mirror-away",
        (r"Mirrors also failed",),
        "podman, skopeo, buildah, CRI-O",
        "The mirror does not hold all of that image, and its upstream does not answer: without a network only what was "
        "pulled before, or fetched ahead, can be pulled.",
        (
            Step("./inv mirror.list", "says whether the upstream answers, on the mirror's machine"),
            Step("./inv mirror.fill IMAGE", "fetches an image ahead, once it does"),
        ),
        ("mirror",),
        beside=r"\]\): \S{1,300}: .{0,300}(?:dial tcp|i/o timeout|no such host|connection refused|deadline exceeded)",
    ),
    unreachable(
        "unknown-name",
        (
            (
                r"lookup (?!https?\b)(?P<name>[\w.-]+)( on \S+)?: "
                r"(no such host|server misbehaving|Temporary failure|.*timeout)"
            ),
            r"lookup (?P<name>[\w.-]+): getaddrinfow: ",
            r"[Cc]ould not resolve host:? '?(?P<name>[\w.-]+)|Could not resolve hostname",
            r"Name or service not known|Temporary failure in name resolution|nodename nor servname",
            r"UnknownHostException:? (?P<name>[\w.-]+)",
            r"ERR_NAME_NOT_RESOLVED|DNS_PROBE_FINISHED_NXDOMAIN|getaddrinfo (ENOTFOUND|EAI_AGAIN) (?P<name>[\w.-]+)",
        ),
        "every client",
        "No name server and no line of /etc/hosts on this machine knows {name}.",
        (
            Step("echo '{own_address} {name}' | sudo tee -a /etc/hosts", "where that is the registry's address"),
            Step("docker pull {own}/app", "by the address: no name needed", instead=True),
        ),
        ("dns",),
    ),
    Message(
        Kind.REFUSED,
        "refused-in-node",
        (r"dial tcp (?:127\.0\.0\.1|\[::1\]):\d+: (?:connect: )?connection refused",),
        "ctr, kubelet, in a node of kind, k3d or minikube",
        "In a node localhost is the node itself, and no registry listens there.",
        (
            Step("docker tag app {own}/app && docker push {own}/app", "by an address that the nodes reach"),
            Step("./inv trust.nodes", "has the nodes trust it; then name the image so"),
        ),
        ("address",),
        beside=r"^\s*ctr: |kubelet|[Ff]ailed to pull image|ErrImagePull",
    ),
    Message(
        Kind.REFUSED,
        "refused",
        (
            r"[Cc]onnection refused|ERR_CONNECTION_REFUSED|ECONNREFUSED|actively refused",
            r"Failed to connect to .*port \d+",
        ),
        "every client",
        "Nothing listens at {registry}: the registry does not run, or on another port, or on loopback alone.",
        (
            at_registry("./inv up{on_port}"),
            REACH,
            Step(
                "docker pull {now}/app", "with your image in place of app: by the port that is set here", instead=True
            ),
        ),
        ("container", "port"),
    ),
    unreachable(
        "silence",
        (
            r"i/o timeout|[Cc]onnection timed out|Client\.Timeout exceeded|context deadline exceeded",
            r"connected party did not properly respond",
            r"TimeoutError|ETIMEDOUT|no answer within \d+ seconds|SSL connection timeout",
            r"[Nn]o route to host|[Nn]etwork is unreachable|EHOSTUNREACH|request canceled while waiting for connection",
            r"TLS handshake timeout|ERR_(CONNECTION_TIMED_OUT|ADDRESS_UNREACHABLE)",
        ),
        "every client",
        "Nothing comes back from {registry}: the machine is off or has another address now, a firewall drops what is "
        "sent, or a proxy swallows it.",
        (
            REACH,
            at_registry("./inv status", "says whether it runs, and by which address"),
            at_registry("sudo ufw allow {port}/tcp", "where a firewall is on; or firewall-cmd --add-port={port}/tcp"),
        ),
        ("address", "proxy", "port"),
    ),
    unreachable(
        "hung-up",
        (
            r"SSL_ERROR_SYSCALL in connection|(?i:unexpected[ _]eof[ _]while[ _]reading)|ERR_CONNECTION_CLOSED",
            r"TLS connection was non-properly terminated|PR_END_OF_FILE_ERROR",
            r"Remote host (?:terminated the|closed connection during) handshake",
            r"disconnected before secure TLS connection|TLS/SSL connection has been closed \(EOF\)",
        ),
        "curl, wget, git, Python, Java, node, browsers",
        "What listens at {registry} took the connection and hung up before TLS began: a front or another proxy, which "
        "finds no registry behind it; or the registry was just restarting.",
        (
            at_registry("./inv status", "says whether the registry and its front run"),
            at_registry("./inv up", "starts what does not run"),
            REACH,
        ),
        ("container", "front", "port"),
        unless=_WHILE_READ,
    ),
    unreachable(
        "cut-off",
        (
            r"connection reset by peer|ECONNRESET|ERR_CONNECTION_RESET|unexpected EOF|: EOF\b|broken pipe",
            r"forcibly closed by the remote host|unexpected eof while reading",
        ),
        "every client",
        "The connection was cut: the registry restarts, or does not run behind its front, or something between cuts "
        "long answers; or it remembers in memory a layer that a garbage collection took from its disk.",
        (
            at_registry("./inv status", "says whether the registry and its front run; ./inv up starts what does not"),
            at_registry("./inv registry.logs", "says what happened; then repeat the command"),
            REACH,
            PUSH_AGAIN,
        ),
        ("container", "front", "disk"),
    ),
)
