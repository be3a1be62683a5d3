#!/bin/sh
# S4, "VPS Setup" for Ubuntu 12.04: one's own authority, Postfix, Dovecot, a firewall, nginx, awstats, OpenDKIM.
#
# packages: htop tmux lynx telnet lsof mercurial git libtool strace sqlite3 gnupg ufw iptables psad fail2ban
# packages: python3-systemd dovecot-lmtpd dovecot-sieve nginx php-fpm awstats opendkim opendkim-tools
# packages, bookworm: software-properties-common
#
# Otherwise today:
# - The private archive of Dovecot 2.2 is left as the package source that add-apt-repository makes; Dovecot is Debian's.
# - DenyHosts is in no current Debian; php5-fpm is PHP's of today.
# - rvm's Ruby and Jekyll are not fetched: the page they would have built is a file.
# - The names of Dovecot's settings are those of each release.
# - /etc/default/opendkim is read no more: its socket is told to systemd. opendkim-genkey makes 2048 bits by itself.
# - The awstats guide it refers to, and gpgit, are not followed; the wrapper is one that does the same.

. /etc/os-release
domain=example.org
random() { head -c 24 /dev/urandom | base64; }
option() {
    sed -i "/^#\?$2[ \t=]/d" "$1"
    echo "$2 $3" >>"$1"
}

# ---- SSH
useradd -m -s /bin/bash owner
install -d -m 700 -o owner -g owner /home/owner/.ssh
ssh-keygen -q -t rsa -b 4096 -N "$(random)" -C "owner@$domain" -f /root/id_rsa
install -m 600 -o owner -g owner /root/id_rsa.pub /home/owner/.ssh/authorized_keys
rm /root/id_rsa /root/id_rsa.pub
while read -r name value; do
    option /etc/ssh/sshd_config "$name" "$value"
done <<'EOF'
PermitRootLogin no
StrictModes yes
RSAAuthentication yes
PubkeyAuthentication yes
PermitEmptyPasswords no
HostbasedAuthentication no
ChallengeResponseAuthentication no
PasswordAuthentication no
EOF

# ---- the authority: its key on the server, certificates for ten years and without names
mkdir -p /root/ca
cd /root/ca
passphrase=$(random)
openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:4096 -out cakey.pem -des3 -pass "pass:$passphrase" 2>/dev/null ||
    openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:4096 -out cakey.pem -des3 -pass "pass:$passphrase"
chmod 600 cakey.pem
openssl req -x509 -new -key cakey.pem -passin "pass:$passphrase" -days 3650 -subj "/CN=$domain authority" -out cacert.pem
cp cacert.pem /etc/ssl/certs/
cp cakey.pem /etc/ssl/private/
certify() {                             # KEY CERTIFICATE
    touch "$1"
    chmod 600 "$1"
    openssl genrsa 2048 >"$1"
    openssl req -new -key "$1" -subj "/CN=$domain" -out temp.csr
    openssl x509 -req -in temp.csr -CA cacert.pem -CAkey cakey.pem -passin "pass:$passphrase" -CAcreateserial \
        -out "$2" -days 3650
    rm temp.csr
}
certify /etc/ssl/private/smtpd.key /etc/ssl/certs/smtpd.crt
certify /etc/ssl/private/dovecot.pem /etc/ssl/certs/dovecot.pem
cd /

# ---- Dovecot
echo 'deb http://ppa.launchpad.net/kokelnet/dovecot22/ubuntu precise main' >/etc/apt/sources.list.d/kokelnet-dovecot22-precise.list
useradd -r -s /usr/sbin/nologin vmail
install -d -o vmail -g vmail /srv/data01/mail
sed -i 's/^!include auth-system/#&/' /etc/dovecot/conf.d/10-auth.conf
echo "owner:$(doveadm pw -p "$(random)"):$(id -u vmail):$(id -g vmail)::/srv/data01/mail/owner/home" >/etc/dovecot/users
chmod 640 /etc/dovecot/users
chgrp dovecot /etc/dovecot/users
cat >/etc/dovecot/local.conf <<'EOF'
service lmtp {
  unix_listener /var/spool/postfix/private/dovecot-lmtp {
    mode = 0600
    user = postfix
    group = postfix
  }
}
service auth {
  unix_listener auth-userdb {
    mode = 0660
  }
  unix_listener /var/spool/postfix/private/auth {
    mode = 0660
    user = postfix
    group = postfix
  }
}
auth_mechanisms = plain
EOF
if [ "$VERSION_ID" = 12 ]; then
    cat >>/etc/dovecot/local.conf <<'EOF'
protocols = imap lmtp
passdb {
  driver = passwd-file
  args = username_format=%u /etc/dovecot/users
}
userdb {
  driver = passwd-file
  args = username_format=%u /etc/dovecot/users
}
disable_plaintext_auth = yes
ssl_cert = </etc/ssl/certs/dovecot.pem
ssl_key = </etc/ssl/private/dovecot.pem
mail_home = /srv/data01/mail/%n/home
mail_location = maildir:/srv/data01/mail/%n
protocol lmtp {
  postmaster_address = owner@example.org
  mail_plugins = $mail_plugins sieve
}
EOF
else
    cat >>/etc/dovecot/local.conf <<'EOF'
protocols {
  imap = yes
  lmtp = yes
  pop3 = no
}
passdb passwd-file {
  passwd_file_path = /etc/dovecot/users
}
userdb passwd-file {
  passwd_file_path = /etc/dovecot/users
}
auth_allow_cleartext = no
ssl_server_cert_file = /etc/ssl/certs/dovecot.pem
ssl_server_key_file = /etc/ssl/private/dovecot.pem
mail_home = /srv/data01/mail/%{user|username}/home
mail_driver = maildir
mail_path = /srv/data01/mail/%{user|username}
mail_inbox_path =
protocol lmtp {
  postmaster_address = owner@example.org
  mail_plugins {
    sieve = yes
  }
}
EOF
fi
doveconf -n >/dev/null

# ---- Postfix: its main.cf whole, but for the level that today's Debian begins the file with
cat >/etc/postfix/main.cf <<'EOF'
compatibility_level = 3.6
myhostname = example.org
myorigin = $myhostname
mydestination =
mynetworks = 127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128
alias_maps = hash:/etc/aliases
alias_database = hash:/etc/aliases
relayhost =
recipient_delimiter = +
inet_interfaces = all
inet_protocols = all
virtual_mailbox_domains = $myhostname
virtual_alias_maps = hash:/etc/postfix/virtual
virtual_transport = lmtp:unix:private/dovecot-lmtp
smtp_tls_security_level = may
smtp_tls_note_starttls_offer = yes
smtpd_use_tls=yes
smtpd_tls_loglevel = 1
smtpd_tls_auth_only = no
smtpd_tls_security_level = may
smtpd_tls_received_header = yes
smtpd_tls_cert_file = /etc/ssl/certs/smtpd.crt
smtpd_tls_key_file = /etc/ssl/private/smtpd.key
smtpd_tls_CAfile = /etc/ssl/certs/cacert.pem
smtpd_tls_session_cache_timeout = 3600s
tls_random_source = dev:/dev/urandom
smtpd_sasl_type = dovecot
smtpd_sasl_path = private/auth
smtpd_sasl_local_domain = $myhostname
smtpd_sasl_auth_enable = yes
smtpd_sasl_security_options = noanonymous
broken_sasl_auth_clients = yes
smtpd_recipient_restrictions = permit_sasl_authenticated,permit_mynetworks,reject_unauth_destination
milter_default_action = accept
milter_protocol = 2
smtpd_milters = inet:localhost:8891
non_smtpd_milters = inet:localhost:8891
EOF
touch /etc/postfix/virtual
postmap hash:/etc/postfix/virtual
newaliases
for service in smtps submissions; do
    postconf -MX "$service/inet" 2>/dev/null || true
done
postconf -M 'smtp/inet=smtp inet n - n - - smtpd' 'submission/inet=submission inet n - n - - smtpd'
postconf -P submission/inet/syslog_name=postfix/submission submission/inet/smtpd_tls_security_level=encrypt \
    submission/inet/smtpd_sasl_auth_enable=yes submission/inet/smtpd_sasl_path=private/auth \
    submission/inet/smtpd_sasl_security_options=noanonymous \
    submission/inet/smtpd_client_restrictions=permit_sasl_authenticated,reject \
    submission/inet/smtpd_sender_restrictions=permit_sasl_authenticated,reject \
    submission/inet/smtpd_recipient_restrictions=reject_non_fqdn_recipient,permit_sasl_authenticated,reject \
    submission/inet/milter_macro_daemon_name=ORIGINATING
postfix check

# ---- firewall, psad and jails: as in S0
ufw --force enable
for service in ssh http https smtp submission imap imaps; do
    ufw allow "$service"
done
ufw logging on
for command in iptables ip6tables; do
    $command -A INPUT -j LOG
    $command -A FORWARD -j LOG
done
sed -i "s/^EMAIL_ADDRESSES .*/EMAIL_ADDRESSES             owner@$domain;/" /etc/psad/psad.conf
echo "ADMIN_EMAIL = owner@$domain" >/etc/denyhosts.conf
sed -i "s/^destemail = .*/destemail = owner@$domain/" /etc/fail2ban/jail.conf
for jail in postfix dovecot postfix-sasl; do
    sed -i "/^\[$jail\]/a enabled = true" /etc/fail2ban/jail.conf
done

# ---- nginx: one site without TLS, where every address exists
mkdir -p "/srv/data01/www/$domain" /srv/data01/www/awstats "/srv/data01/git/$domain.git"
echo '<h1>example.org</h1>' >"/srv/data01/www/$domain/index.html"
git -C "/srv/data01/git/$domain.git" init -q --bare
rm -f /etc/nginx/sites-enabled/default
cat >"/etc/nginx/sites-enabled/$domain" <<'EOF'
server {
    server_name www.example.org;
    return 301 $scheme://example.org$request_uri;
}
server {
    root /srv/data01/www/example.org;
    index index.html index.htm;
    access_log /var/log/nginx/access.example.org.log;
    server_name example.org;
    location / {
        try_files $uri $uri/ /index.html;
    }
}
EOF

# ---- awstats through a wrapper in PHP that runs the program it is told
cat >/etc/nginx/cgi-bin.php <<'EOF'
<?php
$program = $_SERVER["X_SCRIPT_FILENAME"];
if (!is_executable($program)) {
    header("Status: 404 Not Found");
    exit;
}
$process = proc_open($program, [["pipe", "r"], ["pipe", "w"], ["pipe", "w"]], $pipes, null, $_SERVER);
while (($line = rtrim(fgets($pipes[1]))) !== "")
    header($line);
fpassthru($pipes[1]);
EOF
socket=$(ls /etc/php/*/fpm/pool.d/www.conf | sed 's|/etc/php/\([^/]*\)/.*|/run/php/php\1-fpm.sock|')
cat >/etc/nginx/sites-enabled/awstats <<EOF
server {
    listen 127.0.0.1:8080;
    server_name awstats;
    root /srv/data01/www/awstats;
    error_log /var/log/nginx/error.awstats.log;
    access_log off;
    log_not_found off;
    location ^~ /icon {
        alias /usr/share/awstats/icon/;
    }
    location ~ ^/cgi-bin/.*\\.(cgi|pl|py|rb) {
        gzip off;
        include fastcgi_params;
        fastcgi_pass unix:$socket;
        fastcgi_index cgi-bin.php;
        fastcgi_param SCRIPT_FILENAME /etc/nginx/cgi-bin.php;
        fastcgi_param SCRIPT_NAME /cgi-bin/cgi-bin.php;
        fastcgi_param X_SCRIPT_FILENAME /usr/lib\$fastcgi_script_name;
        fastcgi_param X_SCRIPT_NAME \$fastcgi_script_name;
        fastcgi_param REMOTE_USER \$remote_user;
    }
    location / {
        rewrite ^/([a-z0-9-_.]+)\$ /cgi-bin/awstats.pl?config=\$1 permanent;
    }
}
EOF
echo '127.0.0.1 awstats' >>/etc/hosts
nginx -t

# ---- OpenDKIM: a key marked as a test
mkdir -p /etc/mail
opendkim-genkey -t -s mail -d "$domain" -D /etc/mail
mv /etc/mail/mail.private /etc/mail/dkim.key
printf '127.0.0.1\n::1\nlocalhost\n%s\n' "$domain" >/etc/mail/InternalHosts
cat >/etc/opendkim.conf <<'EOF'
Syslog                  yes
Domain                  example.org
KeyFile                 /etc/mail/dkim.key
Selector                mail
AutoRestart             yes
Background              yes
Canonicalization        relaxed/relaxed
LogWhy                  yes
InternalHosts           /etc/mail/InternalHosts
EOF
echo 'SOCKET="inet:8891@localhost"' >/etc/default/opendkim
install -d /etc/systemd/system/opendkim.service.d
cat >/etc/systemd/system/opendkim.service.d/override.conf <<'EOF'
[Service]
ExecStart=
ExecStart=/usr/sbin/opendkim -P /run/opendkim/opendkim.pid -p inet:8891@localhost
EOF

# ---- the zone
address() { ip "$1" -o addr show scope global | sed -n 's|.* inet6\{0,1\} \([^/]*\)/.*|\1|p' | head -n 1; }
for name in "$domain" "*.$domain"; do
    echo "$name A $(address -4)"
    echo "$name AAAA $(address -6)"
done >/root/zone
cat >>/root/zone <<EOF
$domain MX $domain
mail._domainkey.$domain TXT $(sed -n 's/[^"]*"\([^"]*\)".*/\1/p' /etc/mail/mail.txt | tr -d '\n')
$domain SPF v=spf1 a ~all
$domain TXT v=spf1 a ~all
EOF

systemctl daemon-reload
php=$(basename /lib/systemd/system/php*-fpm.service)
systemctl enable ufw psad fail2ban nginx opendkim "$php"
systemctl restart psad fail2ban "$php" nginx opendkim ssh dovecot postfix
