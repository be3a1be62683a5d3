#!/bin/sh
# S2 once more, when the line that keeps MariaDB from starting has been written as today's MariaDB has it.

sed -i 's/^set-variable=//' /etc/mysql/mariadb.conf.d/90-guide.cnf
systemctl restart mariadb
