#!/usr/bin/env bash
# A Docker engine with Compose for test/compose:  eval "$(test/compose/engine.sh)"
# One that answers is taken as it is. Else ../shared/tools/docker-engine.sh starts one on a Debian machine as root, with stand-ins
# from Debian packages under the tags that our files name, since it reaches no registry of images. Exit code 69: none is to be had here.
set -euo pipefail
cd "$(dirname "$0")/../.."
tool=../shared/tools/docker-engine.sh

tag_of() { grep -hoE "(image: |FROM )$1:[^ ]+" docker-compose.yml deploy/Dockerfile | head -n 1 | cut -d' ' -f2; }

if docker compose version >/dev/null 2>&1 && docker version >/dev/null 2>&1; then
  exit 0
fi
if [ ! -f "$tool" ]; then
  echo "no Docker engine answers, and $tool is not here to start one" >&2
  exit 69
fi
IMAGES="node=$(tag_of node) redis=$(tag_of redis) dovecot=$(tag_of dovecot/dovecot)" bash "$tool" up
