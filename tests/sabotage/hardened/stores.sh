#!/bin/sh
# The hardened state of Redis and MariaDB: sh -eu, idempotent, both releases.
file=/etc/redis/redis.conf
sed -i '/^port /d; /^unixsocket /d; /^unixsocketperm /d' "$file"
printf 'port 0\nunixsocket /run/redis/redis-server.sock\nunixsocketperm 770\n' >>"$file"
printf '[mysqld]\nlocal-infile = 0\n' >/etc/mysql/mariadb.conf.d/60-local-infile.cnf
