#!/bin/sh
# The hardened state of Dovecot, on what tests/hosts/whole/setup makes: sh -eu, idempotent, both releases. Webmail keeps
# IMAP on the loopback.
. /etc/os-release
mark='# The hardened state.'
local=/etc/dovecot/local.conf
sed -i "/^$mark/,\$d" "$local"
aead=ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305
aead=$aead:ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256
cat >>"$local" <<CONF
$mark
ssl = required
ssl_min_protocol = TLSv1.2
ssl_cipher_list = $aead
auth_mechanisms = plain login
auth_failure_delay = 2 secs
mail_max_userip_connections = 20
first_valid_uid = 500
login_greeting = Ready.
CONF
if [ "$VERSION_ID" = 12 ]; then
    cat >>"$local" <<'CONF'
protocols = imap lmtp sieve submission
disable_plaintext_auth = yes
ssl_prefer_server_ciphers = yes
mail_plugins = quota
plugin {
  quota = count:User quota
  quota_rule = *:storage=5G
}
service imap-login {
  inet_listener imap {
    address = 127.0.0.1
  }
}
CONF
else
    cat >>"$local" <<'CONF'
protocols {
  pop3 = no
}
auth_allow_cleartext = no
ssl_server_prefer_ciphers = server
mail_plugins {
  quota = yes
}
quota "User quota" {
  storage_size = 5G
}
service imap-login {
  inet_listener imap {
    listen = 127.0.0.1
  }
}
service managesieve-login {
  inet_listener sieve_deprecated {
    port = 0
  }
}
CONF
fi
doveconf -n >/dev/null
