#!/bin/sh
# S2, "Building a Secure Email Server" for Debian 7, as far as its text goes: it ends where Postfix would be set up, so
# Postfix, Dovecot and their certificate are the host's.
#
# packages: ufw iptables unattended-upgrades encfs mariadb-server postfix-mysql dovecot-mysql dovecot-lmtpd
#
# Otherwise today:
# - DenyHosts is in no current Debian: its settings are left without it. sshd of both releases still reads hosts.allow.
# - The kernel is the host's; wheezy-backports is long gone.
# - The client on which the SSH key is made is this machine too: what S2 does there would otherwise be seen nowhere.
# - It publishes a DKIM key before it has set up what signs: no private half is kept here either.
# - OpenSSL calls the cipher 3des des3.
# - There is no group fuse, and a container has no /dev/fuse: EncFS makes its volume and fails to mount it.
# - MariaDB knows no set-variable= and does not start with it: S2-mended.sh writes it as it was meant. The first table has a
#   comma too many, which is left out.

random() { head -c 24 /dev/urandom | base64; }
# option FILE NAME VALUE: as an editor would leave it.
option() {
    sed -i "/^#\?$2[ \t=]/d" "$1"
    echo "$2 $3" >>"$1"
}

# ---- root and the user
echo "root:$(random)" | chpasswd
useradd -m -U -G sudo -s /bin/bash owner

# ---- SSH
install -d -m 700 -o owner -g owner /home/owner/.ssh
cd /home/owner/.ssh
ssh-keygen -q -t rsa -b 4096 -m PEM -N '' -C owner@example.org -f id_rsa
cat id_rsa.pub >>authorized_keys
openssl pkcs8 -topk8 -v2 des3 -in id_rsa -out id_rsa.new -passout "pass:$(random)"
mv id_rsa.new id_rsa
chmod 600 id_rsa authorized_keys
chown owner: id_rsa id_rsa.pub authorized_keys
cd /
while read -r name value; do
    option /etc/ssh/sshd_config "$name" "$value"
done <<'EOF'
UsePrivilegeSeparation yes
PermitRootLogin no
StrictModes yes
PubkeyAuthentication yes
PermitEmptyPasswords no
RSAAuthentication no
ChallengeResponseAuthentication no
PasswordAuthentication no
KerberosAuthentication no
GSSAPIAuthentication no
X11Forwarding no
TCPKeepAlive yes
UsePAM yes
Ciphers aes256-ctr
MACs hmac-sha2-512
EOF

# ---- DenyHosts
printf 'ALL: 203.0.113.7\nsshd: 203.0.113.7\n' >>/etc/hosts.allow
cat >/etc/denyhosts.conf <<'EOF'
DENY_THRESHOLD_INVALID = 2
SUSPICIOUS_LOGIN_REPORT_ALLOWED_HOSTS=YES
SYNC_SERVER = http://xmlrpc.denyhosts.net:9911
SYNC_INTERVAL = 2h
SYNC_UPLOAD = yes
SYNC_DOWNLOAD = yes
SYNC_DOWNLOAD_THRESHOLD = 25
EOF

# ---- firewall: for SSH only, as far as the text goes; its hint for DNS is followed
ufw default deny incoming
ufw allow ssh
ufw allow from 203.0.113.7
ufw --force enable
ufw allow out to 8.8.8.8 port 53

# ---- updates
cat >/etc/apt/apt.conf.d/10periodic <<'EOF'
APT::Periodic::Update-Package-Lists "1";
APT::Periodic::Download-Upgradeable-Packages "1";
APT::Periodic::AutocleanInterval "7";
APT::Periodic::Unattended-Upgrade "1";
EOF
cat >/etc/apt/apt.conf.d/50unattended-upgrades <<'EOF'
Unattended-Upgrade::Origins-Pattern {
        "origin=Debian,archive=stable,label=Debian-Security";
};
EOF

# ---- EncFS
cat >/root/mount_mail.sh <<'EOF'
#!/bin/sh
encfs /mail/encrypted-mail /mail/decrypted-mail --public
chgrp mail /mail/decrypted-mail/
chmod -R g+rw /mail/decrypted-mail/
service postfix restart
service dovecot restart
EOF
chmod 755 /root/mount_mail.sh
mkdir -p /mail/encrypted-mail /mail/decrypted-mail
printf 'p\n%s\n' "$(random)" | encfs -S --public /mail/encrypted-mail /mail/decrypted-mail || true
test -e /mail/encrypted-mail/.encfs6.xml
chgrp mail /mail/decrypted-mail
chmod -R g+rw /mail/decrypted-mail

# ---- MySQL
systemctl enable --now mariadb
mariadb <<EOF
DROP DATABASE IF EXISTS test;
CREATE DATABASE mailserver;
GRANT SELECT ON mailserver.* TO 'mailuser'@'127.0.0.1' IDENTIFIED BY '$(random)';
USE mailserver;
CREATE TABLE virtual_domains (id INT(11) NOT NULL AUTO_INCREMENT PRIMARY KEY, name VARCHAR(50) NOT NULL)
    ENGINE=InnoDB DEFAULT CHARSET=utf8;
CREATE TABLE virtual_users (id INT(11) NOT NULL AUTO_INCREMENT PRIMARY KEY, domain_id INT(11) NOT NULL,
    password VARCHAR(106) NOT NULL, email VARCHAR(100) NOT NULL, UNIQUE KEY email (email),
    FOREIGN KEY (domain_id) REFERENCES virtual_domains(id) ON DELETE CASCADE) ENGINE=InnoDB DEFAULT CHARSET=utf8;
CREATE TABLE virtual_aliases (id INT(11) NOT NULL AUTO_INCREMENT PRIMARY KEY, domain_id INT(11) NOT NULL,
    source VARCHAR(100) NOT NULL, destination VARCHAR(100) NOT NULL,
    FOREIGN KEY (domain_id) REFERENCES virtual_domains(id) ON DELETE CASCADE) ENGINE=InnoDB DEFAULT CHARSET=utf8;
INSERT INTO virtual_domains (id, name) VALUES (1, 'example.org');
INSERT INTO virtual_users (id, domain_id, password, email)
    VALUES (1, 1, '$(doveadm pw -s SHA512-CRYPT -p "$(random)" | sed 's/^{SHA512-CRYPT}//')', 'owner@example.org');
INSERT INTO virtual_aliases (id, domain_id, source, destination)
    VALUES (1, 1, 'postmaster@example.org', 'owner@example.org');
EOF

printf '[mysqld]\nset-variable=local-infile=0\nskip-show-database\n' >/etc/mysql/mariadb.conf.d/90-guide.cnf

# ---- the zone, its own policy and key in it; DNS goes where its hint about the firewall sends it
address() { ip "$1" -o addr show scope global | sed -n 's|.* inet6\{0,1\} \([^/]*\)/.*|\1|p' | head -n 1; }
openssl genrsa -out /root/dkim.key 1024
cat >/root/zone <<EOF
mail.example.org A $(address -4)
mail.example.org AAAA $(address -6)
example.org MX mail.example.org
example.org TXT v=spf1 mx ip4:$(address -4)/32 -all
mail._domainkey.example.org TXT v=DKIM1; h=sha256; k=rsa; p=$(openssl pkey -in /root/dkim.key -pubout -outform DER | base64 -w0)
EOF
rm /root/dkim.key
echo 'nameserver 8.8.8.8' >/etc/resolv.conf
cp /etc/resolv.conf /var/spool/postfix/etc/resolv.conf

# ---- Postfix: so far the text goes
postconf -e myorigin=example.org
cp /etc/postfix/main.cf /etc/postfix/main.cf.orig
cp /etc/postfix/master.cf /etc/postfix/master.cf.orig

systemctl enable ufw unattended-upgrades
for service in mariadb ssh postfix dovecot; do
    systemctl restart "$service" || echo "$service does not start with this"
done
