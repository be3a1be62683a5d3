#!/bin/sh
# S0, the page "Security" of a blog for Ubuntu 12.04: what its commands leave on a mail server.
#
# packages: ufw iptables psad fail2ban python3-systemd
#
# Otherwise today:
# - DenyHosts is in no current Debian; the one setting S0 gives for it, the owner's address, is left without it.
# - The jail S0 calls "sasl" is postfix-sasl by now.
# - "ufw enable" stands before "ufw allow ssh"; whoever follows over SSH is lucky, here nobody is cut off.
# - The last section, to look, scan and update now and then, leaves nothing on a machine.

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

# ---- DenyHosts and fail2ban, in the file the next upgrade replaces
echo 'ADMIN_EMAIL = owner@example.org' >/etc/denyhosts.conf
sed -i 's/^destemail = .*/destemail = owner@example.org/' /etc/fail2ban/jail.conf
for jail in postfix dovecot postfix-sasl; do
    sed -i "/^\[$jail\]/a enabled = true" /etc/fail2ban/jail.conf
done

systemctl enable ufw psad fail2ban
systemctl restart psad fail2ban
