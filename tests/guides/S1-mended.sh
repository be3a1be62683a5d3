#!/bin/sh
# S1 once more, when its lines that keep Postfix, Dovecot and fail2ban from starting have been put where they were meant.

. /etc/os-release

sed -i '/^reject_rbl_client /d' /etc/postfix/main.cf
postconf -e 'smtpd_recipient_restrictions = reject_unauth_destination, reject_rbl_client zen.spamhaus.org, reject_rbl_client bl.spamcop.net'
[ "$VERSION_ID" = 12 ] || sed -i '/^ssl_protocols /d' /etc/dovecot/local.conf
sed -i 's/^filter = postfix-sasl/filter = postfix[mode=auth]/; s/^filter = postfix-rbl/filter = postfix[mode=rbl]/' /etc/fail2ban/jail.local
systemctl restart fail2ban dovecot postfix
