#!/bin/sh
# Start of the container: the mail volume gets its owner, Sieve scripts are compiled where there is room for it, then Dovecot. Arguments are Dovecot's.
# A new certificate is served within half a minute: sessions go on.
set -eu
conf=/etc/sluice/dovecot.conf
# A new volume belongs to root; mail belongs to nobody else's 5000.
chown 5000:5000 /mail
mkdir -p /run/sluice
for script in junk learn-spam learn-ham; do
  cp "/etc/sluice/$script.sieve" /run/sluice/
  sievec -c "$conf" "/run/sluice/$script.sieve"
done

certificate() {
  cat /identity/tls/cert.pem /identity/tls/key.pem | cksum
}
watch_certificate() {
  known=$(certificate)
  while sleep 30; do
    now=$(certificate)
    if [ "$now" != "$known" ]; then
      doveadm -c "$conf" reload && known=$now
    fi
  done
}
watch_certificate &
exec dovecot -F -c "$conf" "$@"
