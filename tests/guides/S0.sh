# S0, the page "Security" of a blog for Ubuntu 12.04: what its commands leave on a mail server.
#
# packages: ufw iptables psad fail2ban python3-systemd
#
# Gone or otherwise today:
# - denyhosts is in no current Debian; its one setting, the owner's address, is left without it.
# - "ufw enable" comes before "ufw allow ssh" in the text; here, as there, nobody is cut off by it.
# - What it changes in jail.conf is changed in jail.conf, as it says, though the next upgrade asks about it.
# - The last section, to look, scan and update now and then, leaves nothing on the machine.

. /etc/os-release

# ---- firewall
ufw --force enable
for service in ssh http https smtp submission imap imaps; do
    ufw allow "$service"
done

# ---- psad: every packet is logged
ufw logging on
for command in iptables ip6tables; do
    $command -A INPUT -j LOG
    $command -A FORWARD -j LOG
done
sed -i 's/^EMAIL_ADDRESSES .*/EMAIL_ADDRESSES             owner@example.org;/' /etc/psad/psad.conf

# ---- denyhosts and fail2ban
printf 'ADMIN_EMAIL = owner@example.org\n' >/etc/denyhosts.conf
sed -i 's/^destemail = .*/destemail = owner@example.org/' /etc/fail2ban/jail.conf
# The jails that it calls postfix, dovecot and sasl; the last is postfix-sasl today.
for jail in postfix dovecot postfix-sasl; do
    sed -i "/^\[$jail\]/a enabled = true" /etc/fail2ban/jail.conf
done
# Debian 12 has no auth.log without rsyslog, and its jail for sshd stops fail2ban then; S0 is of a time with rsyslog.

systemctl enable -q --now ufw psad fail2ban
systemctl restart psad fail2ban
