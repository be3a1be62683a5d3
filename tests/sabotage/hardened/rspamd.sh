#!/bin/sh
# The hardened state of Rspamd, on what tests/hosts/whole/setup makes: sh -eu, idempotent, both releases.
hash=$(rspamadm pw -e -p controller-4 2>/dev/null)
{
    echo 'bind_socket = "localhost:11334";'
    echo "password = \"$hash\";"
    echo "enable_password = \"$hash\";"
} >/etc/rspamd/local.d/worker-controller.inc
chown root:_rspamd /etc/rspamd/local.d/worker-controller.inc
chmod 0640 /etc/rspamd/local.d/worker-controller.inc
echo 'local_addrs = ["127.0.0.0/8", "::1"];' >/etc/rspamd/override.d/options.inc
echo 'servers = "/run/redis/redis-server.sock";' >/etc/rspamd/local.d/redis.conf
mkdir -p /var/lib/rspamd/dkim
[ -e /var/lib/rspamd/dkim/mx.test.dkim.key ] ||
    rspamadm dkim_keygen -d mx.test -s dkim -b 2048 -k /var/lib/rspamd/dkim/mx.test.dkim.key >/dev/null 2>&1
chown -R _rspamd:_rspamd /var/lib/rspamd/dkim
chmod 0640 /var/lib/rspamd/dkim/mx.test.dkim.key
adduser --quiet _rspamd redis
