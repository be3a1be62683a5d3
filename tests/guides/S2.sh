# S2
#
# packages: ufw iptables unattended-upgrades encfs mariadb-server postfix-mysql dovecot-mysql dovecot-lmtpd
