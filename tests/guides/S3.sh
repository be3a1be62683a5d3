#!/bin/sh
# S3, "Overview Mail Server Hardening" for Debian 13: jails of fail2ban, before Postfix, Dovecot, Rspamd and Apache as
# Debian ships them.
#
# packages: ufw nftables fail2ban python3-systemd whois curl apache2 rspamd
#
# Otherwise today: nothing; but what it gives for Debian 13 is followed on Debian 12 as well, as people do. It gives no
# rules of a firewall: ufw stays off.

cat >/etc/fail2ban/jail.local <<'EOF'
[DEFAULT]
banaction = nftables-multiport
banaction_allports = nftables-allports

[sshd]
maxretry = 3
bantime  = 12h

[apache-auth]
enabled = true
backend = systemd
findtime = 3m
maxretry = 5
bantime  = 10m
journalmatch = _SYSTEMD_UNIT=apache2.service
action = %(action_mw)s
         %(action_abuseipdb)s[abuseipdb_category="18"]

[postfix]
enabled = true
backend = systemd
findtime = 10m
maxretry = 3
bantime  = 1h
journalmatch = _SYSTEMD_UNIT=postfix.service
action = %(action_mw)s
         %(action_abuseipdb)s[abuseipdb_category="22"]

[postfix-sasl]
enabled = true
backend = systemd
findtime = 10m
maxretry = 3
bantime  = 4h
journalmatch = _SYSTEMD_UNIT=postfix.service
action = %(action_mw)s
         %(action_abuseipdb)s[abuseipdb_category="18"]

[dovecot]
enabled = true
backend = systemd
findtime = 10m
maxretry = 4
bantime  = 2h
journalmatch = _SYSTEMD_UNIT=dovecot.service
action = %(action_mw)s
         %(action_abuseipdb)s[abuseipdb_category="18"]

[recidive]
enabled = true
logpath = /var/log/fail2ban.log
findtime = 1d
maxretry = 5
bantime  = 7d
EOF

# The key of an account at AbuseIPDB, in a file that everybody may read.
printf '%s\n' "abuseipdb_apikey = $(head -c 40 /dev/urandom | od -An -tx1 | tr -d ' \n')" 'abuseipdb_category = 18' \
    >>/etc/fail2ban/action.d/abuseipdb.conf

systemctl enable nftables fail2ban apache2 rspamd
systemctl restart nftables apache2 rspamd fail2ban
