# S1, the "Mail Server Security Hardening Guide" for docker-mailserver.
#
# packages: ufw iptables fail2ban python3-systemd spamassassin spamd razor pyzor postgrey logwatch gnupg
