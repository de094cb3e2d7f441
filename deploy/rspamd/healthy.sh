#!/bin/bash
# Exit code 0: Rspamd answers.
exec 3<>/dev/tcp/127.0.0.1/11333 || exit 1
printf 'GET /ping HTTP/1.0\r\n\r\n' >&3
read -t 5 -r _ status _ <&3 && [ "$status" = 200 ]
