# S4
#
# packages: htop tmux lynx telnet lsof mercurial git libtool strace sqlite3 gnupg ufw iptables psad fail2ban
# packages: python3-systemd dovecot-lmtpd dovecot-sieve nginx php-fpm awstats opendkim opendkim-tools
# packages, bookworm: software-properties-common
