# What the services show the network, as hardening/tls.rules, smtp.rules, imap.rules and web.rules want it. As root inside a host
# with the whole mail server; run twice it does the same.
set -eu
. /etc/os-release
name=$(postconf -hx myhostname)
ca=/etc/ssl/test-authority
web=/var/www/html

# --- an authority this host knows, and a certificate of 90 days with the host's name
if [ ! -s $ca/host.pem ] || ! openssl x509 -in $ca/host.pem -noout -checkhost "$name" | grep -q 'does match'; then
    mkdir -p -m 0755 $ca
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj '/CN=Test authority' \
        -addext keyUsage=critical,keyCertSign,cRLSign -keyout $ca/ca.key -out $ca/ca.pem
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=$name" -keyout $ca/host.key -out $ca/host.csr
    printf 'subjectAltName=DNS:%s\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n' "$name" >$ca/extensions
    openssl x509 -req -in $ca/host.csr -CA $ca/ca.pem -CAkey $ca/ca.key -CAcreateserial -days 90 -sha256 \
        -extfile $ca/extensions -out $ca/host.pem
    chmod 0640 $ca/host.key
    cat $ca/host.key $ca/host.pem >$ca/chain.pem
    chmod 0640 $ca/chain.pem
    cp $ca/ca.pem /usr/local/share/ca-certificates/test-authority.crt
    update-ca-certificates
fi

# --- what every program of this host signs with and agrees on
suites=ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305
suites=$suites:ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256
groups=X25519:P-256:P-384
[ "$VERSION_ID" -lt 13 ] || groups=X25519MLKEM768:$groups
if ! grep -q '^\[hauberk_tls\]' /etc/ssl/openssl.cnf; then
    sed -i -e '/^openssl_conf *=/d' -e '1i openssl_conf = hauberk_conf' /etc/ssl/openssl.cnf
    cat >>/etc/ssl/openssl.cnf <<END

[hauberk_conf]
ssl_conf = hauberk_ssl
[hauberk_ssl]
system_default = hauberk_tls
[hauberk_tls]
MinProtocol = TLSv1.2
CipherString = DEFAULT:@SECLEVEL=2
SignatureAlgorithms = ECDSA+SHA256:ECDSA+SHA384:RSA-PSS+SHA256:RSA+SHA256:ed25519
Groups = $groups
END
fi

# --- Postfix
postconf -e "smtpd_tls_chain_files = $ca/chain.pem" 'smtpd_tls_cert_file =' 'smtpd_tls_key_file =' \
    'smtpd_tls_security_level = may' 'smtpd_tls_auth_only = yes' \
    'smtpd_tls_protocols = >=TLSv1.2' 'smtpd_tls_mandatory_protocols = >=TLSv1.2' \
    'smtpd_tls_ciphers = high' 'smtpd_tls_mandatory_ciphers = high' "tls_high_cipherlist = $suites" \
    'smtpd_tls_exclude_ciphers = aNULL, kDHE, kRSA, SHA1' 'tls_preempt_cipherlist = yes' \
    'tls_ssl_options = NO_COMPRESSION, NO_RENEGOTIATION'
if [ "$VERSION_ID" -lt 13 ]; then
    postconf -e 'tls_eecdh_auto_curves = X25519 prime256v1 secp384r1'
else
    postconf -e 'tls_eecdh_auto_curves =' 'tls_ffdhe_auto_groups =' 'tls_config_file = default'
fi
postconf -e 'smtpd_banner = $myhostname ESMTP' 'disable_vrfy_command = yes' 'smtpd_helo_required = yes' \
    'smtpd_forbid_unauth_pipelining = yes' 'smtpd_data_restrictions = reject_unauth_pipelining' \
    'smtpd_sasl_auth_enable = no' 'smtpd_forbid_bare_newline = normalize' 'mynetworks = 127.0.0.0/8 [::1]/128' \
    'smtpd_forbid_bare_newline_exclusions = $mynetworks'
[ "$VERSION_ID" -ge 13 ] || postconf -e 'smtpd_discard_ehlo_keywords = chunking'

# --- Dovecot
if [ "$VERSION_ID" -lt 13 ]; then
    cat >/etc/dovecot/conf.d/99-zz-net.conf <<END
ssl = required
ssl_cert = <$ca/host.pem
ssl_key = <$ca/host.key
ssl_min_protocol = TLSv1.2
ssl_cipher_list = $suites
ssl_curve_list = $groups
ssl_prefer_server_ciphers = yes
disable_plaintext_auth = yes
login_greeting = Ready.
protocol sieve {
  managesieve_implementation_string = Ready.
}
END
else
    cat >/etc/dovecot/conf.d/99-zz-net.conf <<END
ssl = required
ssl_server_cert_file = $ca/host.pem
ssl_server_key_file = $ca/host.key
ssl_min_protocol = TLSv1.2
ssl_cipher_list = $suites
ssl_curve_list = $groups
ssl_server_prefer_ciphers = server
auth_allow_cleartext = no
login_greeting = Ready.
protocol sieve {
  managesieve_implementation_string = Ready.
}
END
fi
# The tests' own settings are read last: what they say of the certificate goes.
sed -i '/^ssl_/d' /etc/dovecot/local.conf

# --- web: nginx alone, on 80 and 443, Roundcube behind it
sed -i 's/^\([[:blank:]]*\)#* *server_tokens .*/\1server_tokens off;/' /etc/nginx/nginx.conf
cat >/etc/nginx/snippets/net-tls.conf <<END
ssl_certificate $ca/host.pem;
ssl_certificate_key $ca/host.key;
ssl_protocols TLSv1.2 TLSv1.3;
ssl_ciphers $suites;
ssl_ecdh_curve $groups;
ssl_prefer_server_ciphers on;
ssl_session_cache shared:SSL:10m;
ssl_session_tickets off;
END
cat >/etc/nginx/sites-available/default <<END
server {
    listen 80 default_server;
    listen [::]:80 default_server;
    location /.well-known/acme-challenge/ { root $web; }
    location / { return 301 https://\$host\$request_uri; }
}
server {
    listen 443 ssl default_server;
    listen [::]:443 ssl default_server;
    include snippets/net-tls.conf;
    return 444;
}
server {
    listen 443 ssl;
    listen [::]:443 ssl;
    server_name $name;
    include snippets/net-tls.conf;
    add_header Strict-Transport-Security "max-age=63072000; includeSubDomains" always;
    add_header X-Content-Type-Options nosniff always;
    add_header Referrer-Policy no-referrer always;
    add_header X-Frame-Options SAMEORIGIN always;
    add_header Content-Security-Policy "frame-ancestors 'self'" always;
    root /var/lib/roundcube/public_html;
    index index.php;
    location = /.well-known/security.txt { root $web; }
    location ~ /\\.(?!well-known) { deny all; }
    location / { try_files \$uri \$uri/ =404; }
    location ~ \\.php\$ {
        include snippets/fastcgi-php.conf;
        fastcgi_pass unix:/run/php/php-fpm.sock;
    }
}
END
mkdir -p $web/.well-known
printf 'Contact: mailto:postmaster@%s\nExpires: 2027-06-01T00:00:00Z\n' "$name" >$web/.well-known/security.txt
for pool in /etc/php/*/fpm/pool.d/www.conf; do
    sed -i '/^; net$/,$d' "$pool"
    cat >>"$pool" <<'END'
; net
listen.mode = 0660
php_admin_flag[expose_php] = off
php_admin_flag[allow_url_fopen] = off
php_admin_flag[display_errors] = off
php_admin_value[disable_functions] = exec,passthru,shell_exec,system,popen,proc_open
php_admin_value[open_basedir] = /usr/share/roundcube:/var/lib/roundcube:/etc/roundcube:/var/log/roundcube:/usr/share/php:/usr/share/javascript:/usr/share/tinymce:/var/lib/dbconfig-common:/tmp
END
done
sed -i '/^\/\/ net$/,$d' /etc/roundcube/config.inc.php
cat >>/etc/roundcube/config.inc.php <<'END'
// net
$config['enable_installer'] = false;
$config['use_https'] = true;
$config['log_logins'] = true;
$config['login_rate_limit'] = 3;
$config['session_lifetime'] = 15;
$config['ip_check'] = true;
$config['useragent'] = '';
$config['cipher_method'] = 'AES-256-CBC';
END

if [ -e /var/spool/postfix/pid/master.pid ]; then postfix reload; fi
if [ -e /run/dovecot/master.pid ]; then doveadm reload; fi
if [ -d /run/systemd/system ]; then
    systemctl disable --now apache2
    systemctl restart nginx 'php*-fpm'
fi
