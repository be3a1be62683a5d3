# S3
#
# packages: ufw nftables fail2ban python3-systemd apache2 rspamd
