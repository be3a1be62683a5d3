#!/bin/sh
# The hardened state of Postfix, on what tests/hosts/whole/setup makes: sh -eu, idempotent, both releases.
. /etc/os-release
implicit=submissions
[ "$VERSION_ID" != 12 ] || implicit=smtps
aead=ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305
aead=$aead:ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256

postconf -e 'compatibility_level = 3.6' 'default_database_type = lmdb' 'alias_maps = lmdb:/etc/aliases' \
    'alias_database = lmdb:/etc/aliases' 'smtp_tls_session_cache_database = lmdb:${data_directory}/smtp_scache' \
    'mynetworks = 127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128' 'inet_protocols = all' \
    'smtpd_banner = $myhostname ESMTP' 'disable_vrfy_command = yes' 'smtpd_helo_required = yes' \
    'strict_rfc821_envelopes = yes' 'smtpd_delay_reject = yes' \
    'smtpd_forbid_bare_newline = normalize' 'smtpd_forbid_bare_newline_exclusions = $mynetworks' \
    'smtpd_forbid_unauth_pipelining = yes' 'smtpd_data_restrictions = reject_unauth_pipelining' \
    'maximal_queue_lifetime = 3d' 'bounce_queue_lifetime = 1d' 'message_size_limit = 52428800'
postconf -e 'smtpd_tls_security_level = may' 'smtpd_tls_protocols = >=TLSv1.2' 'smtpd_tls_mandatory_protocols = >=TLSv1.2' \
    'smtpd_tls_ciphers = high' 'smtpd_tls_mandatory_ciphers = high' "tls_high_cipherlist = $aead" \
    'smtpd_tls_exclude_ciphers = aNULL, kDHE, kRSA, SHA1' 'tls_preempt_cipherlist = yes' \
    'tls_ssl_options = NO_COMPRESSION, NO_RENEGOTIATION' 'smtpd_tls_auth_only = yes' 'smtpd_tls_loglevel = 1' \
    'smtpd_tls_received_header = yes' 'smtp_tls_loglevel = 1' 'smtp_tls_security_level = dane' \
    'smtp_dns_support_level = dnssec' 'smtp_host_lookup = dns' 'smtp_tls_protocols = >=TLSv1.2' \
    'smtp_tls_mandatory_protocols = >=TLSv1.2' 'smtpd_tls_cert_file = /etc/ssl/certs/test.pem' \
    'smtpd_tls_key_file = /etc/ssl/private/test.key'
chmod 0600 /etc/ssl/private/test.key
postconf -e 'smtpd_relay_restrictions = permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination' \
    'smtpd_recipient_restrictions = reject_non_fqdn_recipient, permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination, reject_unlisted_recipient' \
    'smtpd_sender_restrictions = reject_non_fqdn_sender, reject_unknown_sender_domain' \
    'smtpd_helo_restrictions = permit_mynetworks, permit_sasl_authenticated, reject_invalid_helo_hostname, reject_non_fqdn_helo_hostname' \
    'smtpd_client_connection_count_limit = 10' 'smtpd_client_connection_rate_limit = 30' \
    'smtpd_client_message_rate_limit = 100' 'smtpd_client_recipient_rate_limit = 200' \
    'smtpd_client_auth_rate_limit = 10' 'smtpd_error_sleep_time = 1s' 'smtpd_soft_error_limit = 3' \
    'smtpd_hard_error_limit = 10' 'smtpd_recipient_limit = 100' 'smtpd_sasl_auth_enable = no' \
    'smtpd_sender_login_maps = pcre:/etc/postfix/senders' 'smtpd_milters = inet:localhost:11332' \
    'non_smtpd_milters = $smtpd_milters'
postconf -X milter_default_action milter_protocol
printf '/^([a-z]+)@/ $1\n' >/etc/postfix/senders
postconf -e 'postscreen_access_list = permit_mynetworks, cidr:/etc/postfix/postscreen.cidr' \
    'postscreen_greet_action = enforce' 'postscreen_dnsbl_action = enforce' 'postscreen_dnsbl_threshold = 3' \
    'postscreen_dnsbl_sites = zen.spamhaus.org=127.0.0.[2..11]*3 bl.spamcop.net*1' \
    'postscreen_cache_map = lmdb:${data_directory}/postscreen_cache'
postconf -X postscreen_bare_newline_enable postscreen_pipelining_enable postscreen_non_smtp_command_enable
[ -e /etc/postfix/postscreen.cidr ] || : >/etc/postfix/postscreen.cidr

# Without 3.10's smtpd_hide_client_session the user's address is taken out of the header on the way.
hide="smtpd_hide_client_session=yes"
if [ "$VERSION_ID" = 12 ]; then
    printf '/^Received: .*/ IGNORE\n' >/etc/postfix/submission_headers
    postconf -M 'subcleanup/unix=subcleanup unix n - y - 0 cleanup'
    postconf -P subcleanup/unix/header_checks=regexp:/etc/postfix/submission_headers
    hide="cleanup_service_name=subcleanup"
fi
for service in submission $implicit; do
    postconf -M "$service/inet=$service inet n - y - - smtpd"
    postconf -P "$service/inet/syslog_name=postfix/$service" "$service/inet/smtpd_sasl_auth_enable=yes" \
        "$service/inet/smtpd_client_restrictions=permit_sasl_authenticated,reject" \
        "$service/inet/smtpd_relay_restrictions=permit_sasl_authenticated,reject" \
        "$service/inet/smtpd_recipient_restrictions=permit_sasl_authenticated,reject" \
        "$service/inet/smtpd_sender_restrictions=reject_sender_login_mismatch,permit_sasl_authenticated,reject" \
        "$service/inet/milter_macro_daemon_name=ORIGINATING" "$service/inet/$hide"
done
postconf -P submission/inet/smtpd_tls_security_level=encrypt $implicit/inet/smtpd_tls_wrappermode=yes
chown root:root /etc/postfix/*.cf /etc/aliases
chmod 0644 /etc/postfix/*.cf /etc/aliases
newaliases
postfix check
