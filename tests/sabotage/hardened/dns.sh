#!/bin/sh
# A DNS world of the host's own (../dns, to be found in /opt/dns-world) in which example.org is all it
# should be, and a host that fits it: name, resolver, DKIM keys, TLSA of its certificate, MTA-STS.
set -eu
world=/opt/dns-world/dns-world
source_of() { ip "$1" route get "$2" | sed -n 's/.* src \([^ ]*\).*/\1/p'; }
v4=$(source_of -4 198.41.0.4)
v6=$(source_of -6 2001:503:ba3e::2:30 || true)
"$world" value V4 "$v4"
"$world" value REVERSE4 "$(echo "$v4" | awk -F. '{ print $4 "." $3 "." $2 "." $1 ".in-addr.arpa" }')"
if [ -n "$v6" ]; then
    "$world" value V6 "$v6"
    "$world" value REVERSE6 "$(printf '%s\n' "$v6" | awk '
        { n = split($0, halves, "::"); left = split(halves[1], a, ":"); right = n > 1 ? split(halves[2], b, ":") : 0
          for (i = 1; i <= left; i++) all = all sprintf("%4s", a[i])
          for (i = left + right; i < 8; i++) all = all "   0"
          for (i = 1; i <= right; i++) all = all sprintf("%4s", b[i])
          gsub(" ", "0", all)
          for (i = 32; i > 0; i--) name = name substr(all, i, 1) "."
          print name "ip6.arpa" }')"
fi

postconf -e myhostname=mail.example.org
certificate=$(postconf -xh smtpd_tls_chain_files | cut -d, -f1)
[ -n "$certificate" ] || certificate=$(postconf -xh smtpd_tls_cert_file)
openssl x509 -in "$certificate" -noout -pubkey | openssl pkey -pubin -outform DER | sha256sum | cut -d' ' -f1 >/opt/dns-world/tlsa
"$world" value TLSA "$(cat /opt/dns-world/tlsa)"

keys=/var/lib/rspamd/dkim
mkdir -p "$keys"
[ -e "$keys/example.org.s2026a.key" ] ||
    openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$keys/example.org.s2026a.key" 2>/dev/null
[ -e "$keys/example.org.s2026e.key" ] || openssl genpkey -algorithm ed25519 -out "$keys/example.org.s2026e.key"
chown -R _rspamd:_rspamd "$keys"
chmod 750 "$keys"
chmod 640 "$keys"/*.key
rsa=$(openssl pkey -in "$keys/example.org.s2026a.key" -pubout -outform DER | base64 -w0)
"$world" value RSA_1 "$(echo "$rsa" | cut -c1-200)"
"$world" value RSA_2 "$(echo "$rsa" | cut -c201-)"
"$world" value ED25519 "$(openssl pkey -in "$keys/example.org.s2026e.key" -pubout -outform DER | tail -c32 | base64 -w0)"
cat >/etc/rspamd/local.d/dkim_signing.conf <<END
domain {
  example.org {
    selectors [
      { path = "$keys/example.org.s2026a.key"; selector = "s2026a"; },
      { path = "$keys/example.org.s2026e.key"; selector = "s2026e"; }
    ]
  }
}
END

ca=/opt/dns-world/ca
mkdir -p "$ca"
if [ ! -e "$ca/mta-sts.pem" ]; then
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "/CN=DNS world" \
        -keyout "$ca/ca.key" -out "$ca/ca.pem" 2>/dev/null
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=mta-sts.example.org" \
        -keyout "$ca/mta-sts.key" -out "$ca/mta-sts.csr" 2>/dev/null
    echo "subjectAltName=DNS:mta-sts.example.org" >"$ca/names"
    openssl x509 -req -in "$ca/mta-sts.csr" -CA "$ca/ca.pem" -CAkey "$ca/ca.key" -CAcreateserial -days 3600 \
        -extfile "$ca/names" -out "$ca/mta-sts.pem" 2>/dev/null
    cp "$ca/ca.pem" /usr/local/share/ca-certificates/dns-world.crt
    update-ca-certificates >/dev/null 2>&1
fi
mkdir -p /var/www/mta-sts/.well-known
printf 'version: STSv1\nmode: enforce\nmx: mail.example.org\nmax_age: 1209600\n' >/var/www/mta-sts/.well-known/mta-sts.txt
cat >/etc/nginx/sites-enabled/zz-mta-sts <<END
server {
    listen 443 ssl;
    listen [::]:443 ssl;
    server_name mta-sts.example.org;
    ssl_certificate $ca/mta-sts.pem;
    ssl_certificate_key $ca/mta-sts.key;
    location = /.well-known/mta-sts.txt { root /var/www/mta-sts; }
    location / { return 404; }
}
END

mkdir -p /etc/hauberk/hauberk.d
printf '[hauberk]\ndomains = example.org\n' >/etc/hauberk/hauberk.d/domains.conf

if [ -d /run/systemd/system ]; then
    systemctl disable -q --now unbound unbound-resolvconf 2>/dev/null || true
    systemctl restart nginx
fi
"$world" start
"$world" key /var/lib/unbound/root.key
printf 'nameserver 127.0.0.1\noptions trust-ad edns0\n' >/etc/resolv.conf
cp /etc/resolv.conf /var/spool/postfix/etc/resolv.conf
if [ -d /run/systemd/system ]; then systemctl restart postfix rspamd; fi
