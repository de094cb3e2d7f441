#!/bin/sh
# docker compose run --rm backup               what cannot be made again goes to one file: spool and stories, mailboxes, keys and accounts, configuration
# docker compose run --rm backup restore FILE  puts it into volumes that are empty
set -eu
umask 077
parts='data mail identity'

save() {
  name=sluice-$(date -u +%Y-%m-%dT%H%M%SZ).tar.gz
  # A copy that is not whole has another name.
  # 1: beside mail that flows a file changed, or went, while it was read.
  tar -C /volumes --numeric-owner -czf "/backup/$name.part" $parts configuration || test $? -eq 1
  gzip -t "/backup/$name.part"
  mv "/backup/$name.part" "/backup/$name"
  ls -lh "/backup/$name"
}

restore() {
  test -r "/backup/$1" || { echo "there is no file $1 in the folder of backups" >&2; exit 1; }
  gzip -t "/backup/$1"
  for part in $parts; do
    if [ -n "$(ls -A "/volumes/$part")" ]; then
      echo "the volume $part is not empty: nothing was changed" >&2
      exit 1
    fi
  done
  tar -C /volumes --numeric-owner -xpzf "/backup/$1" $parts
  echo "restored from $1: docker compose up -d --wait"
}

case ${1:-save} in
  save) save ;;
  restore) restore "${2:?the name of a file}" ;;
  *) echo 'usage: docker compose run --rm backup [restore FILE]' >&2; exit 64 ;;
esac
