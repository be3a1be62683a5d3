#!/bin/sh
# S1, the "Mail Server Security Hardening Guide" for docker-mailserver; what it sets there is set in the same Postfix,
# Dovecot and SpamAssassin of the host.
#
# packages: ufw iptables fail2ban python3-systemd spamassassin spamd razor pyzor postgrey logwatch gnupg
#
# Otherwise today:
# - The names of its POSTFIX_… and DOVECOT_… settings exist in no docker-mailserver: they are taken for what they say.
#   Its "setup config set PASSWD_…" exist neither, and there is nothing they could mean here.
# - SSL_TYPE=letsencrypt: the host keeps its certificate.
# - Lines that keep Postfix and Dovecot from starting are left as they stand; S1-mended.sh writes them as they were meant.
# - Blocks of commands to be run now and then are kept as scripts, as one does; in them its domain is example.org.

# ---- firewall; the limits come after ufw's rules, and limit nothing
ufw --force reset
ufw default deny incoming
ufw default allow outgoing
for port in 22 25 587 465 143 993 80 443; do
    ufw allow "$port/tcp"
done
ufw --force enable
mkdir -p /etc/iptables
iptables-save >/etc/iptables/rules.v4
for port in 25 587; do
    iptables -A INPUT -p tcp --dport "$port" -m limit --limit 25/minute --limit-burst 100 -j ACCEPT
done

# ---- fail2ban; its filters postfix-sasl and postfix-rbl are modes of the filter postfix since 0.10
cat >/etc/fail2ban/jail.local <<'EOF'
[DEFAULT]
bantime = 3600
findtime = 600
maxretry = 3

[postfix-sasl]
enabled = true
port = smtp,465,submission
filter = postfix-sasl
logpath = /var/log/mail.log
backend = auto

[dovecot]
enabled = true
port = pop3,pop3s,imap,imaps,submission,465,sieve
filter = dovecot
logpath = /var/log/mail.log
backend = auto

[postfix-rbl]
enabled = true
filter = postfix-rbl
port = smtp,465,submission
logpath = /var/log/mail.log
maxretry = 1
EOF

# ---- TLS
postconf -e smtp_tls_security_level=encrypt smtpd_tls_security_level=encrypt \
    'smtp_tls_protocols = !SSLv2,!SSLv3' 'smtpd_tls_protocols = !SSLv2,!SSLv3'
cat >>/etc/dovecot/local.conf <<'EOF'
ssl_protocols = !SSLv3
ssl_cipher_list = ECDHE+AESGCM:ECDHE+AES256:ECDHE+AES128:!MD5:!DSS:!3DES
auth_failure_delay = 2s
auth_cache_negative_ttl = 1 hour
EOF

# ---- spam
cat >/etc/spamassassin/local.cf <<'EOF'
required_score 5.0
report_safe 0
rewrite_header Subject [SPAM]
use_razor2 1
use_pyzor 1
use_bayes 1
bayes_auto_learn 1
body CUSTOM_SPAM_RULE /viagra|cialis|pharmacy/i
score CUSTOM_SPAM_RULE 3.0
EOF
cat >>/etc/postfix/main.cf <<'EOF'
smtpd_client_connection_count_limit = 10
smtpd_client_connection_rate_limit = 30
smtpd_client_message_rate_limit = 100
check_policy_service = inet:127.0.0.1:10023
reject_rbl_client zen.spamhaus.org
reject_rbl_client bl.spamcop.net
EOF

# ---- backup: of the archive with the settings nothing is left
cat >/usr/local/sbin/backup-mail.sh <<'EOF'
#!/bin/bash
BACKUP_DIR="/backup/mail"
DATE=$(date +%Y%m%d_%H%M%S)
mkdir -p $BACKUP_DIR
tar -czf $BACKUP_DIR/mail-data-$DATE.tar.gz /var/mail
tar -czf $BACKUP_DIR/mail-config-$DATE.tar.gz /etc/postfix /etc/dovecot
gpg --cipher-algo AES256 --s2k-mode 3 --s2k-digest-algo SHA512 --s2k-count 65536 --symmetric --output $BACKUP_DIR/mail-data-$DATE.tar.gz.gpg $BACKUP_DIR/mail-data-$DATE.tar.gz
rm $BACKUP_DIR/mail-data-$DATE.tar.gz
rm $BACKUP_DIR/mail-config-$DATE.tar.gz
find $BACKUP_DIR -name "*.gpg" -mtime +30 -delete
EOF
mkdir -p /backup/mail

# ---- watching
mkdir -p /etc/logwatch/conf/services
for service in postfix dovecot; do
    echo "Service = $service" >>"/etc/logwatch/conf/services/$service.conf"
done
own=$(ip -4 -o addr show scope global | sed -n 's|.* inet \([0-9.]*\)/.*|\1|p' | head -n 1)
cat >/usr/local/sbin/security-check.sh <<EOF
#!/bin/bash
grep -c "authentication failed" /var/log/mail.log
df -h /var/mail
postqueue -p | tail -n 1
dig -x $own
dig $own.zen.spamhaus.org
dig $own.bl.spamcop.net
EOF

# ---- an account was broken into
cat >/usr/local/sbin/compromised-account.sh <<'EOF'
#!/bin/bash
docker-compose exec mailserver setup email del compromised@example.org
docker-compose exec mailserver setup email update user@example.org
EOF
chmod 755 /usr/local/sbin/*.sh

systemctl enable ufw fail2ban spamd postgrey
for service in spamd postgrey fail2ban dovecot postfix; do
    systemctl restart "$service" || echo "$service does not start with this"
done
