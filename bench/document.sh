#!/bin/sh
# What the how-to has a person type for a TLS registry on an IP address, from openssl.cnf to a push and a pull: its own
# commands in its own order, on the bench's own names. BENCH_KEY holds openssl's options for the kind of key.
set -eu

registry=$BENCH_REGISTRY
mkdir -p "$BENCH_FOLDER/certs"
cd "$BENCH_FOLDER"

# "Use the openssl configuration file as a starting point and add the required IP address as an alt name."
sed -e 's/^# *req_extensions = v3_req/req_extensions = v3_req/' \
    -e '/^\[ *v3_ca *\]/a subjectAltName = @alt_names' /etc/ssl/openssl.cnf >openssl.cnf
printf '\n[ alt_names ]\nIP.1 = %s\n' "$BENCH_ADDRESS" >>openssl.cnf
# shellcheck disable=SC2086 # the options for the kind of key are several words
openssl req $BENCH_KEY -nodes -sha256 -keyout certs/domain.key -x509 -days 365 -out certs/domain.crt \
    -config openssl.cnf -subj "/CN=$BENCH_ADDRESS" 2>openssl.log

# The image may be one without a configuration of its own; the document's variables say the rest.
printf 'version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: /var/lib/registry\n' >certs/registry.yml
docker run --rm -d --name "$BENCH_CONTAINER" \
    -v "$PWD/certs:/certs" -v "$BENCH_VOLUME:/var/lib/registry" \
    -e REGISTRY_HTTP_ADDR=0.0.0.0:443 \
    -e REGISTRY_HTTP_TLS_CERTIFICATE=/certs/domain.crt \
    -e REGISTRY_HTTP_TLS_KEY=/certs/domain.key \
    -p "$BENCH_PORT:443" \
    "$BENCH_IMAGE" serve /certs/registry.yml
until curl --silent --fail --output answer --cacert certs/domain.crt "https://$registry/v2/"; do sleep 0.02; done

sudo=
[ "$(id -u)" = 0 ] || sudo='sudo -n'
$sudo mkdir -p "/etc/docker/certs.d/$registry"
$sudo cp certs/domain.crt "/etc/docker/certs.d/$registry/ca.crt"

# The document pulls ubuntu; a file in an image of its own needs no network.
head -c 64 /dev/urandom >proof
tar -cf proof.tar proof
docker import proof.tar "$registry/proof"
docker push "$registry/proof" | tee push.log
docker rmi "$registry/proof"
docker pull "$registry/proof" | tee pull.log
docker rmi "$registry/proof"
digest=$(sed -n 's/.*digest: \(sha256:[0-9a-f]*\).*/\1/p' push.log)
[ -n "$digest" ]
grep -q "Digest: $digest" pull.log
