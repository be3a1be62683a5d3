# The machine: accounts, SSH, kernel, packages, firewall, upkeep as hardening/*.rules of the service
# host and sshd want them.
#
# What a container cannot have of its own, the kernel's global knobs, swap, AppArmor and lockdown, has
# stand-ins: copies mounted over the places where the audit reads them.

. /etc/os-release

# ---- stand-ins

mkdir -p /var/lib/stand-ins/kept
cat >/var/lib/stand-ins/knob <<'EOF'
#!/bin/sh -eu
# knob NAME VALUE: sets a knob of this network namespace, or of the copies mounted over the others.
path=/proc/sys/$(echo "$1" | tr . /)
if ! { echo "$2" >"$path"; } 2>/dev/null || [ "$(cat "$path")" != "$2" ]
then
    kept=/var/lib/stand-ins/kept/$1
    echo "$2" >"$kept"
    mountpoint -q "$path" || mount --bind "$kept" "$path"
fi
EOF
cat >/var/lib/stand-ins/file <<'EOF'
#!/bin/sh -eu
# file PATH LINE…: mounts a file of these lines over PATH.
path=$1
shift
kept=/var/lib/stand-ins/kept/$(basename "$path")
printf '%s\n' "$@" >"$kept"
mountpoint -q "$path" || mount --bind "$kept" "$path"
EOF
cat >/var/lib/stand-ins/listen <<'EOF'
#!/bin/sh -eu
# listen tcp|udp ADDRESS PORT: returns when it listens.
perl -MIO::Socket::INET -e '
    my ($protocol, $address, $port) = @ARGV;
    my @queue = $protocol eq "tcp" ? (Listen => 1, ReuseAddr => 1) : ();
    my $socket = IO::Socket::INET->new(Proto => $protocol, LocalAddr => $address, LocalPort => $port, @queue) or die "$!";
    exit 0 if fork;
    open my $file, ">", "/run/listen-$protocol-$port.pid" or die;
    print $file "$$\n";
    close $file;
    open STDIN, "<", "/dev/null";
    open STDOUT, ">", "/dev/null";
    open STDERR, ">", "/dev/null";
    sleep 900;' "$@"
EOF
cat >/var/lib/stand-ins/hush <<'EOF'
#!/bin/sh -eu
# hush tcp|udp PORT
kill "$(cat "/run/listen-$1-$2.pid")"
rm "/run/listen-$1-$2.pid"
EOF
chmod 755 /var/lib/stand-ins/knob /var/lib/stand-ins/file /var/lib/stand-ins/listen /var/lib/stand-ins/hush

for folder in kernel fs net/core
do
    copy=/var/lib/stand-ins/kept/$folder
    mountpoint -q /proc/sys/$folder && continue
    mkdir -p "$copy"
    (cd /proc/sys/$folder && find . -type d -exec mkdir -p "$copy/{}" ';' && find . -type f | while read -r file
        do cat "$file" >"$copy/$file" 2>/dev/null || true
        done)
    [ ! -d "$copy/random" ] || mount --bind /proc/sys/kernel/random "$copy/random"
    mkdir -p "$copy/yama"
    mount --rbind "$copy" /proc/sys/$folder
done
while read -r name value
do
    path=/proc/sys/$(echo "$name" | tr . /)
    case $name in kernel.*|fs.*|net.core.*) echo "$value" >"$path" ;; *) /var/lib/stand-ins/knob "$name" "$value" ;; esac
done <<'EOF'
kernel.core_pattern core
kernel.dmesg_restrict 1
kernel.kptr_restrict 2
kernel.perf_event_paranoid 3
kernel.unprivileged_bpf_disabled 1
kernel.yama.ptrace_scope 2
kernel.sysrq 0
kernel.kexec_load_disabled 1
kernel.randomize_va_space 2
fs.suid_dumpable 0
fs.protected_fifos 2
fs.protected_regular 2
fs.protected_hardlinks 1
fs.protected_symlinks 1
net.core.bpf_jit_harden 2
net.ipv4.tcp_syncookies 1
net.ipv4.icmp_echo_ignore_broadcasts 1
net.ipv4.conf.all.accept_redirects 0
net.ipv4.conf.default.accept_redirects 0
net.ipv4.conf.all.secure_redirects 0
net.ipv4.conf.default.secure_redirects 0
net.ipv4.conf.all.send_redirects 0
net.ipv4.conf.default.send_redirects 0
net.ipv4.conf.all.accept_source_route 0
net.ipv4.conf.default.accept_source_route 0
net.ipv4.conf.all.rp_filter 1
net.ipv4.conf.default.rp_filter 1
net.ipv4.conf.all.log_martians 1
net.ipv4.conf.default.log_martians 1
net.ipv6.conf.all.accept_redirects 0
net.ipv6.conf.default.accept_redirects 0
net.ipv6.conf.all.accept_source_route 0
net.ipv6.conf.default.accept_source_route 0
EOF
/var/lib/stand-ins/file /proc/swaps 'Filename Type Size Used Priority'
if ! mountpoint -q /sys/module
then
    mkdir -p /sys/module 2>/dev/null || {
        mount -o remount,rw /sys
        mkdir -p /sys/module
    }
    mount -t tmpfs tmpfs /sys/module
    mkdir -p /sys/module/apparmor/parameters
    echo Y >/sys/module/apparmor/parameters/enabled
fi
if [ ! -e /sys/kernel/security/lockdown ]
then
    mount -t tmpfs tmpfs /sys/kernel/security
    echo 'none [integrity] confidentiality' >/sys/kernel/security/lockdown
fi

[ -e /run/systemd/container ] || { mkdir -p /run/systemd && echo container >/run/systemd/container; }

# ---- kernel and mounts

mkdir -p /etc/modprobe.d /etc/security/limits.d
printf 'install %s /bin/false\n' dccp sctp rds tipc cramfs hfs hfsplus >/etc/modprobe.d/needless.conf
echo '* hard core 0' >/etc/security/limits.d/core.conf
mkdir -p /etc/systemd/coredump.conf.d
printf '[Coredump]\nStorage=none\n' >/etc/systemd/coredump.conf.d/none.conf
for folder in /tmp /var/tmp /dev/shm
do
    mountpoint -q $folder || mount --rbind $folder $folder
    mount -o remount,bind,nodev,nosuid,noexec $folder
done

# ---- accounts

chmod 700 /home/*
usermod -p '*' root
sed -i 's/ nullok//' /etc/pam.d/common-auth
sed -i '/^minlen/d' /etc/security/pwquality.conf
echo 'minlen = 15' >>/etc/security/pwquality.conf
sed -i '/^UMASK/d' /etc/login.defs
echo 'UMASK 027' >>/etc/login.defs
if [ -e /home/admin/.ssh/authorized_keys ] && cmp -s /home/admin/.ssh/authorized_keys /home/alice/.ssh/authorized_keys
then
    rm -f /run/key /run/key.pub
    ssh-keygen -q -t ed25519 -N '' -C admin@laptop -f /run/key
    cat /run/key.pub >/home/admin/.ssh/authorized_keys
    rm /run/key /run/key.pub
fi

# ---- SSH

getent group ssh-users >/dev/null || groupadd -r ssh-users
usermod -aG ssh-users alice
usermod -aG ssh-users admin
exchange=sntrup761x25519-sha512@openssh.com,curve25519-sha256,curve25519-sha256@libssh.org
[ "$VERSION_ID" = 12 ] || exchange=mlkem768x25519-sha256,sntrup761x25519-sha512,$exchange
cat >/etc/ssh/sshd_config.d/10-hardened.conf <<EOF
PermitRootLogin no
PasswordAuthentication no
KbdInteractiveAuthentication no
AllowGroups ssh-users
X11Forwarding no
AllowAgentForwarding no
AllowTcpForwarding local
Compression no
LoginGraceTime 30
MaxAuthTries 3
MaxSessions 4
MaxStartups 10:30:60
PerSourceMaxStartups 5
PerSourceNetBlockSize 32:64
ClientAliveInterval 300
ClientAliveCountMax 2
TCPKeepAlive no
LogLevel VERBOSE
PermitUserRC no
UnusedConnectionTimeout 5m
DebianBanner no
RequiredRSASize 3072
KexAlgorithms $exchange
Ciphers aes256-gcm@openssh.com,aes128-gcm@openssh.com,chacha20-poly1305@openssh.com,aes256-ctr,aes128-ctr
MACs hmac-sha2-512-etm@openssh.com,hmac-sha2-256-etm@openssh.com
EOF
sshd -t

# ---- packages and logs

printf 'APT::Periodic::%s "1";\n' Update-Package-Lists Unattended-Upgrade >/etc/apt/apt.conf.d/20auto-upgrades
mkdir -p /var/log/journal /etc/systemd/system/sysinit.target.wants
[ -e /etc/systemd/system/sysinit.target.wants/systemd-timesyncd.service ] ||
    ln -s /lib/systemd/system/systemd-timesyncd.service /etc/systemd/system/sysinit.target.wants/
[ ! -e /etc/rspamd/local.d/worker-controller.inc ] || {
    sed -i 's/"\*:11334"/"localhost:11334"/' /etc/rspamd/local.d/worker-controller.inc
    chgrp _rspamd /etc/rspamd/local.d/worker-controller.inc
    chmod 640 /etc/rspamd/local.d/worker-controller.inc
}
mkdir -p /etc/hauberk
printf 'what = snapshots of the hoster, daily\nproven = %s\n' "$(date +%Y-%m-%d)" >/etc/hauberk/backup.declared

# ---- firewall

cat >/etc/nftables.conf <<'EOF'
#!/usr/sbin/nft -f
table inet filter
delete table inet filter
table inet filter {
    chain input {
        type filter hook input priority 0; policy drop;
        ct state established,related accept
        iif lo accept
        meta l4proto { icmp, ipv6-icmp } accept
        tcp dport { 22, 25, 80, 443, 465, 587, 993, 995, 110, 143, 4190 } accept
    }
}
EOF
nft -f /etc/nftables.conf
mkdir -p /etc/systemd/system/sysinit.target.wants /etc/systemd/system/multi-user.target.wants
[ -e /etc/systemd/system/sysinit.target.wants/nftables.service ] ||
    ln -s /lib/systemd/system/nftables.service /etc/systemd/system/sysinit.target.wants/

# ---- services

for unit in postfix postfix@- dovecot rspamd nginx apache2 unbound redis-server mariadb php8.2-fpm php8.4-fpm
do
    mkdir -p "/etc/systemd/system/$unit.service.d"
    cat >"/etc/systemd/system/$unit.service.d/hardened.conf" <<'EOF'
[Service]
PrivateTmp=yes
PrivateDevices=yes
ProtectSystem=full
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
LockPersonality=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
EOF
done
if [ -d /run/systemd/system ]
then
    systemctl daemon-reload
    systemctl reload ssh 2>/dev/null || true
    for unit in postfix dovecot rspamd nginx apache2 php8.2-fpm php8.4-fpm
    do
        ! systemctl -q is-active "$unit" || systemctl restart "$unit"
    done
    if command -v hauberkd >/dev/null
    then
        systemctl enable -q hauberk
        systemctl start hauberk
    fi
fi
