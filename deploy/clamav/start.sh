#!/bin/sh
# Start of the container: signatures are fetched when there are none (some 200 MB, once: they are kept in the volume), then clamd; freshclam goes on in the
# background.
set -u
there_are_signatures() {
  ls /var/lib/clamav | grep -qE '\.(cvd|cld|ndb|hdb|hsb|ldb)$'
}
until there_are_signatures; do
  freshclam --config-file=/etc/sluice/freshclam.conf --stdout
  there_are_signatures || sleep 60
done
freshclam --config-file=/etc/sluice/freshclam.conf --stdout --daemon --foreground &
exec clamd --config-file=/etc/sluice/clamd.conf
