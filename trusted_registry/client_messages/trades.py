"""Trade of a line: registries, something else, or unsaid."""

from __future__ import annotations

import enum
import functools
import re
from collections.abc import Sequence

from trusted_registry.client_messages import public_sites

_BEFORE, _AFTER = 10, 5
"""Lines around one that does not say itself, of which the nearest that does decides."""


class Trade(enum.Enum):
    """Trade that a line speaks of."""

    REGISTRIES = "registries"
    OTHER = "other"
    UNSAID = "unsaid"


_OTHER_PROGRAMS = re.compile(
    r"npm (?:ERR!|WARN|http|error|notice)|\bnpm_lazy|^\d+ (?:error|verbose|silly|info|http) |\[nodemon\]"
    r"|Could not fetch URL|Could not install packages|Retrying \(Retry\(|Setup script exited"
    r"|fatal: unable to access '|fatal: Could not read|^Cloning |\bgit (?:clone|pull|push|fetch|ls-remote)"
    r"|server certificate verification failed\. CAfile.*\.git"
    r"|Unable to connect to the server:|Error from server|failed calling webhook"
    r"|\bssh: |kex_exchange|port 22\b|dial tcp \S*:22\b|Registering runner|couldn't execute POST"
    r"|Could not transfer artifact|Could not (?:GET|HEAD|resolve) '|Could not resolve all"
    r"|(?:Failed|failed) to fetch https?:|^(?:Err|Ign|Hit|Get):\d+ |InRelease|repomd\.xml"
    r"|Errors during downloading metadata|is not a valid chart repository(?!.*chartrepo)"
    r"|registry\.(?:terraform\.io|opentofu\.org|npmjs\.(?:org|com)|yarnpkg\.com)|schema-registry"
    r"|\blogs?\.go:\d+\] http: TLS handshake|[Ff]ailed to tls handshake with"
    r"|contacting notary server|(?<!SSL)HandshakeException: Handshake error in client"
    r"|Kubernetes cluster unreachable|^go: |https://(?:proxy|sum)\.golang\.org/"
)
"""Words by which another program is known, whatever else its line says."""
_REGISTRIES = re.compile(
    r"(?i:docker|podman|skopeo|buildah|buildkit|buildx|kaniko|containerd|nerdctl|crictl|cri-o|kubelet.*pull"
    r"|response from daemon|registry|registries|(?<![/.\w-])images?\b(?![/.])|manifest|\bblobs?\b|\blayer|certs\.d"
    r"|htpasswd|\bjib\b|harbor|\bhelm\b|\boras\b|repository)"
    r"|\bctr\b|\bcrane\b|\bs3aws\b|(?<!/api)/v2\b|/v1/(?:_ping|users|repositories|images|search)"
    r"|[Ff]ailed to (?:solve|resolve|pull|push)|[Pp]ulling\b|Pushing\b|domain\.(?:crt|key)"
    r"|rh\.Client|registry-v2|/v1\.\d+/|redis not configured|go\.version="
)
_OTHER_SUBJECTS = re.compile(
    r"(?i:psycopg|OperationalError|postgres|redis|mongo|mysql|mariadb|SQLSTATE|kafka|elasticsearch|logstash|kibana"
    r"|etcd|amqp|rabbit|ldap|smtp|imap|postfix|dovecot|memcached|cassandra|zookeeper|influx|xmpp|mqtt|mosquitto|netty"
    r"|android|\bjwks?\b|websocket|\bgrpc\b|kube-apiserver|accepting TCP/IP|accepting$|is the server running|EADDRINUSE"
    r"|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|axios|guzzle|curl error|OSError|\[Errno"
    r"|inotify|\bwatch\b|System\.Net\.|java\.net\.|errorCode=|rsync|\bftp\b|sftp|openvpn|wireguard|kinit|krb5|samba"
    r"|\bnfs\b|\bvault\b|\bconsul\b|wordpress|\bphp\b|gunicorn|uwsgi|celery|tomcat|jetty|prometheus|grafana|zabbix"
    r"|nextcloud|rclone|restic|\bs3://|WebDriver|selenium|terraform|vagrant|\bansible|bundler|gem install|composer"
    r"|certbot|acme-v0|\byarn |setup\.py)"
    r"|/apis/|/api/v\d|/simple/|\.git/|connecting to upstream|while SSL handshaking|wget:|Unable to locally verify"
)
"""Words of other services, which count where no word of this trade stands beside them: an image may be called redis."""
_SERVICE = re.compile(
    r"(?:[Pp]ort[ =:]\"?(?:25|53|110|143|3306|5432|6379|27017)"
    r"|:(?:389|465|587|636|993|1433|1521|2181|2375|2379|2380|3306|3389|5432|5672|6379|6443|8086|9042|9090|9092|9200|9300"
    r"|10250|11211|27017))\b(?!:\d)"
)
"""Ports of services that nobody runs a registry on."""
_PATH = re.compile(r"(?:https?://(?P<host>[^\s/:\"'`]+)[^\s/\"'`]*|with url: )/(?P<path>[^\s\"'`:)>,]*)")
_OF_REGISTRIES = re.compile(r"$|\?|v2\b|v1/|.{0,200}\b(?:token|auth|oauth2?|jwt)\b|artifacts-|chartrepo|docker/")


@functools.lru_cache(maxsize=128)
def trade(line: str) -> Trade:
    """Return the trade that a line speaks of."""
    if _OTHER_PROGRAMS.search(line):
        return Trade.OTHER
    if _REGISTRIES.search(line):
        return Trade.REGISTRIES
    if _OTHER_SUBJECTS.search(line) or _SERVICE.search(line):
        return Trade.OTHER
    return Trade.UNSAID


def is_other(lines: Sequence[str], index: int, own: str = "") -> bool:
    """Return whether a line is about something else than registries, by itself or by the lines around.

    Args:
        lines: Lines of the text.
        index: Position of the line.
        own: Registry host of this checkout; lines that name this host are of this trade.
    """
    if own and _names(own, lines[index]):
        return False
    near = (*reversed(lines[max(0, index - _BEFORE) : index]), *lines[index + 1 : index + 1 + _AFTER])
    found = (trade(line) for line in (lines[index], *near))
    said = next((it for it in found if it is not Trade.UNSAID), Trade.UNSAID)
    return said is Trade.OTHER or (trade(lines[index]) is Trade.UNSAID and _asks_no_registry(lines[index]))


def _asks_no_registry(line: str) -> bool:
    """Return whether a line has addresses of requests, and none of them is a public site or a path of registries."""
    asked = [(match["host"] or "", match["path"]) for match in _PATH.finditer(line)]
    return bool(asked) and not any(_OF_REGISTRIES.match(path) or public_sites.is_public(host) for host, path in asked)


def _names(registry: str, line: str) -> bool:
    """Return whether a line has a URL of a registry, or names the registry and no other program speaks there."""
    url = re.search(rf"https?://{re.escape(registry)}(?![\w.:-])", line)
    return bool(
        url or (not _OTHER_PROGRAMS.search(line) and re.search(rf"(?<![\w.-]){re.escape(registry)}(?![\w.-])", line))
    )
