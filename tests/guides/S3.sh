# S3
#
# packages: ufw nftables fail2ban python3-systemd whois curl apache2 rspamd
