#!/bin/sh
# An app that is never the bottleneck: nginx with answers from memory and from one file. Where it listens is left in `port`.
set -eu
mkdir -p run
yes 0123456789abcde | head -c 1048576 >run/1m
head -c 65536 run/1m >run/64k
body=$(yes 0123456789abcde | head -c 1023)
sed -e "s/@PORT@/$PORT/" -e "s/@BODY@/$(printf %s "$body" | tr '\n' ' ')/" nginx.conf.template >run/nginx.conf
echo "$PORT" >port
exec /usr/sbin/nginx -p "$PWD/run" -c nginx.conf -e stderr
